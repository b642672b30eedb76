// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/split_pattern.hpp"

#include "text/pipeline/split_pattern_scan.hpp"

namespace troupe::text {

namespace {

struct named_regex {
  std::string_view text;
  split_pattern pattern;
};

#define TROUPE_CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TROUPE_ASCII_CONTRACTIONS "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
#define TROUPE_WORDS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define TROUPE_REST "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define TROUPE_PREFIX "[^\\r\\n\\p{L}\\p{N}]?"
#define TROUPE_UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define TROUPE_LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define TROUPE_CASED_REST "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/// The first entry of a pattern is the one that regex_of gives.
constexpr named_regex known[] = {
  {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", split_pattern::gpt2},
  {"'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", split_pattern::gpt2},
  {TROUPE_CONTRACTIONS TROUPE_WORDS "\\p{N}" TROUPE_REST, split_pattern::qwen2},
  {TROUPE_CONTRACTIONS TROUPE_WORDS "\\p{N}{1,3}" TROUPE_REST, split_pattern::llama3},
  {TROUPE_ASCII_CONTRACTIONS TROUPE_WORDS "\\p{N}" TROUPE_REST, split_pattern::qwen2_ascii},
  {TROUPE_ASCII_CONTRACTIONS TROUPE_WORDS "\\p{N}{1,3}" TROUPE_REST, split_pattern::llama3_ascii},
  {TROUPE_PREFIX TROUPE_UPPER "*" TROUPE_LOWER "+" TROUPE_CONTRACTIONS "?|" TROUPE_PREFIX TROUPE_UPPER "+" TROUPE_LOWER
                              "*" TROUPE_CONTRACTIONS "?|\\p{N}{1,3}" TROUPE_CASED_REST,
   split_pattern::o200k},
  {TROUPE_PREFIX TROUPE_UPPER "*" TROUPE_LOWER "+|" TROUPE_PREFIX TROUPE_UPPER "+" TROUPE_LOWER
                              "*|\\p{N}" TROUPE_CASED_REST,
   split_pattern::tekken},
};

} // namespace

std::optional<split_pattern> find_split_pattern(std::string_view regex) {
  for (const auto& entry : known)
    if (entry.text == regex)
      return entry.pattern;
  return std::nullopt;
}

std::string_view regex_of(split_pattern pattern) {
  for (const auto& entry : known)
    if (entry.pattern == pattern)
      return entry.text;
  return {};
}

std::size_t end_of_match(split_pattern pattern, std::string_view text, std::size_t at) {
  const auto* p = text.data() + at;
  const auto* end = text.data() + text.size();
  return static_cast<std::size_t>(with_scanner(pattern, [&](auto scanner) { return scanner.end_of_match(p, end); })
                                  - text.data());
}

} // namespace troupe::text
