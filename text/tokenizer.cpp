// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <limits>
#include <unordered_set>
#include <utility>
#include <variant>

#include "text/pipeline/added_token_finder.hpp"
#include "text/pipeline/merge_table.hpp"
#include "text/pipeline/normalizer.hpp"
#include "text/pipeline/piece_table.hpp"
#include "text/pipeline/pre_tokenizer.hpp"
#include "text/pipeline/text_growth.hpp"
#include "text/pipeline/word_encoder.hpp"
#include "text/pipeline/workspace.hpp"
#include "text/vocabulary_description.hpp"

namespace troupe::text {

struct tokenizer::content {
  /// Added tokens, as they are found in a text and in a normalized text: those that are found in every text, and
  /// those that are found where special tokens are parsed.
  struct finders {
    added_token_finder raw;
    added_token_finder normalized;
  };

  content(word_model m, normalizer n, pre_tokenizer p, piece_table t)
    : encoder(std::move(m)), normal(std::move(n)), words(std::move(p)), pieces(std::move(t)) {}

  word_model encoder;
  normalizer normal;
  pre_tokenizer words;
  piece_table pieces;
  finders plain;
  finders all;
  std::vector<token_id> prefix;
  std::vector<token_id> suffix;
  std::vector<bool> is_special;
  /// Sorted.
  std::vector<token_id> end_tokens;
  std::optional<token_id> bos;
  std::optional<token_id> eos;
  mutable workspace_pool workspaces;
};

namespace {

/// Model files name one end token; these are the other ones that models of this kind were trained to end a
/// turn or text with.
constexpr std::array<std::string_view, 12> end_names = {
  "<|im_end|>",    "<|endoftext|>", "<|eot_id|>", "<|eom_id|>",      "<|end_of_text|>", "<|end|>",
  "<end_of_turn>", "</s>",          "<|eot|>",    "<|end_of_turn|>", "<|return|>",      "<EOT>",
};

/// Real tokens have at most a few hundred bytes, and all added ones together some hundred thousand. The caps bound
/// what a lying file makes encode compare.
constexpr std::size_t token_bytes_max = 65'536;
constexpr std::size_t added_bytes_max = std::size_t{4} << 20;

// -- checks ---------------------------------------------------------------------------------------

expected<void, error> check_added(const std::vector<added_token>& added) {
  std::size_t added_bytes = 0;
  for (const auto& token : added)
    added_bytes += token.content.size();
  if (added_bytes > added_bytes_max)
    return fail(errc::resource, "added, control, unknown and user-defined tokens have " + std::to_string(added_bytes)
                                  + " bytes, at most " + std::to_string(added_bytes_max) + " are allowed");
  return {};
}

expected<void, error> check_tokens(const tokenizer_description& d) {
  if (d.tokens.empty())
    return fail(errc::resource, "tokens: there are none");
  if (d.tokens.size() >= std::size_t{1} << 30)
    return fail(errc::resource, "tokens: " + std::to_string(d.tokens.size()) + " are too many");
  if (d.roles.size() != d.tokens.size())
    return fail(errc::internal, "tokens: not one role for each");
  for (token_id id = 0; id < d.tokens.size(); ++id)
    if (d.tokens[id].size() > token_bytes_max)
      return fail(errc::resource, "tokens: entry " + std::to_string(id) + " has " + std::to_string(d.tokens[id].size())
                                    + " bytes, at most " + std::to_string(token_bytes_max) + " are allowed");
  return check_added(d.added);
}

/// The first id that is none of `size` tokens.
std::optional<token_id> find_strange(const tokenizer_description& d) {
  const auto size = d.tokens.size();
  std::optional<token_id> strange;
  const auto see = [&](std::optional<token_id> id, std::size_t end) {
    if (id && *id >= end && !strange)
      strange = id;
  };
  for (const auto& token : d.added)
    see(token.id, size);
  for (const auto* ids : {&d.prefix, &d.suffix, &d.end_tokens})
    for (const auto id : *ids)
      see(id, size);
  see(d.bos, size);
  see(d.eos, size);
  std::visit([&](const auto& m) { std::ranges::for_each(m.byte_tokens, [&](auto id) { see(id, size); }); }, d.model);
  if (const auto* b = std::get_if<bpe_description>(&d.model)) {
    see(b->unk, size);
    const auto symbols = size + b->virtual_characters.size();
    for (const auto& m : b->merges) {
      see(m.left, symbols);
      see(m.right, symbols);
      see(m.result, size);
    }
  } else {
    see(std::get<unigram_description>(d.model).unk, size);
  }
  return strange;
}

expected<void, error> check(const tokenizer_description& d) {
  if (auto ok = check_tokens(d); !ok)
    return ok;
  if (const auto id = find_strange(d))
    return fail(errc::resource, "token " + std::to_string(*id) + " is named, but there are only "
                                  + std::to_string(d.tokens.size()) + " tokens");
  if (const auto* b = std::get_if<bpe_description>(&d.model))
    if (!merge_table::fits(d.tokens.size() + b->virtual_characters.size(), b->merges.size()))
      return fail(errc::resource, "tokens and merges: " + std::to_string(d.tokens.size()) + " and "
                                    + std::to_string(b->merges.size()) + " are too many together");
  if (const auto* u = std::get_if<unigram_description>(&d.model))
    if (u->scores.size() != d.tokens.size() || std::ranges::any_of(u->scores, [](double s) { return std::isnan(s); }))
      return fail(errc::resource, "scores: not one number for each token");
  return {};
}

// -- making ---------------------------------------------------------------------------------------

/// A token that is found in normalized text looks like it.
expected<void, error> normalize_added(std::vector<added_token>& added, const normalizer& normal) {
  text_growth growth{added_bytes_max};
  std::string buffer;
  for (auto& token : added) {
    if (!token.normalized)
      continue;
    const auto normalized = normal.apply(token.content, buffer, growth);
    if (!normalized)
      return fail(errc::resource, "normalizer: adds more than " + std::to_string(added_bytes_max)
                                    + " bytes to the added tokens, at token " + std::to_string(token.id));
    token.content = std::string{*normalized};
  }
  return check_added(added);
}

std::vector<token_id> find_end_tokens(const tokenizer_description& d) {
  auto tokens = d.end_tokens;
  if (d.eos)
    tokens.push_back(*d.eos);
  for (const auto& token : d.added)
    if (token.special && std::ranges::find(end_names, token.content) != end_names.end())
      tokens.push_back(token.id);
  std::ranges::sort(tokens);
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

/// Those of the added tokens that are found in raw or in normalized text, with special ones or without.
std::vector<added_token> chosen(const std::vector<added_token>& added, bool normalized, parse_special parse) {
  std::vector<added_token> result;
  for (const auto& token : added)
    if (token.normalized == normalized && (parse == parse_special::yes || !token.special))
      result.push_back(token);
  return result;
}

// -- encoding -------------------------------------------------------------------------------------

/// Calls token(id) for each added token in `text` and plain(text, is_first) for what lies between, in order.
template <class Token, class Plain>
void for_each_part(const added_token_finder& finder, std::string_view text, Token token, Plain plain) {
  std::size_t at = 0;
  for (auto hit = finder.find(text, 0, 0); hit; hit = finder.find(text, hit->search_from, at)) {
    if (hit->begin > at)
      plain(text.substr(at, hit->begin - at), at == 0);
    token(hit->token);
    at = hit->end;
  }
  if (at < text.size())
    plain(text.substr(at), at == 0);
}

} // namespace

tokenizer::tokenizer(std::unique_ptr<const content> c) : content_(std::move(c)) {}
tokenizer::tokenizer(tokenizer&&) noexcept = default;
tokenizer& tokenizer::operator=(tokenizer&&) noexcept = default;
tokenizer::~tokenizer() = default;

expected<tokenizer, error> tokenizer::make(const vocabulary& v) {
  auto description = describe(v);
  if (!description)
    return unexpected{description.error()};
  return make(*std::move(description));
}

expected<tokenizer, error> tokenizer::make(tokenizer_description d) {
  if (auto ok = check(d); !ok)
    return unexpected{ok.error()};
  auto normal = normalizer::make(d.normalizer);
  if (!normal)
    return unexpected{normal.error()};
  auto words = pre_tokenizer::make(d.pre_tokenizer);
  if (!words)
    return unexpected{words.error()};
  if (auto ok = normalize_added(d.added, *normal); !ok)
    return unexpected{ok.error()};
  auto pieces = piece_table::make(d);
  if (!pieces)
    return unexpected{pieces.error()};
  const bool is_bpe = std::holds_alternative<bpe_description>(d.model);
  if (words->words_are_bytes() && !is_bpe)
    words->append_byte_alphabet();
  if (is_bpe) {
    bpe_model bpe{d, words->words_are_bytes() ? word_alphabet::bytes : word_alphabet::characters};
    if (auto cut = bpe.find_cut(d))
      words->append(*std::move(cut));
    auto result =
      std::make_unique<content>(word_model{std::move(bpe)}, *std::move(normal), *std::move(words), *std::move(pieces));
    return finished(std::move(result), d);
  }
  return finished(
    std::make_unique<content>(word_model{unigram_model{d}}, *std::move(normal), *std::move(words), *std::move(pieces)),
    d);
}

tokenizer tokenizer::finished(std::unique_ptr<content> c, const tokenizer_description& d) {
  c->plain = {added_token_finder{chosen(d.added, false, parse_special::no)},
              added_token_finder{chosen(d.added, true, parse_special::no)}};
  c->all = {added_token_finder{chosen(d.added, false, parse_special::yes)},
            added_token_finder{chosen(d.added, true, parse_special::yes)}};
  // By name: a Unigram vocabulary may have it twice.
  std::unordered_set<std::string_view> special;
  for (const auto& token : d.added)
    if (token.special)
      special.insert(d.tokens[token.id]);
  for (const auto& token : d.tokens)
    c->is_special.push_back(special.contains(token));
  c->end_tokens = find_end_tokens(d);
  c->prefix = d.prefix;
  c->suffix = d.suffix;
  c->bos = d.bos;
  c->eos = d.eos;
  return tokenizer{std::move(c)};
}

// Models count the bytes of a word in 32 bits.
static_assert(tokenizer::text_bytes_max + tokenizer::growth_max(tokenizer::text_bytes_max)
              < std::numeric_limits<std::uint32_t>::max());

expected<std::vector<token_id>, error> tokenizer::encode(std::string_view text, encode_options options) const {
  if (text.size() > text_bytes_max)
    return fail(errc::context_too_long, "the text has " + std::to_string(text.size()) + " bytes, at most "
                                          + std::to_string(text_bytes_max) + " are allowed");
  const auto& c = *content_;
  const auto& finders = options.parse == parse_special::yes ? c.all : c.plain;
  auto work = c.workspaces.take();
  token_buffer tokens{text.size() / 3};
  const auto push_all = [&](const std::vector<token_id>& ids) {
    if (options.add == add_special::yes)
      for (const auto id : ids)
        tokens.push(id);
  };
  word_encoder words{c.encoder, *work, tokens};
  const auto push = [&](token_id id) { tokens.push(id); };
  text_growth growth{growth_max(text.size())};
  push_all(c.prefix);
  for_each_part(finders.raw, text, push, [&](std::string_view plain, bool is_first) {
    if (growth.exceeded())
      return;
    const auto normalized = c.normal.apply(plain, work->normalized, growth);
    if (!normalized)
      return;
    words.enter_buffer(normalized->data() + normalized->size());
    for_each_part(finders.normalized, *normalized, push, [&](std::string_view part, bool is_first_part) {
      using place = pre_tokenizer::place;
      c.words.split(part, is_first && is_first_part ? place::beginning : place::behind, words, growth);
    });
  });
  push_all(c.suffix);
  c.workspaces.give_back(std::move(work));
  if (growth.exceeded())
    return fail(errc::context_too_long, "the tokenizer's normalizer and pre-tokenizer add more than "
                                          + std::to_string(growth_max(text.size())) + " bytes to the text");
  return std::move(tokens).take();
}

std::string tokenizer::decode(std::span<const token_id> tokens, special_output specials) const {
  std::string bytes;
  bool at_start = true;
  for (const auto token : tokens) {
    const bool special = is_special(token);
    if (special && specials == special_output::skip)
      continue;
    bytes += !special && std::exchange(at_start, false) ? first_piece(token) : piece(token);
  }
  return bytes;
}

std::string_view tokenizer::piece(token_id token) const {
  assert(token < size());
  return content_->pieces.piece(token);
}

std::string_view tokenizer::first_piece(token_id token) const {
  assert(token < size());
  return content_->pieces.first_piece(token);
}

std::size_t tokenizer::size() const { return content_->pieces.size(); }
std::optional<token_id> tokenizer::bos() const { return content_->bos; }
std::optional<token_id> tokenizer::eos() const { return content_->eos; }

bool tokenizer::adds_bos() const {
  return bos() && std::ranges::find(content_->prefix, *bos()) != content_->prefix.end();
}

bool tokenizer::adds_space_prefix() const { return content_->pieces.strips_first(); }

bool tokenizer::is_special(token_id token) const {
  assert(token < size());
  return content_->is_special[token];
}

std::span<const token_id> tokenizer::end_of_generation_tokens() const { return content_->end_tokens; }

bool tokenizer::is_end_of_generation(token_id token) const {
  return std::ranges::binary_search(content_->end_tokens, token);
}

} // namespace troupe::text
