// SPDX-License-Identifier: Apache-2.0
#include "actors/model/model_text.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <system_error>
#include <utility>

#include "actors/model/vocabulary_from_gguf.hpp"
#include "gpu/model/gguf.hpp"
#include "gpu/model/mapped_file.hpp"
#include "messages/fnv1a.hpp"
#include "text/tokenizer.hpp"
#include "text/tokenizer_json/tokenizer_config.hpp"
#include "text/tokenizer_json/tokenizer_json.hpp"
#include "text/vocabulary_description.hpp"

namespace troupe {

namespace {

constexpr std::size_t tokenizer_bytes_max = std::size_t{256} << 20;
constexpr std::size_t small_file_bytes_max = std::size_t{16} << 20;

unexpected<error> refused(const std::filesystem::path& file, const std::string& why) {
  return fail(errc::resource, file.string() + ": " + why);
}

/// The text of a file; empty if there is none.
expected<std::string, error> read_if_there(const std::filesystem::path& path, std::size_t bytes_max) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    return std::string{};
  auto file = gpu::mapped_file::open(path);
  if (!file)
    return fail(errc::resource, file.error().context);
  if (file->bytes().size() > bytes_max)
    return refused(path, "it has more than " + std::to_string(bytes_max) + " bytes");
  return std::string{reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()};
}

void fit(text::tokenizer_description& d, std::uint32_t vocabulary) {
  d.tokens.resize(vocabulary);
  d.roles.resize(vocabulary, text::token_role::none);
  // A token that the model has and the tokenizer lacks is never made of text.
  if (auto* unigram = std::get_if<text::unigram_description>(&d.model))
    unigram->scores.resize(vocabulary, std::numeric_limits<double>::infinity());
  std::erase_if(d.added, [&](const auto& token) { return token.id >= vocabulary; });
}

vocabulary_id id_of(const text::tokenizer& tokenizer) {
  fnv1a hash;
  for (token_id token = 0; token < tokenizer.size(); ++token)
    hash.add(tokenizer.piece(token)).add(0xff).add(tokenizer.is_special(token) ? 1 : 0);
  return {hash.value()};
}

expected<model_text, error> finish(const std::filesystem::path& path, text::tokenizer_description description,
                                   std::uint32_t vocabulary, model_text result) {
  if (vocabulary != 0)
    fit(description, vocabulary);
  auto made = text::tokenizer::make(std::move(description));
  if (!made)
    return refused(path, made.error().context);
  result.tokenizer = std::make_shared<const text::tokenizer>(std::move(*made));
  result.vocabulary = id_of(*result.tokenizer);
  return result;
}

expected<model_text, error> open_tokenizer_json(const std::filesystem::path& path, std::uint32_t vocabulary) {
  const auto folder = path.parent_path();
  auto json = read_if_there(path, tokenizer_bytes_max);
  auto config = read_if_there(folder / "tokenizer_config.json", small_file_bytes_max);
  auto generation = read_if_there(folder / "generation_config.json", small_file_bytes_max);
  auto jinja = read_if_there(folder / "chat_template.jinja", small_file_bytes_max);
  for (const auto* text : {&json, &config, &generation, &jinja})
    if (!*text)
      return unexpected{text->error()};
  if (json->empty())
    return refused(path, "there is no such file, or it is empty");
  auto description = text::read_tokenizer_json(*json);
  if (!description)
    return refused(path, description.error().context);
  auto beside = text::read_tokenizer_config({*config, *generation, *jinja});
  if (!beside)
    return refused(folder, beside.error().context);
  if (auto applied = text::apply(*beside, *description); !applied)
    return refused(folder, applied.error().context);
  model_text result;
  if (const auto* found = beside->find_chat_template()) {
    result.chat_template = found->source;
    result.chat_template_place = jinja->empty() ? "tokenizer_config.json: chat_template" : "chat_template.jinja";
  }
  return finish(path, std::move(*description), vocabulary, std::move(result));
}

bool is_gguf(const std::filesystem::path& path) {
  char magic[4] = {};
  std::ifstream{path, std::ios::binary}.read(magic, sizeof magic);
  return std::string_view{magic, sizeof magic} == "GGUF";
}

} // namespace

expected<model_text, error> read_model_text(const gpu::gguf_file& file, std::uint32_t vocabulary) {
  auto stated = vocabulary_from_gguf(file);
  if (!stated)
    return refused(file.path(), stated.error().context);
  auto description = text::describe(*stated);
  if (!description)
    return refused(file.path(), description.error().context);
  model_text result;
  if (auto source = file.find_string("tokenizer.chat_template")) {
    result.chat_template = *source;
    result.chat_template_place = "tokenizer.chat_template";
  }
  return finish(file.path(), std::move(*description), vocabulary, std::move(result));
}

bool is_model(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored) || path.extension() == ".json"
         || (std::filesystem::is_regular_file(path, ignored) && is_gguf(path));
}

expected<model_text, error> open_model_text(const std::filesystem::path& path, std::uint32_t vocabulary) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    return open_tokenizer_json(path / "tokenizer.json", vocabulary);
  // Not before it is known to be a regular file: opening a pipe would wait.
  if (!std::filesystem::is_regular_file(path, ignored))
    return refused(path, "there is no such file");
  if (!is_gguf(path))
    return open_tokenizer_json(path, vocabulary);
  auto file = gpu::gguf_file::open(path);
  if (!file)
    return fail(errc::resource, file.error().context); // it begins with the path
  return read_model_text(*file, vocabulary);
}

} // namespace troupe
