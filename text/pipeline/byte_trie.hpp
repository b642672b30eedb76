// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "messages/ids.hpp"

namespace troupe::text {

/// A set of byte strings, each with a value. The children of a node lie side by side, in the order of their bytes.
class byte_trie {
public:
  static constexpr token_id no_value = std::numeric_limits<token_id>::max();

  byte_trie() = default;
  /// Empty strings are left out; of equal ones the last counts.
  explicit byte_trie(std::vector<std::pair<std::string_view, token_id>> entries);

  bool empty() const { return nodes_.empty(); }
  /// Whether any string begins with this byte.
  bool begins(std::uint8_t byte) const { return roots_[byte] != no_node; }

  /// Calls visit(length, value) for each string of the set that `text` has at `at`, the shortest first.
  template <class Visit>
  void for_each_prefix(std::string_view text, std::size_t at, Visit visit) const {
    if (at >= text.size())
      return;
    auto index = roots_[static_cast<std::uint8_t>(text[at])];
    for (std::size_t length = 1; index != no_node; ++length) {
      if (nodes_[index].value != no_value)
        visit(length, nodes_[index].value);
      if (at + length >= text.size())
        return;
      index = child(nodes_[index], static_cast<std::uint8_t>(text[at + length]));
    }
  }

private:
  static constexpr std::uint32_t no_node = std::numeric_limits<std::uint32_t>::max();

  struct node {
    token_id value = no_value;
    std::uint32_t first_child = 0;
    std::uint16_t children = 0;
    std::uint8_t byte = 0;
  };

  std::uint32_t child(const node& parent, std::uint8_t byte) const {
    std::uint32_t low = parent.first_child;
    std::uint32_t count = parent.children;
    while (count > 0) {
      const auto half = count / 2;
      if (nodes_[low + half].byte < byte) {
        low += half + 1;
        count -= half + 1;
      } else {
        count = half;
      }
    }
    return low < parent.first_child + parent.children && nodes_[low].byte == byte ? low : no_node;
  }

  std::vector<node> nodes_;
  std::array<std::uint32_t, 256> roots_ = filled(no_node);

  static std::array<std::uint32_t, 256> filled(std::uint32_t value) {
    std::array<std::uint32_t, 256> result;
    result.fill(value);
    return result;
  }
};

} // namespace troupe::text
