// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer_specials.hpp"

namespace troupe::text {

void special_matcher::insert(std::string_view text, token_id token) {
  if (text.empty())
    return;
  starts_[static_cast<std::uint8_t>(text.front())] = true;
  std::uint32_t node = 0;
  for (const char c : text) {
    const auto next = static_cast<std::uint32_t>(ends_.size());
    const auto [edge, is_new] = edges_.try_emplace(std::uint64_t{node} << 8 | static_cast<std::uint8_t>(c), next);
    if (is_new)
      ends_.push_back(no_token);
    node = edge->second;
  }
  ends_[node] = token;
}

std::optional<special_matcher::match> special_matcher::match_at(std::string_view text, std::size_t at) const {
  std::optional<match> longest;
  std::uint32_t node = 0;
  for (auto i = at; i < text.size(); ++i) {
    const auto edge = edges_.find(std::uint64_t{node} << 8 | static_cast<std::uint8_t>(text[i]));
    if (edge == edges_.end())
      break;
    node = edge->second;
    if (ends_[node] != no_token)
      longest = match{at, i + 1 - at, ends_[node]};
  }
  return longest;
}

std::optional<special_matcher::match> special_matcher::find(std::string_view text, std::size_t from) const {
  for (auto at = from; at < text.size(); ++at)
    if (starts_[static_cast<std::uint8_t>(text[at])])
      if (auto found = match_at(text, at))
        return found;
  return std::nullopt;
}

} // namespace troupe::text
