// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/piece_table.hpp"

#include <algorithm>
#include <optional>

#include "text/pipeline/byte_alphabet.hpp"
#include "text/pipeline/normalizer.hpp"
#include "text/pipeline/text_growth.hpp"

namespace troupe::text {

namespace {

std::optional<char> byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>')
    return std::nullopt;
  int value = 0;
  for (const char c : token.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9'                     ? c - '0'
                      : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                               : -1;
    if (digit < 0)
      return std::nullopt;
    value = value * 16 + digit;
  }
  return static_cast<char>(value);
}

/// One after the other, the steps that change a token by itself.
class decoder_chain {
public:
  expected<void, error> add(const decoder_step& step) {
    return std::visit([this](const auto& s) { return take(s); }, step);
  }

  /// Nothing if the token would grow too long.
  std::optional<std::string> apply(std::string token, text_growth& growth) const {
    for (const auto& s : steps_) {
      const auto before = token.size();
      auto changed = std::visit([&](const auto& one) { return applied(one, std::move(token), growth); }, s);
      if (!changed || !growth.allow(before, changed->size()))
        return std::nullopt;
      token = *std::move(changed);
    }
    return token;
  }

  /// How many bytes of `piece`, which `token` has become, are not there if it is the first.
  std::uint32_t leading_bytes(std::string_view token, std::string_view piece) const {
    if (mark_.empty())
      return strips_space_ && piece.starts_with(' ') ? 1 : 0;
    std::uint32_t count = 0;
    for (; token.starts_with(mark_); token.remove_prefix(mark_.size()))
      ++count;
    return std::min(count, static_cast<std::uint32_t>(piece.size()));
  }

  bool strips_first() const { return strips_space_ || !mark_.empty(); }
  bool is_byte_level() const { return byte_level_; }

private:
  struct replace {
    pattern_matcher pattern;
    std::string content;
  };
  using step = std::variant<decode::byte_level, decode::byte_fallback, replace, decode::strip, decode::join>;

  static expected<void, error> ok() { return {}; }

  expected<void, error> take(const decode::byte_level& s) {
    byte_level_ = true;
    steps_.emplace_back(s);
    return ok();
  }
  expected<void, error> take(const decode::byte_fallback& s) {
    steps_.emplace_back(s);
    return ok();
  }
  expected<void, error> take(const decode::fuse&) {
    fused_ = true;
    return ok();
  }
  expected<void, error> take(const decode::replace& r) {
    auto pattern = pattern_matcher::make(r.pattern);
    if (!pattern)
      return fail(errc::resource, "decoder, Replace: " + pattern.error());
    steps_.emplace_back(replace{std::move(*pattern), r.content});
    return ok();
  }
  expected<void, error> take(const decode::strip& s) {
    if (!fused_) {
      steps_.emplace_back(s);
      return ok();
    }
    if (s.stop != 0 || s.start > 1 || (s.start == 1 && s.content != " "))
      return fail(errc::resource, "decoder, Strip: behind Fuse only one leading space is supported");
    if (s.start == 1)
      strips_space_ = true;
    return ok();
  }
  expected<void, error> take(const decode::metaspace& m) {
    auto pattern = pattern_matcher::make({pattern_kind::literal, m.replacement});
    if (!pattern)
      return fail(errc::resource, "decoder, Metaspace: " + pattern.error());
    steps_.emplace_back(replace{std::move(*pattern), " "});
    if (m.scheme != prepend_scheme::never)
      mark_ = m.replacement;
    return ok();
  }
  expected<void, error> take(const decode::join& j) {
    steps_.emplace_back(j);
    strips_space_ = true;
    return ok();
  }

  using changed_token = std::optional<std::string>;

  static changed_token applied(const decode::byte_level&, std::string token, const text_growth&) {
    return decode_byte_alphabet(token);
  }
  static changed_token applied(const decode::byte_fallback&, std::string token, const text_growth&) {
    const auto byte = byte_of(token);
    return byte ? std::string(1, *byte) : token;
  }
  static changed_token applied(const replace& r, std::string token, const text_growth& growth) {
    return replaced(token, r.pattern, r.content, growth.most_of(token.size()));
  }
  static changed_token applied(const decode::strip& s, std::string token, const text_growth&) {
    std::string_view rest = token;
    for (std::uint32_t i = 0; i < s.start && !s.content.empty() && rest.starts_with(s.content); ++i)
      rest.remove_prefix(s.content.size());
    for (std::uint32_t i = 0; i < s.stop && !s.content.empty() && rest.ends_with(s.content); ++i)
      rest.remove_suffix(s.content.size());
    return std::string{rest};
  }
  static changed_token applied(const decode::join&, std::string token, const text_growth&) { return ' ' + token; }

  std::vector<step> steps_;
  bool strips_space_ = false;
  /// What stands for a space, if all that the first token begins with are dropped.
  std::string mark_;
  bool fused_ = false;
  bool byte_level_ = false;
};

} // namespace

expected<piece_table, error> piece_table::make(const tokenizer_description& d) {
  decoder_chain chain;
  for (const auto& step : d.decoder)
    if (auto ok = chain.add(step); !ok)
      return unexpected{ok.error()};
  std::vector<const added_token*> added(d.tokens.size());
  for (const auto& token : d.added)
    added[token.id] = &token;
  const auto growth_max = (std::size_t{4} << 20) + d.tokens.size();
  text_growth growth{growth_max};
  piece_table result;
  result.ends_.reserve(d.tokens.size());
  for (token_id id = 0; id < d.tokens.size(); ++id) {
    const auto* token = added[id];
    const auto& text = token != nullptr ? token->content : d.tokens[id];
    // A token that is added is written as it is, not in the byte alphabet.
    const bool is_raw = token != nullptr && (token->special || chain.is_byte_level());
    const auto piece = is_raw ? text : chain.apply(text, growth);
    if (!piece)
      return fail(errc::resource, "decoder: adds more than " + std::to_string(growth_max) + " bytes to the tokens, at "
                                    + "token " + std::to_string(id));
    result.pieces_ += *piece;
    result.ends_.push_back(result.pieces_.size());
    if (chain.strips_first())
      result.leading_.push_back(is_raw ? 0 : chain.leading_bytes(text, result.piece(id)));
  }
  return result;
}

} // namespace troupe::text
