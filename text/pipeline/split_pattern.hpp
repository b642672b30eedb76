// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace troupe::text {

/// Patterns that models publish and that are compiled by hand here. Each matches at every place of every text,
/// so that the matches put together are the text.
enum class split_pattern : std::uint8_t {
  /// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
  gpt2,
  /// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
  qwen2,
  /// As qwen2, with \p{N}{1,3}.
  llama3,
  /// As qwen2 and llama3, with contractions in ASCII only: (?i:'s) has U+017F for an s, too. So llama.cpp cuts.
  qwen2_ascii,
  llama3_ascii,
  /// [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|…|'d)?|
  /// [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|…|'d)?|\p{N}{1,3}|
  ///  ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
  o200k,
  /// As o200k, without contractions and with \p{N}.
  tekken,
};

/// By the exact text of a regular expression; nothing if it isn't compiled by hand.
std::optional<split_pattern> find_split_pattern(std::string_view regex);

/// The regular expression whose matches the pattern gives.
std::string_view regex_of(split_pattern);

/// The end of the match that begins at `at`. Takes time linear in the length of the match and of the white space
/// behind it. Bytes that are not UTF-8 count as characters that are neither letter, number nor space.
/// REQUIRES: at < text.size()
std::size_t end_of_match(split_pattern, std::string_view text, std::size_t at);

} // namespace troupe::text
