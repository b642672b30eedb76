// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/normalizer.hpp"

#include <cstdlib>
#include <memory>
#include <utility>

#include <doctest/doctest.h>
#include <utf8proc.h>

#include "text/unicode.hpp"

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

TEST_CASE("every character has the normal form that utf8proc gives it") {
  constexpr std::pair<normal_form, int> forms[] = {{normal_form::nfc, UTF8PROC_COMPOSE},
                                                   {normal_form::nfd, UTF8PROC_DECOMPOSE},
                                                   {normal_form::nfkc, UTF8PROC_COMPOSE | UTF8PROC_COMPAT},
                                                   {normal_form::nfkd, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT}};
  for (const auto& [form, options] : forms)
    for (char32_t c = 1; c < 0x30000; c += c == 0xD7FF ? 0x801 : 1) {
      const auto text = to_utf8(c);
      std::string buffer;
      const auto actual = to_normal_form(text, form, buffer);
      utf8proc_uint8_t* mapped = nullptr;
      const auto bytes =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                     &mapped, static_cast<utf8proc_option_t>(options | UTF8PROC_STABLE));
      const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner{mapped, &std::free};
      REQUIRE(bytes >= 0);
      const std::string_view expected{reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(bytes)};
      if (actual != expected)
        FAIL("U+" << std::hex << static_cast<std::uint32_t>(c) << ", form " << static_cast<int>(form));
    }
}

TEST_CASE("bytes that are not UTF-8 stay as they are, with a mark behind them, too") {
  std::string buffer;
  for (const std::string text : {"\xE4\u0301", "e\x80\u0301", "\xF0\x9F\u0301", "\xED\xA0\x80\u0301"})
    CHECK(to_normal_form(text, normal_form::nfc, buffer) == text);
}

} // namespace troupe::text
