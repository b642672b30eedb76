// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/added_token_finder.hpp"

#include <algorithm>

#include "text/pipeline/character_table.hpp"
#include "text/unicode.hpp"

namespace troupe::text {

namespace {

/// The character that ends before `end`; U+FFFD if the bytes there are not UTF-8.
utf8_char character_before(std::string_view text, std::size_t end) {
  for (std::size_t bytes = 1; bytes <= std::min<std::size_t>(4, end); ++bytes) {
    const auto c = read_char(text.substr(0, end), end - bytes);
    if (c.state == utf8_state::valid && c.bytes == bytes)
      return c;
  }
  return {replacement_character, 1, utf8_state::invalid};
}

bool is_word(const utf8_char& c) {
  return c.state == utf8_state::valid && (character_table::get().of(c.code_point) & character_table::word) != 0;
}

bool is_space(const utf8_char& c) { return c.state == utf8_state::valid && is_white_space(c.code_point); }

std::size_t begin_of_space(std::string_view text, std::size_t end) {
  while (end > 0) {
    const auto c = character_before(text, end);
    if (!is_space(c))
      break;
    end -= c.bytes;
  }
  return end;
}

std::size_t end_of_space(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const auto c = read_char(text, at);
    if (!is_space(c))
      break;
    at += c.bytes;
  }
  return at;
}

} // namespace

added_token_finder::added_token_finder(std::vector<added_token> tokens) : tokens_(std::move(tokens)) {
  std::vector<std::pair<std::string_view, token_id>> entries;
  for (std::size_t i = 0; i < tokens_.size(); ++i)
    entries.emplace_back(tokens_[i].content, static_cast<token_id>(i));
  trie_ = byte_trie{std::move(entries)};
  int starts = 0;
  for (int byte = 0; byte < 256; ++byte)
    if (trie_.begins(static_cast<std::uint8_t>(byte))) {
      only_start_ = static_cast<char>(byte);
      ++starts;
    }
  if (starts != 1)
    only_start_.reset();
}

bool added_token_finder::stands_alone(std::string_view text, std::size_t begin, std::size_t end) const {
  return (begin == 0 || !is_word(character_before(text, begin)))
         && (end == text.size() || !is_word(read_char(text, end)));
}

std::size_t added_token_finder::find_start(std::string_view text, std::size_t from) const {
  if (only_start_)
    return text.find(*only_start_, from);
  while (from < text.size() && !trie_.begins(static_cast<std::uint8_t>(text[from])))
    ++from;
  return from < text.size() ? from : std::string_view::npos;
}

std::optional<added_token_finder::match> added_token_finder::find(std::string_view text, std::size_t from,
                                                                  std::size_t taken) const {
  if (empty())
    return std::nullopt;
  for (auto at = find_start(text, from); at != std::string_view::npos;) {
    std::size_t longest = 0;
    token_id index = 0;
    trie_.for_each_prefix(text, at, [&](std::size_t length, token_id i) {
      longest = length;
      index = i;
    });
    if (longest == 0) {
      at = find_start(text, at + 1);
      continue;
    }
    const auto& token = tokens_[index];
    if (token.single_word && !stands_alone(text, at, at + longest)) {
      at = find_start(text, at + longest);
      continue;
    }
    const auto end = at + longest;
    return match{token.lstrip ? std::max(begin_of_space(text, at), taken) : at,
                 token.rstrip ? end_of_space(text, end) : end, token.id, end};
  }
  return std::nullopt;
}

} // namespace troupe::text
