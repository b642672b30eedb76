// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "messages/ids.hpp"

namespace troupe::text {

/// Finds whole tokens in a text: the leftmost, of several at one place the longest.
class special_matcher {
public:
  struct match {
    std::size_t at;
    std::size_t bytes;
    token_id token;
  };

  /// Does nothing for an empty text.
  void insert(std::string_view text, token_id);

  /// The first match that begins at `from` or later. Takes O(text × longest inserted text) at worst.
  std::optional<match> find(std::string_view text, std::size_t from) const;

private:
  std::optional<match> match_at(std::string_view text, std::size_t at) const;

  static constexpr token_id no_token = ~token_id{0};

  /// A trie: (node << 8 | byte) to node; node 0 is the root.
  std::unordered_map<std::uint64_t, std::uint32_t> edges_;
  /// Token that ends at each node.
  std::vector<token_id> ends_{no_token};
  std::array<bool, 256> starts_{};
};

} // namespace troupe::text
