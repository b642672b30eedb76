// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/pattern_matcher.hpp"

#include <array>
#include <utility>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "text/pipeline/regex_translation.hpp"

namespace troupe::text {

namespace {

constexpr std::size_t pattern_bytes_max = 65'536;
/// Steps of one match; a real pattern needs about one per character of its word.
constexpr std::uint32_t match_limit = 20'000'000;
constexpr std::uint32_t depth_limit = 10'000;
constexpr std::uint32_t heap_limit_kib = 16'384;
constexpr std::size_t jit_stack_bytes = std::size_t{1} << 20;

template <auto Free>
struct deleter {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};

using match_data = std::unique_ptr<pcre2_match_data, deleter<pcre2_match_data_free>>;
using match_context = std::unique_ptr<pcre2_match_context, deleter<pcre2_match_context_free>>;
using jit_stack = std::unique_ptr<pcre2_jit_stack, deleter<pcre2_jit_stack_free>>;

/// What a thread needs to match; only the place of the whole match is kept.
struct match_state {
  match_data data{pcre2_match_data_create(1, nullptr)};
  match_context context{pcre2_match_context_create(nullptr)};
  jit_stack stack{pcre2_jit_stack_create(32'768, jit_stack_bytes, nullptr)};

  match_state() {
    if (!context)
      return;
    pcre2_set_match_limit(context.get(), match_limit);
    pcre2_set_depth_limit(context.get(), depth_limit);
    pcre2_set_heap_limit(context.get(), heap_limit_kib);
    if (stack)
      pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
};

match_state& state_of_thread() {
  thread_local match_state state;
  return state;
}

} // namespace

struct regex_matcher::program {
  std::unique_ptr<pcre2_code, deleter<pcre2_code_free>> code;
};

regex_matcher::regex_matcher(std::shared_ptr<const program> p) : program_(std::move(p)) {}

expected<regex_matcher, std::string> regex_matcher::make(std::string_view oniguruma) {
  if (oniguruma.size() > pattern_bytes_max)
    return unexpected{"a pattern of " + std::to_string(oniguruma.size()) + " bytes, at most "
                      + std::to_string(pattern_bytes_max) + " are allowed"};
  const auto translated = translate_regex(oniguruma);
  if (!translated)
    return unexpected{"not supported in a pattern: " + translated.error()};
  int code = 0;
  std::size_t offset = 0;
  auto compiled = std::make_shared<program>();
  // Oniguruma's ^ and $ always match at lines; \N and the like are refused by the translation.
  compiled->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated->data()), translated->size(),
                                     PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_MATCH_INVALID_UTF
                                       | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_CAPTURE,
                                     &code, &offset, nullptr));
  if (!compiled->code) {
    std::array<PCRE2_UCHAR, 256> message{};
    pcre2_get_error_message(code, message.data(), message.size());
    return unexpected{std::string{"a pattern is wrong: "} + reinterpret_cast<const char*>(message.data())};
  }
  // Without a just-in-time compiler on this machine the interpreter matches.
  pcre2_jit_compile(compiled->code.get(), PCRE2_JIT_COMPLETE);
  return regex_matcher{std::move(compiled)};
}

std::optional<regex_matcher::range> regex_matcher::find(std::string_view text, std::size_t from) const {
  auto& state = state_of_thread();
  if (!state.data || !state.context || from >= text.size())
    return std::nullopt;
  const auto found = pcre2_match(program_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                                 PCRE2_NOTEMPTY, state.data.get(), state.context.get());
  if (found < 0)
    return std::nullopt;
  const auto* place = pcre2_get_ovector_pointer(state.data.get());
  // \K, which could turn the two around, is refused by the translation.
  return range{place[0], place[1]};
}

expected<pattern_matcher, std::string> pattern_matcher::make(const text_pattern& pattern) {
  if (pattern.kind == pattern_kind::literal)
    return pattern_matcher{content{std::in_place_type<std::string>, pattern.text}};
  if (const auto known = find_split_pattern(pattern.text))
    return pattern_matcher{content{*known}};
  auto regex = regex_matcher::make(pattern.text);
  if (!regex)
    return unexpected{regex.error()};
  return pattern_matcher{content{std::move(*regex)}};
}

std::optional<pattern_matcher::range> pattern_matcher::find(std::string_view text, std::size_t from) const {
  if (from >= text.size())
    return std::nullopt;
  if (const auto* literal = std::get_if<std::string>(&content_)) {
    const auto at = literal->empty() ? std::string_view::npos : text.find(*literal, from);
    return at == std::string_view::npos ? std::nullopt : std::optional{range{at, at + literal->size()}};
  }
  if (const auto* pattern = std::get_if<split_pattern>(&content_))
    return range{from, end_of_match(*pattern, text, from)};
  return std::get<regex_matcher>(content_).find(text, from);
}

std::optional<split_pattern> pattern_matcher::known() const {
  const auto* pattern = std::get_if<split_pattern>(&content_);
  return pattern == nullptr ? std::nullopt : std::optional{*pattern};
}

} // namespace troupe::text
