// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/byte_trie.hpp"

#include <algorithm>
#include <deque>

namespace troupe::text {

namespace {

/// Sorted entries that share their first `depth` bytes, and the node that stands for these.
struct open_node {
  std::size_t begin;
  std::size_t end;
  std::size_t depth;
  std::uint32_t index;
};

} // namespace

byte_trie::byte_trie(std::vector<std::pair<std::string_view, token_id>> entries) {
  std::erase_if(entries, [](const auto& e) { return e.first.empty(); });
  std::ranges::stable_sort(entries, {}, [](const auto& e) { return e.first; });
  // Level by level, so that siblings lie together.
  std::deque<open_node> open{{0, entries.size(), 0, no_node}};
  while (!open.empty()) {
    auto [at, end, depth, parent] = open.front();
    open.pop_front();
    for (; at < end && entries[at].first.size() == depth; ++at)
      nodes_[parent].value = entries[at].second;
    const auto first = static_cast<std::uint32_t>(nodes_.size());
    while (at < end) {
      const auto byte = static_cast<std::uint8_t>(entries[at].first[depth]);
      auto next = at;
      while (next < end && static_cast<std::uint8_t>(entries[next].first[depth]) == byte)
        ++next;
      const auto index = static_cast<std::uint32_t>(nodes_.size());
      nodes_.push_back({no_value, 0, 0, byte});
      if (parent == no_node)
        roots_[byte] = index;
      open.push_back({at, next, depth + 1, index});
      at = next;
    }
    if (parent != no_node) {
      nodes_[parent].first_child = first;
      nodes_[parent].children = static_cast<std::uint16_t>(nodes_.size() - first);
    }
  }
}

} // namespace troupe::text
