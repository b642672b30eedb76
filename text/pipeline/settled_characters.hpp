// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "messages/ids.hpp"
#include "text/pipeline/merge_table.hpp"
#include "text/tokenizer_description.hpp"

namespace troupe::text {

/// Characters of several bytes whose bytes merge with each other before any of them can merge with what stands beside
/// them, so that byte-level BPE may begin with the character's token.
///
/// While the bytes of a character merge to its token, each merge has a rank. A neighbour disturbs that only by a merge
/// with the first or the last symbol of the character that has a lower rank at that time. So each character has two
/// sets of bytes: those with which a disturbing symbol on the left ends, and those with which one on the right begins.
/// Next to any other byte the character is settled.
class settled_characters {
public:
  static constexpr token_id none = ~token_id{0};

  /// `bytes` has the token of each byte.
  settled_characters(const tokenizer_description&, const merge_table&, const std::array<token_id, 256>& bytes);

  /// The token of the character, if it is settled in `word` at `at`. REQUIRES: that is where it stands
  token_id find(std::string_view word, std::size_t at, char32_t code_point, std::size_t bytes) const {
    if (code_point >= characters_.size())
      return none;
    const auto& c = characters_[code_point];
    if (c.token == none || (at > 0 && sets_[c.left][static_cast<std::uint8_t>(word[at - 1])]))
      return none;
    const auto end = at + bytes;
    return end < word.size() && sets_[c.right][static_cast<std::uint8_t>(word[end])] ? none : c.token;
  }

private:
  using byte_set = std::bitset<256>;

  struct character {
    token_id token = none;
    std::uint16_t left = 0;
    std::uint16_t right = 0;
  };

  /// Merges of a symbol with its neighbours on one side: ranks, and the neighbours' bytes that touch it.
  struct neighbour {
    std::uint32_t rank;
    std::uint8_t byte;
  };
  using neighbours = std::vector<std::vector<neighbour>>;

  struct sides {
    neighbours left;
    neighbours right;
  };

  void add(char32_t code_point, token_id token, std::span<const token_id> bytes, const merge_table&, const sides&);
  std::uint16_t index_of(const byte_set&);

  /// By code point, up to U+FFFF.
  std::vector<character> characters_;
  std::vector<byte_set> sets_;
};

} // namespace troupe::text
