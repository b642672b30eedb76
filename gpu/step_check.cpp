// SPDX-License-Identifier: Apache-2.0
#include "gpu/step_check.hpp"

#include <algorithm>
#include <vector>

namespace troupe::gpu {

namespace {

bool fits(std::uint64_t begin, std::uint64_t count, std::size_t size) { return begin + count <= size; }

/// Of the row's table of a group.
std::optional<std::string> find_table_fault(const step& s, const row& r, std::uint64_t end, const cache_group& group,
                                            std::size_t index) {
  const auto range = r.tables[index];
  if (!fits(range.begin, range.count, s.blocks.size()))
    return "a range of blocks beyond the step's";
  if (std::uint64_t{range.count} * group.block_tokens < end)
    return std::to_string(range.count) + " blocks for " + std::to_string(end) + " positions";
  for (auto block : s.blocks_of(r, index).subspan(group.first_block(r.position)))
    if (block >= group.blocks)
      return "block " + std::to_string(block) + " of " + std::to_string(group.blocks);
  return std::nullopt;
}

std::optional<std::string> find_row_fault(const step& s, const row& r, const executor_info& info) {
  if (r.slot.value >= info.slots_max)
    return "slot " + std::to_string(r.slot.value) + " of " + std::to_string(info.slots_max);
  if (r.from ? r.tokens_count != 0 : r.tokens_count == 0)
    return r.from ? "input tokens beside a row to take one from" : "no input token";
  if (!fits(r.tokens_begin, r.tokens_count, s.tokens.size()))
    return "a range of tokens beyond the step's";
  const std::uint64_t end = std::uint64_t{r.position} + (r.from ? 1 : r.tokens_count);
  if (end > info.context_tokens)
    return "position " + std::to_string(end - 1) + " of a context of " + std::to_string(info.context_tokens);
  for (auto token : s.tokens_of(r))
    if (token >= info.vocabulary)
      return "token " + std::to_string(token) + " of a vocabulary of " + std::to_string(info.vocabulary);
  for (std::size_t g = 0; g < info.groups.size(); ++g)
    if (auto fault = find_table_fault(s, r, end, info.groups[g], g))
      return fault;
  return std::nullopt;
}

} // namespace

std::optional<std::string> find_fault(const step& s, const executor_info& info) {
  if (s.rows.empty() || s.rows.size() > info.rows_max)
    return std::to_string(s.rows.size()) + " rows, not 1 to " + std::to_string(info.rows_max);
  std::vector<std::uint32_t> slots;
  std::uint64_t tokens = 0;
  for (std::size_t i = 0; i < s.rows.size(); ++i) {
    if (auto fault = find_row_fault(s, s.rows[i], info))
      return "row " + std::to_string(i) + ": " + *fault;
    slots.push_back(s.rows[i].slot.value);
    tokens += s.rows[i].from ? 1 : s.rows[i].tokens_count;
  }
  if (tokens > info.tokens_max)
    return std::to_string(tokens) + " tokens, more than " + std::to_string(info.tokens_max);
  std::ranges::sort(slots);
  if (auto twice = std::ranges::adjacent_find(slots); twice != slots.end())
    return "slot " + std::to_string(*twice) + " twice";
  return std::nullopt;
}

} // namespace troupe::gpu
