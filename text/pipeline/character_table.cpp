// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/character_table.hpp"

#include <map>
#include <unordered_set>

#include <utf8proc.h>

#include "text/unicode.hpp"

namespace troupe::text {

namespace {

using table = character_table;
using page = std::array<table::flags, 256>;

/// Planes 4 to 13 have no characters, 15 and 16 only private ones.
constexpr bool may_be_assigned(char32_t c) { return c < 0x40000 || (c >= 0xE0000 && c < 0xF0000); }

/// Letters in circles and squares: alphabetic, though their category is So.
constexpr bool is_enclosed_letter(char32_t c) {
  return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169)
         || (c >= 0x1F170 && c <= 0x1F189);
}

table::flags category_flags(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT: return table::letter | table::upper | table::word;
    case UTF8PROC_CATEGORY_LL: return table::letter | table::lower | table::word;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return table::letter | table::word;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL: return table::number | table::word;
    case UTF8PROC_CATEGORY_NO: return table::number;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME: return table::mark | table::word;
    case UTF8PROC_CATEGORY_PC: return table::punctuation | table::word;
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO: return table::punctuation;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO: return table::symbol;
    default: return 0;
  }
}

using code_points = std::vector<utf8proc_int32_t>;

code_points decomposed(char32_t c, int options) {
  // No character has more than 18 in its full decomposition.
  code_points result(32);
  int bound_class = UTF8PROC_BOUNDCLASS_START;
  const auto n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), result.data(),
                                         static_cast<utf8proc_ssize_t>(result.size()),
                                         static_cast<utf8proc_option_t>(options), &bound_class);
  result.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return result;
}

/// The first byte of several in UTF-8.
constexpr std::size_t lead_byte(char32_t c) {
  return c < 0x800 ? 0xC0 | c >> 6 : c < 0x10000 ? 0xE0 | c >> 12 : 0xF0 | c >> 18;
}

bool is_composed_again(char32_t c, code_points parts) {
  const auto n = utf8proc_normalize_utf32(parts.data(), static_cast<utf8proc_ssize_t>(parts.size()),
                                          static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  return n == 1 && parts.front() == static_cast<utf8proc_int32_t>(c);
}

table::flags normal_form_flags(char32_t c, std::unordered_set<char32_t>& second_parts) {
  constexpr table::flags all = table::nfc_unsafe | table::nfd_unsafe | table::nfkc_unsafe | table::nfkd_unsafe;
  const auto* property = utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
  if (property->combining_class != 0)
    return all;
  const bool is_hangul = c >= 0xAC00 && c <= 0xD7A3;
  if (!is_hangul && property->decomp_seqindex == UINT16_MAX)
    return 0;
  const auto is_same = [c](const code_points& parts) {
    return parts.size() == 1 && parts.front() == static_cast<utf8proc_int32_t>(c);
  };
  table::flags result = 0;
  const auto canonical = decomposed(c, UTF8PROC_DECOMPOSE);
  if (!is_same(canonical)) {
    result |= table::nfd_unsafe | table::nfkd_unsafe;
    for (std::size_t i = 1; i < canonical.size(); ++i)
      second_parts.insert(static_cast<char32_t>(canonical[i]));
    if (!is_composed_again(c, canonical))
      result |= table::nfc_unsafe | table::nfkc_unsafe;
  }
  // U+0385 is composed of a character that is compatible with two others.
  if (!is_hangul && decomposed(c, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT) != canonical)
    result |= table::nfkd_unsafe | table::nfkc_unsafe;
  return result;
}

} // namespace

character_table::character_table() {
  std::unordered_set<char32_t> second_parts;
  std::map<char32_t, page> all;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (!may_be_assigned(c)) {
      c |= 0xFF;
      continue;
    }
    flags f = category_flags(c) | normal_form_flags(c, second_parts);
    if (is_white_space(c))
      f |= space;
    if (c == 0x200C || c == 0x200D || is_enclosed_letter(c))
      f |= word;
    all[c >> 8][c & 0xFF] = f;
  }
  for (const auto c : second_parts)
    all[c >> 8][c & 0xFF] |= nfc_unsafe | nfkc_unsafe;
  std::map<page, std::uint16_t> known{{page{}, 0}};
  pages_.resize(256);
  for (const auto& [number_of_page, content] : all) {
    const auto [found, is_new] = known.emplace(content, static_cast<std::uint16_t>(known.size()));
    if (is_new)
      pages_.insert(pages_.end(), content.begin(), content.end());
    page_of_[number_of_page] = found->second;
  }
  for (char32_t c = 0x80; c <= 0x10FFFF; ++c) {
    const auto f = of(c);
    if (f == 0)
      continue;
    if (c <= 0xFFFF && (f & letter) != 0)
      letters_[c >> 6] |= std::uint64_t{1} << (c & 63);
    for (const auto unsafe : {nfc_unsafe, nfd_unsafe, nfkc_unsafe, nfkd_unsafe})
      if ((f & unsafe) != 0)
        unsafe_leads_[index_of(unsafe)][lead_byte(c)] = 1;
  }
}

} // namespace troupe::text
