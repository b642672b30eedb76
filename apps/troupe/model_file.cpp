// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/model_file.hpp"

#include <fstream>
#include <utility>

#include "actors/model/vocabulary_from_gguf.hpp"
#include "gpu/model/gguf.hpp"
#include "text/jinja/limits.hpp"

namespace troupe {

namespace {

expected<text::tokenizer, error> tokenizer_of(const gpu::gguf_file& file) {
  auto vocabulary = vocabulary_from_gguf(file);
  if (!vocabulary)
    return fail(errc::resource, file.path().string() + ": " + vocabulary.error().context);
  auto result = text::tokenizer::make(std::move(*vocabulary));
  if (!result)
    return fail(errc::resource, file.path().string() + ": " + result.error().context);
  return result;
}

expected<template_source, error> template_of_model(const std::filesystem::path& path) {
  const auto file = gpu::gguf_file::open(path);
  if (!file)
    return fail(errc::resource, file.error().context); // it begins with the path
  const auto text = file->find_string("tokenizer.chat_template");
  if (!text)
    return fail(errc::no_chat_template, path.string() + ": " + text.error().context);
  const auto tokenizer = tokenizer_of(*file);
  if (!tokenizer)
    return unexpected{tokenizer.error()};
  const auto piece = [&tokenizer](std::optional<token_id> id) {
    return id ? std::string{tokenizer->piece(*id)} : std::string{};
  };
  return template_source{std::string{*text}, piece(tokenizer->bos()), piece(tokenizer->eos())};
}

} // namespace

expected<text::tokenizer, error> open_tokenizer(const std::filesystem::path& path) {
  const auto file = gpu::gguf_file::open(path);
  if (!file)
    return fail(errc::resource, file.error().context);
  return tokenizer_of(*file);
}

expected<template_source, error> open_template(const std::filesystem::path& path) {
  std::error_code code;
  if (!std::filesystem::is_regular_file(path, code))
    return fail(errc::resource, path.string() + ": there is no such file");
  std::ifstream in{path, std::ios::binary};
  std::string text(text::template_limits{}.source_bytes_max + 1, '\0'); // parsing refuses the one too many
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!in.is_open() || in.bad())
    return fail(errc::resource, path.string() + ": cannot be read");
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.starts_with("GGUF"))
    return template_of_model(path);
  return template_source{std::move(text), "", ""};
}

} // namespace troupe
