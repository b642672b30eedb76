// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// Appends JSON to a string. On the token path, so no tree and no allocation beyond the string's own.
namespace troupe::openai {

/// `text` in quotes, escaped. Bytes that are not UTF-8 are written as U+FFFD.
void append_string(std::string& out, std::string_view text);

/// As append_string. REQUIRES: text is well-formed UTF-8
void append_utf8_string(std::string& out, std::string_view text);

void append_integer(std::string& out, std::int64_t value);
void append_unsigned(std::string& out, std::uint64_t value);

/// The shortest digits that give the same float. JSON has no infinities: they, and NaN, become ±9999,
/// which is what OpenAI writes for a probability of nothing.
void append_float(std::string& out, float value);

/// The bytes as an array of numbers.
void append_byte_array(std::string& out, std::string_view bytes);

} // namespace troupe::openai
