// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "messages/errc.hpp"
#include "messages/expected.hpp"

namespace troupe {

/// The source of a chat template, and the names that templates expect of the model it came with.
struct template_source {
  std::string text;
  /// Empty where the model has no such token, and for a template without a model.
  std::string bos_token;
  std::string eos_token;
};

/// The template of a model (see open_model_text), or a file that is a template. Errors name the file.
expected<template_source, error> open_template(const std::filesystem::path& file);

} // namespace troupe
