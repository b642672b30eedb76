// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace troupe::text {

/// Why a template could not be parsed or rendered.
enum class template_errc : std::uint8_t {
  /// No error.
  none = 0,
  /// The source is not a template, or uses a tag, filter or test that does not exist.
  syntax,
  /// An operation on a variable, attribute or item that does not exist.
  undefined_value,
  /// An operation on values of the wrong type, count or range.
  invalid_operation,
  /// The template itself refused the conversation, by raise_exception; the message is its own.
  refused,
  /// A limit of template_limits was reached; the message names it.
  limit_exceeded = 5,
};

std::string to_string(template_errc);

struct template_error {
  template_errc code{};
  std::string message;
  /// Line of the template, from 1.
  std::uint32_t line = 0;

  friend bool operator==(const template_error&, const template_error&) = default;
};

namespace jinja {

/// How an error travels inside the interpreter; chat_template turns it into a value.
struct fault : std::exception {
  explicit fault(template_error e) : error(std::move(e)) {}
  const char* what() const noexcept override { return error.message.c_str(); }
  template_error error;
};

/// "'text'", shortened, for messages.
std::string in_quotes(std::string_view text);

} // namespace jinja
} // namespace troupe::text
