// SPDX-License-Identifier: Apache-2.0
#include "actors/config/nearest_key.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace troupe {

namespace {

// Longer keys than any option's are not compared: the tables below are fixed.
constexpr std::size_t key_length_max = 63;

// Optimal string alignment distance, three rows of the table.
std::size_t distance(std::string_view a, std::string_view b) {
  using row = std::array<std::size_t, key_length_max + 1>;
  row before{}, last{}, now{};
  for (std::size_t j = 0; j <= b.size(); ++j)
    last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before = last;
    last = now;
  }
  return last[b.size()];
}

} // namespace

std::string_view nearest_key(std::string_view wrong, std::span<const std::string_view> candidates) {
  std::string_view best;
  if (wrong.size() > key_length_max)
    return best;
  std::size_t best_distance = std::max<std::size_t>(2, wrong.size() / 3) + 1;
  for (std::string_view candidate : candidates) {
    if (candidate.size() > key_length_max)
      continue;
    if (const std::size_t d = distance(wrong, candidate); d < best_distance && d < candidate.size()) {
      best = candidate;
      best_distance = d;
    }
  }
  return best;
}

} // namespace troupe
