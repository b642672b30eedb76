// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/character_table.hpp"
#include "text/unicode.hpp"

#include <random>

#include <doctest/doctest.h>

namespace troupe::text {

namespace {

/// A stand-in for U+FFFD, so that expectations can be read.
constexpr std::string_view fffd = "\xEF\xBF\xBD";

std::string repaired(std::string_view bytes) {
  utf8_repairer repairer;
  auto text = repairer.push(bytes);
  return text + repairer.finish();
}

std::string times(int n, std::string_view text) {
  std::string result;
  for (int i = 0; i < n; ++i)
    result += text;
  return result;
}

} // namespace

TEST_CASE("ill-formed UTF-8 becomes one U+FFFD per maximal subpart, as Python's errors=\"replace\" does it") {
  struct {
    std::string_view bytes;
    std::string expected;
  } const cases[] = {
    {"abc", "abc"},
    {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"},
    {"\x80", times(1, fffd)},
    {"\xC0\x80", times(2, fffd)},         // overlong
    {"\xE0\x80\x80", times(3, fffd)},     // overlong
    {"\xF0\x80\x80\x80", times(4, fffd)}, // overlong
    {"\xED\xA0\x80", times(3, fffd)},     // surrogate
    {"\xF4\x90\x80\x80", times(4, fffd)}, // above U+10FFFF
    {"\xF5\xFF", times(2, fffd)},
    {"\xE2\x82", times(1, fffd)}, // cut off at the end
    {"\xF0\x9F\x98", times(1, fffd)},
    {"\xF0\x9F\x98z", times(1, fffd) + "z"}, // cut off by another character
    {"\xE2\x82\xC3\xA9", times(1, fffd) + "\xC3\xA9"},
    {"\xF0\x9F\xE2\x82\xAC", times(1, fffd) + "\xE2\x82\xAC"},
    {std::string_view{"\0a", 2}, std::string{"\0a", 2}},
  };
  for (const auto& [bytes, expected] : cases)
    CHECK(repaired(bytes) == expected);
}

TEST_CASE("repaired text does not depend on how the bytes were cut") {
  std::mt19937 random{20240229};
  // Bytes that begin, continue and break sequences, more often than even chance would have them.
  const std::string_view alphabet = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xED\xA0\xE0\xF4\x90\xFF\xC0";
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (auto n = random() % 24; n > 0; --n)
      bytes += alphabet[random() % alphabet.size()];
    utf8_repairer repairer;
    std::string text;
    for (std::size_t at = 0; at < bytes.size();) {
      const auto n = 1 + random() % 4;
      text += repairer.push(std::string_view{bytes}.substr(at, n));
      at += n;
    }
    text += repairer.finish();
    CHECK(text == repaired(bytes));
  }
}

TEST_CASE("a character is given out with its last byte and not before") {
  utf8_repairer repairer;
  CHECK(repairer.push("\xF0").empty());
  CHECK(repairer.push("\x9F\x98").empty());
  CHECK(repairer.push("\x80!") == "\xF0\x9F\x98\x80!");
  CHECK(repairer.finish().empty());
}

TEST_CASE("characters are classed by their Unicode category, spaces by White_Space") {
  using table = character_table;
  constexpr table::flags classes = table::letter | table::number | table::space | table::mark | table::symbol;
  const auto class_of = [](char32_t c) { return table::get().of(c) & classes; };
  CHECK(class_of(U'a') == table::letter);
  CHECK(class_of(U'é') == table::letter);
  CHECK(class_of(U'語') == table::letter);
  CHECK(class_of(0x02B0) == table::letter); // Lm
  CHECK(class_of(U'7') == table::number);
  CHECK(class_of(U'½') == table::number);
  CHECK(class_of(U'Ⅷ') == table::number);
  CHECK(class_of(0x0301) == table::mark); // combining acute: no letter
  CHECK(class_of(0x1F600) == table::symbol);
  CHECK(class_of(0x200B) == 0); // zero width space is no White_Space
  CHECK(class_of(0x1C) == 0);
  for (const char32_t c :
       {0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20, 0x85, 0xA0, 0x1680, 0x2003, 0x2028, 0x202F, 0x205F, 0x3000})
    CHECK(class_of(c) == table::space);
  CHECK(class_of(0x10FFFF) == 0);
}

} // namespace troupe::text
