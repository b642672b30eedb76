// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "messages/ids.hpp"
#include "text/pipeline/byte_trie.hpp"
#include "text/tokenizer_description.hpp"

namespace troupe::text {

/// Finds added tokens in a text: the leftmost first, of several at one place the longest.
class added_token_finder {
public:
  struct match {
    /// With the white space that the token takes along.
    std::size_t begin;
    std::size_t end;
    token_id token;
    /// Where the search goes on: behind the token itself. White space that it took along may be part of another one,
    /// which then stands in the result, too. So Hugging Face has it.
    std::size_t search_from;
  };

  added_token_finder() = default;
  explicit added_token_finder(std::vector<added_token> tokens);

  bool empty() const { return trie_.empty(); }

  /// The first match whose token begins at `from` or later; `taken` bytes of the text belong to earlier matches
  /// already. Takes O(text × longest token) at worst.
  std::optional<match> find(std::string_view text, std::size_t from, std::size_t taken) const;

private:
  bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) const;
  std::size_t find_start(std::string_view text, std::size_t from) const;

  std::vector<added_token> tokens_;
  /// To indices of tokens_.
  byte_trie trie_;
  /// The only byte that tokens begin with, if there is only one.
  std::optional<char> only_start_;
};

} // namespace troupe::text
