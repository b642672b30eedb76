// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/normalizer.hpp"

#include <doctest/doctest.h>

namespace troupe::text {

TEST_CASE("a mark joins the character before it, however far into a text that is") {
  // Of the prefixes the last two are not UTF-8.
  for (const std::string_view prefix : {"x", "\u00E9", "\u0436", "\u4E2D", "\u304B", "\U0001F600", "\xE4", "\x80"}) {
    std::string before;
    for (int i = 0; i < 40; ++i, before += prefix) {
      std::string buffer;
      CAPTURE(before);
      CHECK(to_normal_form(before, normal_form::nfc, buffer) == before);
      CHECK(to_normal_form(before + "e\u0301e", normal_form::nfc, buffer) == before + "\u00E9e");
      CHECK(to_normal_form(before + "\u00E9\u0301e\u0301", normal_form::nfd, buffer).ends_with("e\u0301\u0301e\u0301"));
      CHECK(to_normal_form(before + "\uFF21", normal_form::nfkc, buffer) == before + "A");
    }
  }
}

TEST_CASE("bytes that are not UTF-8 stay as they are, with a mark behind them, too") {
  std::string buffer;
  for (const std::string text : {"\xE4\u0301", "e\x80\u0301", "\xF0\x9F\u0301", "\xED\xA0\x80\u0301"})
    CHECK(to_normal_form(text, normal_form::nfc, buffer) == text);
}

} // namespace troupe::text
