// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <concepts>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "actors/log/log_config.hpp"

namespace troupe {

/// A key and its value as text. Keys are fixed names in kebab-case.
struct log_field {
  log_field(std::string_view name, std::string text) : key(name), value(std::move(text)) {}
  log_field(std::string_view name, std::string_view text) : key(name), value(text) {}
  log_field(std::string_view name, const char* text) : key(name), value(text) {}
  log_field(std::string_view name, bool x) : key(name), value(x ? "true" : "false") {}
  template <class Number>
    requires(std::integral<Number> || std::floating_point<Number>)
  log_field(std::string_view name, Number x) : key(name), value(std::to_string(x)) {}

  std::string_view key;
  std::string value;
};

std::string_view to_string(log_level);

struct log_record {
  std::chrono::system_clock::time_point time;
  log_level level;
  std::string_view component;
  std::string_view message;
  std::span<const log_field> fields;
};

/// One line without its end. Text: a value with spaces, quotes, = or control characters is quoted and
/// escaped, so that no outside text can pretend to be a line or a field of ours. JSON: one object with
/// time, level, component, message and the fields, all values strings.
std::string format_line(const log_record&, log_format);

} // namespace troupe
