// SPDX-License-Identifier: Apache-2.0
#include "text/stop_matcher.hpp"

#include <algorithm>
#include <random>

#include <doctest/doctest.h>

namespace troupe::text {

namespace {

struct outcome {
  std::string text;
  std::optional<std::size_t> matched;
  bool operator==(const outcome&) const = default;
};

/// The definition: the first end of a stop string, the longest of those that end there.
outcome expected_of(const std::vector<std::string>& stops, const std::string& text) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < stops.size(); ++i)
      if (text.substr(0, end).ends_with(stops[i]) && (!best || stops[i].size() > stops[*best].size()))
        best = i;
    if (best)
      return {text.substr(0, end - stops[*best].size()), best};
  }
  return {text, std::nullopt};
}

} // namespace

TEST_CASE("a stop string is found across the borders of what is fed") {
  stop_matcher matcher{{"</end>"}};
  CHECK(matcher.feed("hello <").text == "hello ");
  CHECK(matcher.feed("/en").text.empty());
  const auto out = matcher.feed("d> more");
  CHECK(out.text.empty());
  CHECK(out.matched == 0U);
  CHECK(matcher.finish().empty());
}

TEST_CASE("text that began like a stop string comes out once it is none") {
  stop_matcher matcher{{"aab"}};
  CHECK(matcher.feed("aa").text.empty());
  CHECK(matcher.feed("a").text == "a");
  CHECK(matcher.feed("c").text == "aac");
  CHECK(matcher.feed("xa").text == "x");
  CHECK(matcher.finish() == "a");
}

TEST_CASE("without stop strings nothing is held back") {
  stop_matcher matcher{{}};
  CHECK(matcher.feed("anything").text == "anything");
  CHECK(matcher.finish().empty());
}

TEST_CASE("the stop string that is complete first wins, and of two that end together the longer") {
  CHECK(stop_matcher{{"bcd", "ab"}}.feed("xabcd").matched == 1U);
  const auto out = stop_matcher{{"b", "ab"}}.feed("xab");
  CHECK(out.text == "x");
  CHECK(out.matched == 1U);
}

TEST_CASE("text and match are those of the definition, however the text is cut, and no more is held than needed") {
  std::mt19937 random{5};
  auto word = [&](std::size_t min, std::size_t max) {
    std::string text;
    for (auto n = min + random() % (max - min + 1); n > 0; --n)
      text += "ab\n"[random() % 3];
    return text;
  };
  for (int round = 0; round < 5000; ++round) {
    std::vector<std::string> stops;
    for (auto n = random() % 4; n > 0; --n)
      stops.push_back(word(1, 6));
    const auto text = word(0, 30);
    stop_matcher matcher{stops};
    outcome actual;
    std::size_t at = 0;
    while (at < text.size() && !actual.matched) {
      const auto n = 1 + random() % 5;
      auto out = matcher.feed(std::string_view{text}.substr(at, n));
      at = std::min(at + n, text.size());
      actual.text += out.text;
      actual.matched = out.matched;
      if (!actual.matched) {
        const auto held = text.substr(actual.text.size(), at - actual.text.size());
        const bool is_needed =
          held.empty() || std::any_of(stops.begin(), stops.end(), [&](auto& s) { return s.starts_with(held); });
        CHECK(is_needed);
      }
    }
    actual.text += matcher.finish();
    CHECK(actual == expected_of(stops, text));
  }
}

} // namespace troupe::text
