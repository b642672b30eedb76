// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "messages/errc.hpp"
#include "messages/expected.hpp"
#include "messages/ids.hpp"
#include "text/vocabulary.hpp"

namespace troupe::text {

enum class space_prefix : std::uint8_t { no, yes };

/// SentencePiece's byte pair encoding: each character is a symbol; the adjacent pair that together
/// is the token of the highest score merges, the leftmost first among equals, until no pair is a token.
/// Characters that are no token become one byte token per byte. Spaces are written as U+2581.
class sentencepiece_bpe {
public:
  /// Errors name the GGUF key. Control, unknown and byte tokens are never made from text.
  static expected<sentencepiece_bpe, error> make(const vocabulary&);

  /// `space_prefix::yes` encodes as if a space stood before the text.
  std::vector<token_id> encode(std::string_view text, space_prefix) const;

private:
  struct entry {
    token_id token;
    float score;
  };

  struct string_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>{}(s); }
  };

  class run;

  std::unordered_map<std::string, entry, string_hash, std::equal_to<>> entries_;
  /// No concatenation longer than this needs to be looked up.
  std::size_t entry_bytes_max_ = 0;
  /// Token of each byte; the unknown token where the vocabulary has no byte token.
  std::array<token_id, 256> byte_tokens_{};
};

/// U+2581 as UTF-8, how SentencePiece writes a space.
inline constexpr std::string_view escaped_space = "\xE2\x96\x81";

/// Every occurrence of `from` in `text` replaced by `to`. REQUIRES: from is not empty
std::string replaced(std::string_view text, std::string_view from, std::string_view to);

} // namespace troupe::text
