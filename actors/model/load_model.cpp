// SPDX-License-Identifier: Apache-2.0
#include "actors/model/load_model.hpp"

#include <utility>

#include "actors/model/model_text.hpp"
#include "gpu/model/checkpoint.hpp"
#include "text/chat_template.hpp"
#include "text/tokenizer.hpp"

namespace troupe {

namespace {

unexpected<error> refused(const std::filesystem::path& file, const std::string& why) {
  // What opens files names them itself.
  return fail(errc::resource, why.starts_with(file.string()) ? why : file.string() + ": " + why);
}

} // namespace

expected<loaded_model, error> load_model(const load_request& request) {
  const auto& path = request.path;
  auto files = gpu::checkpoint::open(path.string());
  if (!files)
    return refused(path, files.error().context);
  auto config = files->config();
  if (!config)
    return refused(path, config.error().context);
  const auto* gguf = files->gguf();
  auto text = gguf ? read_model_text(*gguf, config->vocabulary) : open_model_text(path, config->vocabulary);
  if (!text)
    return unexpected{text.error()};

  loaded_model result;
  auto& served = result.served;
  served.name = request.name;
  served.file = path.filename().string();
  served.context_tokens = config->context_tokens;
  auto ends = text->tokenizer->end_of_generation_tokens();
  served.stop_tokens.assign(ends.begin(), ends.end());
  served.vocabulary = text->vocabulary;
  served.tokenizer = std::move(text->tokenizer);
  if (!text->chat_template.empty()) {
    auto parsed = text::chat_template::parse(std::move(text->chat_template));
    if (!parsed)
      return refused(path, text->chat_template_place + ", line " + std::to_string(parsed.error().line) + ": "
                             + parsed.error().message);
    served.chat_template = std::make_shared<const text::chat_template>(std::move(*parsed));
  }
  if (request.weights == load_weights::yes) {
    auto model = files->describe();
    if (!model)
      return refused(path, model.error().context);
    auto weights = gpu::host::host_weights::load(*model, request.format, request.progress);
    if (!weights)
      return refused(path, weights.error().context);
    result.weights = std::move(*weights);
  }
  return result;
}

} // namespace troupe
