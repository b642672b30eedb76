// SPDX-License-Identifier: Apache-2.0
// The hand-compiled patterns against PCRE2, which runs the regular expressions that they stand for.
#include "text/pipeline/split_pattern.hpp"

#include <doctest/doctest.h>

#include "tests/support/splitmix64.hpp"
#include "text/pipeline/character_table.hpp"
#include "text/pipeline/pattern_matcher.hpp"
#include "text/pipeline/regex_translation.hpp"
#include "text/unicode.hpp"

namespace troupe::text {

namespace {

using words = std::vector<std::string>;

constexpr split_pattern all_patterns[] = {
  split_pattern::gpt2,         split_pattern::qwen2, split_pattern::llama3, split_pattern::qwen2_ascii,
  split_pattern::llama3_ascii, split_pattern::o200k, split_pattern::tekken,
};

words by_hand(split_pattern pattern, std::string_view text) {
  words result;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = end_of_match(pattern, text, at);
    REQUIRE(end > at);
    result.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return result;
}

words by_regex(const regex_matcher& regex, std::string_view text) {
  words result;
  for (auto hit = regex.find(text, 0); hit; hit = regex.find(text, hit->end))
    result.emplace_back(text.substr(hit->begin, hit->end - hit->begin));
  return result;
}

/// Letters in and out of ASCII and of each case, digits, marks, spaces of each kind, what contractions are made of.
std::string random_text(test::splitmix64& random) {
  static constexpr std::string_view common = "aAbzZsStTdDmMlLrReEvV019 .,-/'\n\r\t";
  static constexpr char32_t others[] = {0xE9,   0xC9,   0x1C5,  0x17F,  0x2B0,  0x5D0,   0x3042,  0x4E00,
                                        0x301,  0x903,  0x20DD, 0xBD,   0x665,  0xA0,    0x3000,  0x85,
                                        0x2028, 0x200B, 0x180E, 0x2019, 0x20AC, 0x1F600, 0x10400, 0x1D7CE,
                                        0x400,  0x43E,  0x47F,  0x482,  0xAC00, 0xD7A3,  0xE01};
  std::string text;
  for (auto n = 1 + random.below(24); n > 0; --n)
    if (random.below(3) != 0)
      text += std::string(1 + random.below(3), common[random.below(common.size())]);
    else
      text += to_utf8(others[random.below(std::size(others))]);
  return text;
}

} // namespace

TEST_CASE("a pattern that is compiled by hand cuts as its regular expression does") {
  for (const auto pattern : all_patterns) {
    CAPTURE(regex_of(pattern));
    const auto regex = regex_matcher::make(regex_of(pattern));
    REQUIRE_MESSAGE(regex.has_value(), regex.error());
    CHECK(find_split_pattern(regex_of(pattern)) == pattern);
    test::splitmix64 random{static_cast<std::uint64_t>(pattern) + 1};
    for (int round = 0; round < 5000; ++round) {
      const auto text = random_text(random);
      const auto expected = by_regex(*regex, text);
      if (by_hand(pattern, text) != expected) {
        CAPTURE(text);
        CHECK(by_hand(pattern, text) == expected);
      }
    }
  }
}

TEST_CASE("a word ends at the first character that is no letter, whatever it is") {
  const auto& table = character_table::get();
  for (const std::string letters : {"a", "é", "пять", "десять", "二", "한국"})
    for (char32_t c = 0; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 7) {
      if (c >= 0xD800 && c < 0xE000)
        continue;
      const auto more = to_utf8(c) + "я";
      const bool is_letter = (table.of(c) & character_table::letter) != 0;
      if (end_of_match(split_pattern::gpt2, letters + more, 0) != letters.size() + (is_letter ? more.size() : 0))
        FAIL("U+" << std::hex << static_cast<std::uint32_t>(c) << " behind " << letters);
    }
}

TEST_CASE("bytes that are not UTF-8 end a word") {
  test::splitmix64 random{5};
  constexpr std::string_view bytes = "a\xD0\xB6\xD1\x8F\xE4\xB8\xAD\xED\x9E\xA3\xA0\xE0\xC2\xF0\x90\xFF";
  for (int round = 0; round < 20'000; ++round) {
    std::string text = "жа";
    for (auto n = random.below(20); n > 0; --n)
      text += bytes[random.below(bytes.size())];
    std::size_t end = 0;
    while (end < text.size()) {
      const auto c = read_any_char(text, end);
      if (c.state != utf8_state::valid || (character_table::get().of(c.code_point) & character_table::letter) == 0)
        break;
      end += c.bytes;
    }
    if (end_of_match(split_pattern::gpt2, text, 0) != end)
      FAIL("round " << round);
  }
}

TEST_CASE("only the exact text of a pattern is known") {
  CHECK(!find_split_pattern(""));
  CHECK(!find_split_pattern(std::string{regex_of(split_pattern::gpt2)} + " "));
}

TEST_CASE("a regular expression means what Oniguruma means by it") {
  const auto matches = [](std::string_view regex, std::string_view text) {
    const auto made = regex_matcher::make(regex);
    REQUIRE_MESSAGE(made.has_value(), made.error());
    return by_regex(*made, text);
  };
  CHECK(matches("\\s", "a\u0085b\u180Ec").size() == 1); // U+180E is no White_Space
  CHECK(matches("\\w+", "a\u0301b-c") == words{"a\u0301b", "c"});
  CHECK(matches("[^\\s]+", "a b\u00A0c") == words{"a", "b", "c"});
  CHECK(matches("[^\\S\\n]+", "a \n\tb") == words{" ", "\t"});
  CHECK(matches(" ?[^(\\s|[.,!?])]+", "ab, cd!") == words{"ab", " cd"});
  CHECK(matches("\\d+", "1\u0663x") == words{"1\u0663"});
  CHECK(matches("^b$", "a\nb\nc") == words{"b"});
  CHECK(matches("a*", "baab") == words{"aa"}); // empty matches are none
  CHECK(matches("(?i:s)", "\u017F").size() == 1);
}

TEST_CASE("what cannot be translated is refused") {
  for (const auto* regex : {"[a&&b]", "[[^a]b]", "\\h", "[\\W]", "\\K", "[a", "\\", "[[:alpha:]]", "\\bword"})
    CHECK(!translate_regex(regex).has_value());
  CHECK(!regex_matcher::make("(").has_value());
  CHECK(!regex_matcher::make(std::string(70'000, 'a')).has_value());
}

TEST_CASE("a pattern that would take forever finds nothing") {
  const auto regex = regex_matcher::make("(?:a+)+$b|(?:(?:x+x+)+y)");
  REQUIRE(regex.has_value());
  CHECK(!regex->find(std::string(3000, 'x'), 0).has_value());
}

} // namespace troupe::text
