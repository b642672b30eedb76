// SPDX-License-Identifier: Apache-2.0
#include "text/stop_matcher.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace troupe::text {

namespace {

std::vector<std::size_t> borders_of(std::string_view text) {
  std::vector<std::size_t> borders(text.size(), 0);
  std::size_t length = 0;
  for (std::size_t i = 1; i < text.size(); ++i) {
    while (length > 0 && text[i] != text[length])
      length = borders[length - 1];
    if (text[i] == text[length])
      ++length;
    borders[i] = length;
  }
  return borders;
}

} // namespace

stop_matcher::stop_matcher(std::vector<std::string> stops) {
  for (auto& stop : stops) {
    assert(!stop.empty());
    auto borders = borders_of(stop);
    patterns_.push_back({std::move(stop), std::move(borders)});
  }
}

void stop_matcher::pattern::step(char c) {
  while (matched > 0 && text[matched] != c)
    matched = borders[matched - 1];
  if (text[matched] == c)
    ++matched;
}

stop_matcher::output stop_matcher::feed(std::string_view text) {
  assert(!has_matched_);
  output result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (std::size_t p = 0; p < patterns_.size(); ++p) {
      auto& pattern = patterns_[p];
      pattern.step(text[i]);
      if (pattern.matched == pattern.text.size()
          && (!result.matched || pattern.text.size() > patterns_[*result.matched].text.size()))
        result.matched = p;
    }
    if (result.matched) {
      has_matched_ = true;
      held_.append(text.substr(0, i + 1));
      // What was given out earlier can't reach into the match: that much was held back.
      held_.resize(held_.size() - patterns_[*result.matched].text.size());
      result.text = std::exchange(held_, {});
      return result;
    }
  }
  std::size_t held_bytes = 0;
  for (const auto& pattern : patterns_)
    held_bytes = std::max(held_bytes, pattern.matched);
  held_.append(text);
  result.text = held_.substr(0, held_.size() - held_bytes);
  held_.erase(0, held_.size() - held_bytes);
  return result;
}

std::string stop_matcher::finish() { return std::exchange(held_, {}); }

} // namespace troupe::text
