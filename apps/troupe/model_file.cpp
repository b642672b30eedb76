// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/model_file.hpp"

#include <fstream>
#include <utility>

#include "actors/model/model_text.hpp"
#include "text/jinja/limits.hpp"
#include "text/tokenizer.hpp"

namespace troupe {

namespace {

expected<template_source, error> template_of_model(const std::filesystem::path& path) {
  const auto model = open_model_text(path);
  if (!model)
    return unexpected{model.error()};
  if (model->chat_template.empty())
    return fail(errc::no_chat_template, path.string() + ": has no chat template");
  const auto& tokenizer = *model->tokenizer;
  const auto piece = [&tokenizer](std::optional<token_id> id) {
    return id ? std::string{tokenizer.piece(*id)} : std::string{};
  };
  return template_source{model->chat_template, piece(tokenizer.bos()), piece(tokenizer.eos())};
}

} // namespace

expected<template_source, error> open_template(const std::filesystem::path& path) {
  std::error_code code;
  if (!std::filesystem::exists(path, code))
    return fail(errc::resource, path.string() + ": there is no such file");
  if (is_model(path))
    return template_of_model(path);
  if (!std::filesystem::is_regular_file(path, code))
    return fail(errc::resource, path.string() + ": is no file");
  std::ifstream in{path, std::ios::binary};
  std::string text(text::template_limits{}.source_bytes_max + 1, '\0'); // parsing refuses the one too many
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!in.is_open() || in.bad())
    return fail(errc::resource, path.string() + ": cannot be read");
  text.resize(static_cast<std::size_t>(in.gcount()));
  return template_source{std::move(text), "", ""};
}

} // namespace troupe
