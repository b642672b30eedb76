// SPDX-License-Identifier: Apache-2.0
#include "actors/log/log_line.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace troupe {

namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// With escapes that both JSON and people understand. Bytes above 0x7f pass: UTF-8 in, UTF-8 out.
void append_escaped(std::string& to, std::string_view text) {
  for (char c : text) {
    if (c == '"' || c == '\\') {
      to += '\\';
      to += c;
    } else if (c == '\n') {
      to += "\\n";
    } else if (is_control(c)) {
      std::array<char, 8> code{};
      std::snprintf(code.data(), code.size(), "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      to += code.data();
    } else {
      to += c;
    }
  }
}

void append_quoted(std::string& to, std::string_view text) {
  to += '"';
  append_escaped(to, text);
  to += '"';
}

void append_value(std::string& to, std::string_view text) {
  const bool plain = !text.empty() && std::none_of(text.begin(), text.end(), [](char c) {
    return c == ' ' || c == '"' || c == '=' || c == '\\' || is_control(c);
  });
  if (plain)
    to += text;
  else
    append_quoted(to, text);
}

// 2024-07-26T12:00:00.123Z
std::string time_text(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  const auto size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text.data() + size, text.size() - size, ".%03dZ", static_cast<int>(since % 1000));
  return text.data();
}

void append_json_member(std::string& to, std::string_view key, std::string_view value) {
  to += to.size() > 1 ? "," : "";
  append_quoted(to, key);
  to += ':';
  append_quoted(to, value);
}

} // namespace

std::string_view to_string(log_level level) {
  switch (level) {
    case log_level::trace: return "trace";
    case log_level::debug: return "debug";
    case log_level::info: return "info";
    case log_level::warning: return "warning";
    case log_level::error: return "error";
    case log_level::off: return "off";
  }
  return "off";
}

std::string format_line(const log_record& x, log_format format) {
  std::string result;
  if (format == log_format::json) {
    result += '{';
    append_json_member(result, "time", time_text(x.time));
    append_json_member(result, "level", to_string(x.level));
    append_json_member(result, "component", x.component);
    append_json_member(result, "message", x.message);
    for (const log_field& field : x.fields)
      append_json_member(result, field.key, field.value);
    return result += '}';
  }
  result = time_text(x.time) + " " + std::string{to_string(x.level)} + " ";
  append_value(result, x.component);
  result += ' ';
  append_escaped(result, x.message);
  for (const log_field& field : x.fields) {
    result += ' ';
    result += field.key;
    result += '=';
    append_value(result, field.value);
  }
  return result;
}

} // namespace troupe
