// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::text {

/// The character that stands for a byte in GPT-2's alphabet, as UTF-8: printable Latin-1 stands for
/// itself, the others are numbered from U+0100.
std::string_view byte_alphabet_char(std::uint8_t byte);

/// `text` with each byte written as its character of the alphabet.
std::string encode_byte_alphabet(std::string_view text);

/// The bytes that a token stands for which is written in GPT-2's byte alphabet; the token itself if it
/// has a character that is not of the alphabet.
std::string decode_byte_alphabet(std::string_view token);

} // namespace troupe::text
