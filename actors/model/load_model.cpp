// SPDX-License-Identifier: Apache-2.0
#include "actors/model/load_model.hpp"

#include <utility>

#include "actors/model/vocabulary_from_gguf.hpp"
#include "gpu/model/gguf.hpp"
#include "gpu/model/describe_model.hpp"
#include "text/chat_template.hpp"
#include "text/tokenizer.hpp"

namespace troupe {

namespace {

unexpected<error> refused(const std::filesystem::path& file, const std::string& why) {
  return fail(errc::resource, file.string() + ": " + why);
}

/// FNV-1a of all tokens in their order, and of what they are.
vocabulary_id id_of(const text::vocabulary& vocabulary) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&hash](unsigned char byte) { hash = (hash ^ byte) * 0x100000001b3; };
  for (const auto& token : vocabulary.tokens) {
    for (const char byte : token)
      add(static_cast<unsigned char>(byte));
    add(0xff); // in no token: they are UTF-8
  }
  for (const auto type : vocabulary.types)
    add(static_cast<unsigned char>(type));
  return {hash};
}

} // namespace

expected<loaded_model, error> load_model(const std::filesystem::path& path, const std::string& name, load_weights what,
                                         const std::function<void(gpu::host::load_progress)>& progress) {
  auto file = gpu::gguf_file::open(path);
  if (!file)
    return refused(path, file.error().context);
  auto vocabulary = vocabulary_from_gguf(*file);
  if (!vocabulary)
    return refused(path, vocabulary.error().context);
  const auto id = id_of(*vocabulary);
  auto tokenizer = text::tokenizer::make(std::move(*vocabulary));
  if (!tokenizer)
    return refused(path, tokenizer.error().context);
  auto config = gpu::read_model_config(*file);
  if (!config)
    return refused(path, config.error().context);

  loaded_model result;
  auto& served = result.served;
  served.name = name.empty() ? path.stem().string() : name;
  served.file = path.filename().string();
  served.context_tokens = config->context_tokens;
  auto ends = tokenizer->end_of_generation_tokens();
  served.stop_tokens.assign(ends.begin(), ends.end());
  served.vocabulary = id;
  served.tokenizer = std::make_shared<const text::tokenizer>(std::move(*tokenizer));
  if (auto source = file->find_string("tokenizer.chat_template")) {
    auto parsed = text::chat_template::parse(std::string{*source});
    if (!parsed)
      return refused(path, "tokenizer.chat_template, line " + std::to_string(parsed.error().line) + ": "
                             + parsed.error().message);
    served.chat_template = std::make_shared<const text::chat_template>(std::move(*parsed));
  }
  if (what == load_weights::yes) {
    auto model = gpu::describe_model(*file);
    if (!model)
      return refused(path, model.error().context);
    auto weights = gpu::host::host_weights::load(*model, gpu::host::weight_format::as_stored, progress);
    if (!weights)
      return refused(path, weights.error().context);
    result.weights = std::move(*weights);
  }
  return result;
}

} // namespace troupe
