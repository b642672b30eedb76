// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/settled_characters.hpp"

#include <algorithm>
#include <string>

#include "text/pipeline/byte_alphabet.hpp"
#include "text/unicode.hpp"

namespace troupe::text {

namespace {

constexpr std::size_t sets_max = 65'535;

bool is_continuation(char c) { return (static_cast<std::uint8_t>(c) & 0xC0) == 0x80; }

/// Whether a symbol may be the first one of an unfinished character, or the last one.
bool begins_character(std::string_view bytes) {
  return !bytes.empty() && static_cast<std::uint8_t>(bytes[0]) >= 0xC2 && bytes.size() < 4;
}
bool ends_character(std::string_view bytes) {
  return !bytes.empty() && bytes.size() < 4 && std::ranges::all_of(bytes, is_continuation);
}

} // namespace

settled_characters::settled_characters(const tokenizer_description& d, const merge_table& merges,
                                       const std::array<token_id, 256>& bytes) {
  std::vector<std::string> decoded;
  decoded.reserve(d.tokens.size());
  for (const auto& token : d.tokens)
    decoded.push_back(decode_byte_alphabet(token));
  sides all{neighbours(d.tokens.size()), neighbours(d.tokens.size())};
  for (const auto& m : std::get<bpe_description>(d.model).merges) {
    const auto& left = decoded[m.left];
    const auto& right = decoded[m.right];
    if (left.empty() || right.empty())
      continue;
    if (begins_character(right))
      all.left[m.right].push_back({m.rank, static_cast<std::uint8_t>(left.back())});
    if (ends_character(left))
      all.right[m.left].push_back({m.rank, static_cast<std::uint8_t>(right.front())});
  }
  characters_.resize(0x10000);
  for (token_id id = 0; id < d.tokens.size(); ++id) {
    const auto& text = decoded[id];
    if (d.roles[id] == token_role::none || text.size() < 2 || text.size() > 3)
      continue;
    const auto c = read_char(text, 0);
    if (c.state != utf8_state::valid || c.bytes != text.size())
      continue;
    std::array<token_id, 3> symbols{};
    for (std::size_t i = 0; i < text.size(); ++i)
      symbols[i] = bytes[static_cast<std::uint8_t>(text[i])];
    add(c.code_point, id, std::span{symbols}.first(text.size()), merges, all);
  }
}

void settled_characters::add(char32_t code_point, token_id token, std::span<const token_id> bytes,
                             const merge_table& merges, const sides& all) {
  std::vector<token_id> symbols{bytes.begin(), bytes.end()};
  byte_set left;
  byte_set right;
  while (symbols.size() > 1) {
    std::size_t best = 0;
    auto pair = merge_table::none;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i)
      if (const auto p = merges.find(symbols[i], symbols[i + 1]); p < pair) {
        pair = p;
        best = i;
      }
    if (pair == merge_table::none)
      return;
    const auto rank = static_cast<std::uint32_t>(pair >> 32);
    for (const auto& n : all.left[symbols.front()])
      if (n.rank <= rank)
        left.set(n.byte);
    for (const auto& n : all.right[symbols.back()])
      if (n.rank <= rank)
        right.set(n.byte);
    symbols[best] = static_cast<token_id>(pair);
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  if (symbols.front() == token && sets_.size() + 2 < sets_max)
    characters_[code_point] = {token, index_of(left), index_of(right)};
}

std::uint16_t settled_characters::index_of(const byte_set& set) {
  const auto found = std::ranges::find(sets_, set);
  const auto index = static_cast<std::uint16_t>(found - sets_.begin());
  if (found == sets_.end())
    sets_.push_back(set);
  return index;
}

} // namespace troupe::text
