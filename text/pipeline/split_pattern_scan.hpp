// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "text/pipeline/character_table.hpp"
#include "text/pipeline/split_pattern.hpp"
#include "text/unicode.hpp"

// The hand-compiled patterns, in a header so that loops over a text's words are compiled with them.
namespace troupe::text::scan {

using flags = character_table::flags;

inline constexpr flags letter = character_table::letter;
inline constexpr flags number = character_table::number;
inline constexpr flags space = character_table::space;
/// Any of these: the character is not in [^\s\p{L}\p{N}].
inline constexpr flags not_other = letter | number | space;

inline constexpr auto ascii_flags = [] {
  std::array<flags, 256> result{};
  for (unsigned c = 0; c < 128; ++c) {
    if (c >= 'a' && c <= 'z')
      result[c] = letter | character_table::lower;
    else if (c >= 'A' && c <= 'Z')
      result[c] = letter | character_table::upper;
    else if (c >= '0' && c <= '9')
      result[c] = number;
    else if (is_white_space(c))
      result[c] = space;
  }
  return result;
}();

inline std::uint8_t byte_at(const char* p) { return static_cast<std::uint8_t>(*p); }

struct character {
  char32_t code_point = 0;
  flags kind = 0;
  /// 0 at the end of the text.
  std::uint8_t bytes = 0;

  bool is(flags wanted) const { return (kind & wanted) != 0; }
  bool is_other() const { return bytes != 0 && (kind & not_other) == 0; }
  bool is_line_break() const { return code_point == '\n' || code_point == '\r'; }
};

/// Out of line, so that the ASCII path stays short.
[[gnu::noinline]] inline character read_long(const char* p, const char* end) {
  const auto c = read_char({p, static_cast<std::size_t>(end - p)}, 0);
  // An ill-formed sequence is taken byte by byte, so that the cut doesn't depend on what follows it.
  if (c.state != utf8_state::valid)
    return {replacement_character, 0, 1};
  return {c.code_point, character_table::get().of(c.code_point), c.bytes};
}

inline character read(const char* p, const char* end) {
  if (p == end)
    return {};
  const auto byte = byte_at(p);
  return byte < 0x80 ? character{byte, ascii_flags[byte], 1} : read_long(p, end);
}

inline const char* end_of_ascii_letters(const char* p, const char* end) {
#if defined(__SSE2__)
  while (end - p >= 16) {
    const auto bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const auto folded = _mm_sub_epi8(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
    const auto inside = _mm_cmpeq_epi8(_mm_min_epu8(folded, _mm_set1_epi8(25)), folded);
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(inside));
    if (mask != 0xFFFF)
      return p + std::countr_one(mask);
    p += 16;
  }
#endif
  while (p != end && (ascii_flags[byte_at(p)] & letter) != 0)
    ++p;
  return p;
}

/// Behind the letters from U+0400 to U+047F that are at `p`, four at a time.
inline const char* end_of_cyrillic(const char* p, const char* end) {
  if constexpr (std::endian::native == std::endian::little)
    while (end - p >= 8) {
      std::uint64_t bytes = 0;
      std::memcpy(&bytes, p, 8);
      // Each has D0 or D1 and a continuation byte.
      const auto differs = (bytes & 0xC0FE'C0FE'C0FE'C0FE) ^ 0x80D0'80D0'80D0'80D0;
      if (differs != 0)
        return p + std::countr_zero(differs) / 16 * 2;
      p += 8;
    }
  return p;
}

/// Behind the letters of more than one byte that are at `p`.
inline const char* end_of_long_letters(const char* p, const char* end) {
  const auto& table = character_table::get();
  p = end_of_cyrillic(p, end);
  const auto follows = [&](int i) { return (byte_at(p + i) & 0xC0) == 0x80; };
  const auto low = [&](int i) { return byte_at(p + i) & 0x3Fu; };
  while (p != end && byte_at(p) >= 0x80) {
    const auto lead = byte_at(p);
    if (lead >= 0xC2 && lead < 0xE0 && end - p > 1 && follows(1)) {
      if (!table.is_letter((lead & 0x1Fu) << 6 | low(1)))
        return p;
      p += 2;
    } else if (lead >= 0xE0 && lead < 0xF0 && end - p > 2 && follows(1) && follows(2)) {
      // Surrogates are no letters; what is below U+0800 is ill-formed.
      const auto c = (lead & 0x0Fu) << 12 | low(1) << 6 | low(2);
      if (c < 0x800 || !table.is_letter(c))
        return p;
      p += 3;
    } else {
      const auto c = read_long(p, end);
      if (!c.is(letter))
        return p;
      p += c.bytes;
    }
  }
  return p;
}

inline const char* end_of_letters(const char* p, const char* end) {
  for (;;) {
    if (p == end || byte_at(p) < 0x80) {
      p = end_of_ascii_letters(p, end);
      if (p == end || byte_at(p) < 0x80)
        return p;
    }
    p = end_of_long_letters(p, end);
    if (p == end || (ascii_flags[byte_at(p)] & letter) == 0)
      return p;
  }
}

inline const char* end_of_numbers(const char* p, const char* end, int most) {
  for (auto c = read(p, end); most > 0 && c.is(number); c = read(p, end), --most)
    p += c.bytes;
  return p;
}

inline const char* end_of_others(const char* p, const char* end) {
  for (auto c = read(p, end); c.is_other(); c = read(p, end))
    p += c.bytes;
  return p;
}

/// \s+(?!\S)|\s+ : the whole run at the end of the text, else all but its last character, unless it is the only one.
inline const char* end_of_space(const char* p, const char* end) {
  const char* last = p;
  const char* at = p;
  for (auto c = read(at, end); c.is(space); c = read(at, end)) {
    last = at;
    at += c.bytes;
  }
  return at == end || last == p ? at : last;
}

/// \s*[\r\n]+ ; `p` itself if there is no line break in the run.
inline const char* end_of_line_breaks(const char* p, const char* end) {
  const char* found = p;
  for (auto c = read(p, end); c.is(space); c = read(p, end)) {
    p += c.bytes;
    if (c.is_line_break())
      found = p;
  }
  return found;
}

enum class letter_case : std::uint8_t { exact, ascii, unicode };

/// Length of 's|'t|'re|'ve|'m|'ll|'d at `p`, 0 if there is none. REQUIRES: *p is '
template <letter_case Case>
std::size_t contraction_bytes(const char* p, const char* end) {
  const auto at = [&](std::size_t i) -> char {
    if (static_cast<std::size_t>(end - p) <= i)
      return '\0';
    const char c = p[i];
    return Case != letter_case::exact && c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  };
  const char first = at(1);
  if (first == 's' || first == 't' || first == 'm' || first == 'd')
    return 2;
  const char second = at(2);
  if (((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l'))
    return 3;
  // U+017F, the long s.
  if (Case == letter_case::unicode && first == '\xC5' && second == '\xBF')
    return 3;
  return 0;
}

struct gpt2 {
  static const char* end_of_match(const char* p, const char* end) {
    const auto first = read(p, end);
    if (first.code_point == '\'')
      if (const auto n = contraction_bytes<letter_case::exact>(p, end))
        return p + n;
    const auto* body_at = first.code_point == ' ' ? p + 1 : p;
    const auto body = first.code_point == ' ' ? read(body_at, end) : first;
    if (body.is(letter))
      return end_of_letters(body_at + body.bytes, end);
    if (body.is(number))
      return end_of_numbers(body_at + body.bytes, end, 1 << 30);
    if (body.is_other())
      return end_of_others(body_at + body.bytes, end);
    return end_of_space(p, end);
  }
};

/// What the patterns have in common after words and numbers; `Tail` may follow punctuation.
template <class Tail>
const char* end_of_rest(const char* p, const char* end, const character& first, Tail is_tail) {
  const auto* body_at = first.code_point == ' ' ? p + 1 : p;
  const auto body = first.code_point == ' ' ? read(body_at, end) : first;
  if (body.is_other()) {
    auto* at = end_of_others(body_at + body.bytes, end);
    while (at != end && is_tail(*at))
      ++at;
    return at;
  }
  const auto* breaks = end_of_line_breaks(p, end);
  return breaks != p ? breaks : end_of_space(p, end);
}

/// qwen2 and llama3, which differ in how many numbers stand together.
template <int NumbersMax, letter_case Case>
struct qwen2 {
  static const char* end_of_match(const char* p, const char* end) {
    if (byte_at(p) >= 0x80)
      if (const auto* letters_end = end_of_letters(p, end); letters_end != p)
        return letters_end;
    const auto first = read(p, end);
    if (first.is(letter))
      return end_of_letters(p + 1, end);
    if (first.code_point == '\'')
      if (const auto n = contraction_bytes<Case>(p, end))
        return p + n;
    if (first.is(number))
      return end_of_numbers(p, end, NumbersMax);
    if (!first.is_line_break()) {
      const auto* letters = p + first.bytes;
      if (const auto* letters_end = end_of_letters(letters, end); letters_end != letters)
        return letters_end;
    }
    return end_of_rest(p, end, first, [](char c) { return c == '\n' || c == '\r'; });
  }
};

/// o200k and tekken: words end where a capital follows a small letter.
template <int NumbersMax, bool HasContractions>
struct cased {
  /// In the class that words begin with, [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]; in the one that they end with.
  static bool is_head(const character& c) {
    return c.is(letter | character_table::mark) && !c.is(character_table::lower);
  }
  static bool is_tail(const character& c) {
    return c.is(letter | character_table::mark) && !c.is(character_table::upper);
  }

  /// head*tail+ at `p`, or head+tail* where that is nothing; `p` if neither is there.
  struct word {
    const char* with_tail;
    const char* without_tail;
  };

  static word find_word(const char* p, const char* end) {
    const char* at = p;
    const char* last_tail = nullptr; // behind the last character so far that is head and tail
    auto c = read(at, end);
    for (; is_head(c); c = read(at, end)) {
      at += c.bytes;
      if (is_tail(c))
        last_tail = at;
    }
    const char* heads = at;
    if (is_tail(c)) {
      for (; is_tail(c); c = read(at, end))
        at += c.bytes;
      return {at, at};
    }
    return {last_tail != nullptr ? last_tail : p, heads};
  }

  static const char* with_contraction(const char* at, const char* end) {
    if (HasContractions && at != end && *at == '\'')
      return at + contraction_bytes<letter_case::unicode>(at, end);
    return at;
  }

  static const char* end_of_match(const char* p, const char* end) {
    const auto first = read(p, end);
    const bool may_be_prefix = !first.is(letter | number) && !first.is_line_break();
    const auto* behind = p + first.bytes;
    const auto after = may_be_prefix ? find_word(behind, end) : word{behind, behind};
    const auto here = first.is(letter | character_table::mark) ? find_word(p, end) : word{p, p};
    if (after.with_tail != behind)
      return with_contraction(after.with_tail, end);
    if (here.with_tail != p)
      return with_contraction(here.with_tail, end);
    if (after.without_tail != behind)
      return with_contraction(after.without_tail, end);
    if (here.without_tail != p)
      return with_contraction(here.without_tail, end);
    if (first.is(number))
      return end_of_numbers(p, end, NumbersMax);
    return end_of_rest(p, end, first, [](char c) { return c == '\n' || c == '\r' || c == '/'; });
  }
};

} // namespace troupe::text::scan

namespace troupe::text {

/// Calls f with the scanner of a pattern: a type with end_of_match(p, end).
template <class F>
auto with_scanner(split_pattern pattern, F f) {
  using scan::letter_case;
  switch (pattern) {
    case split_pattern::gpt2: return f(scan::gpt2{});
    case split_pattern::qwen2: return f(scan::qwen2<1, letter_case::unicode>{});
    case split_pattern::llama3: return f(scan::qwen2<3, letter_case::unicode>{});
    case split_pattern::qwen2_ascii: return f(scan::qwen2<1, letter_case::ascii>{});
    case split_pattern::llama3_ascii: return f(scan::qwen2<3, letter_case::ascii>{});
    case split_pattern::o200k: return f(scan::cased<3, true>{});
    case split_pattern::tekken: return f(scan::cased<1, false>{});
  }
  return f(scan::gpt2{});
}

} // namespace troupe::text
