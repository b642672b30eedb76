// SPDX-License-Identifier: Apache-2.0
#include "text/vocabulary_description.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <optional>
#include <unordered_map>

#include "text/pipeline/split_pattern.hpp"
#include "text/unicode.hpp"

namespace troupe::text {

namespace {

constexpr std::string_view space_mark = "\xE2\x96\x81";

using id_map = std::unordered_map<std::string_view, token_id>;

token_type type_of(const vocabulary& v, token_id id) { return v.types.empty() ? token_type::normal : v.types[id]; }

/// Control and unknown tokens: not text.
bool is_special_type(token_type type) { return type == token_type::control || type == token_type::unknown; }

struct named_id {
  std::string_view key;
  std::optional<token_id> id;
};

expected<void, error> check_ids(const vocabulary& v) {
  const named_id ids[] = {{"tokenizer.ggml.bos_token_id", v.bos},
                          {"tokenizer.ggml.eos_token_id", v.eos},
                          {"tokenizer.ggml.unknown_token_id", v.unk},
                          {"tokenizer.ggml.eot_token_id", v.eot},
                          {"tokenizer.ggml.padding_token_id", v.pad}};
  for (const auto& [key, id] : ids)
    if (id && *id >= v.tokens.size())
      return fail(errc::resource, std::string{key} + ": " + std::to_string(*id) + " is not among "
                                    + std::to_string(v.tokens.size()) + " tokens");
  if (v.add_bos && !v.bos)
    return fail(errc::resource, "tokenizer.ggml.bos_token_id: missing, but tokenizer.ggml.add_bos_token asks for it");
  if (v.add_eos && !v.eos)
    return fail(errc::resource, "tokenizer.ggml.eos_token_id: missing, but tokenizer.ggml.add_eos_token asks for it");
  return {};
}

expected<void, error> check_tokens(const vocabulary& v) {
  if (v.tokens.empty())
    return fail(errc::resource, "tokenizer.ggml.tokens: empty");
  if (!v.types.empty() && v.types.size() != v.tokens.size())
    return fail(errc::resource, "tokenizer.ggml.token_type: " + std::to_string(v.types.size()) + " types for "
                                  + std::to_string(v.tokens.size()) + " tokens");
  id_map seen;
  seen.reserve(v.tokens.size());
  for (token_id id = 0; id < v.tokens.size(); ++id)
    // Some files pad the list with empty tokens; nothing ever encodes to one.
    if (const auto [other, is_new] = seen.emplace(v.tokens[id], id); !is_new && !v.tokens[id].empty())
      return fail(errc::resource, "tokenizer.ggml.tokens: duplicate, '" + v.tokens[id] + "' has ids "
                                    + std::to_string(other->second) + " and " + std::to_string(id));
  return {};
}

// -- byte-level BPE -------------------------------------------------------------------------------

/// A way of cutting, by the names that stand in tokenizer.ggml.pre.
struct named_steps {
  std::string_view name;
  split_pattern pattern;
  bool cuts_digits_first;
  bool whole_words;
};

constexpr named_steps known_steps[] = {
  {"gpt-2", split_pattern::gpt2, false, false},
  {"smollm", split_pattern::gpt2, true, false},
  {"starcoder", split_pattern::gpt2, true, false},
  {"qwen2", split_pattern::qwen2_ascii, false, false},
  {"llama-bpe", split_pattern::llama3_ascii, false, true},
  {"llama-v3", split_pattern::llama3_ascii, false, true},
  {"llama3", split_pattern::llama3_ascii, false, true},
};

expected<std::vector<bpe_merge>, error> read_merges(const vocabulary& v, const id_map& ids) {
  std::vector<bpe_merge> merges;
  merges.reserve(v.merges.size());
  for (std::size_t rank = 0; rank < v.merges.size(); ++rank) {
    const std::string_view text = v.merges[rank];
    const auto space = text.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == text.size())
      return fail(errc::resource, "tokenizer.ggml.merges: entry " + std::to_string(rank) + " is not a pair");
    const auto left = ids.find(text.substr(0, space));
    const auto right = ids.find(text.substr(space + 1));
    const auto joined = std::string{text.substr(0, space)} + std::string{text.substr(space + 1)};
    const auto merged = ids.find(joined);
    if (left == ids.end() || right == ids.end() || merged == ids.end())
      return fail(errc::resource, "tokenizer.ggml.merges: entry " + std::to_string(rank) + ", '" + std::string{text}
                                    + "', names or makes a token that tokenizer.ggml.tokens lacks");
    // No merge makes a control token: text cannot forge one.
    if (!is_special_type(type_of(v, merged->second)))
      merges.push_back({left->second, right->second, merged->second, static_cast<std::uint32_t>(rank)});
  }
  return merges;
}

expected<void, error> describe_byte_level(const vocabulary& v, const id_map& ids, tokenizer_description& d) {
  const auto* steps = std::ranges::find(known_steps, v.pre_tokenizer, &named_steps::name);
  if (steps == std::end(known_steps))
    return fail(errc::resource, "tokenizer.ggml.pre: unknown pre-tokenizer '" + v.pre_tokenizer + "', known are "
                                  + std::string{pre_tokenizer_names()});
  if (steps->cuts_digits_first)
    d.pre_tokenizer.emplace_back(pre_tokenize::digits{true});
  d.pre_tokenizer.emplace_back(
    pre_tokenize::split{{pattern_kind::regex, std::string{regex_of(steps->pattern)}}, split_behavior::isolated, false});
  d.pre_tokenizer.emplace_back(pre_tokenize::byte_level{false, false});
  auto merges = read_merges(v, ids);
  if (!merges)
    return unexpected{merges.error()};
  bpe_description model;
  model.merges = std::move(*merges);
  model.ignore_merges = steps->whole_words;
  // What the vocabulary has no token for is dropped, as llama.cpp does (SmolLM2 lacks 21 bytes, of which 13 occur in
  // no well-formed text).
  d.model = std::move(model);
  d.decoder.emplace_back(decode::byte_level{});
  return {};
}

// -- SentencePiece BPE ----------------------------------------------------------------------------

std::string byte_token_text(unsigned byte) {
  char text[8];
  std::snprintf(text, sizeof text, "<0x%02X>", byte);
  return text;
}

expected<void, error> read_byte_tokens(const vocabulary& v, const id_map& ids, tokenizer_description& d,
                                       bpe_description& model) {
  for (token_id id = 0; id < v.tokens.size(); ++id)
    if (std::isnan(v.scores[id]))
      return fail(errc::resource, "tokenizer.ggml.scores: entry " + std::to_string(id) + " is not a number");
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto found = ids.find(byte_token_text(byte));
    if (found != ids.end() && type_of(v, found->second) == token_type::byte)
      model.byte_tokens[byte] = found->second;
    else
      model.byte_tokens[byte] = v.unk;
    if (!model.byte_tokens[byte])
      return fail(errc::resource, "tokenizer.ggml.tokens: no token for byte " + byte_token_text(byte)
                                    + ", and no tokenizer.ggml.unknown_token_id to stand for it");
  }
  for (token_id id = 0; id < v.tokens.size(); ++id) {
    if (type_of(v, id) != token_type::byte)
      continue;
    if (std::ranges::find(model.byte_tokens, std::optional{id}) == model.byte_tokens.end())
      return fail(errc::resource, "tokenizer.ggml.tokens: entry " + std::to_string(id) + ", '" + v.tokens[id]
                                    + "', is a byte token by tokenizer.ggml.token_type, but not of the form <0x00>");
    d.roles[id] = token_role::byte;
  }
  return {};
}

/// SentencePiece has scores, not merges: any two symbols that together are a token merge, the highest score first. So
/// each way to cut a token into two symbols is a merge, and equal scores are equal ranks.
class merge_finder {
public:
  merge_finder(const vocabulary& v, const tokenizer_description& d, const id_map& ids, bpe_description& model)
    : v_(v), d_(d), ids_(ids), model_(model) {}

  void run() {
    std::vector<token_id> order;
    for (token_id id = 0; id < v_.tokens.size(); ++id)
      if (d_.roles[id] == token_role::text)
        order.push_back(id);
    std::ranges::stable_sort(order, [this](auto a, auto b) { return v_.scores[a] > v_.scores[b]; });
    std::uint32_t rank = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      rank += i > 0 && v_.scores[order[i]] != v_.scores[order[i - 1]] ? 1 : 0;
      add(order[i], rank);
    }
  }

private:
  void add(token_id token, std::uint32_t rank) {
    const std::string_view text = v_.tokens[token];
    std::size_t last = text.size();
    for (std::size_t at = 0; at < text.size(); at += step(text, at))
      last = at;
    for (auto at = step(text, 0); at < text.size(); at += step(text, at)) {
      const auto left = symbol(text.substr(0, at), at == step(text, 0));
      const auto right = symbol(text.substr(at), at == last);
      if (left && right)
        model_.merges.push_back({*left, *right, token, rank});
    }
  }

  static std::size_t step(std::string_view text, std::size_t at) {
    const auto c = read_char(text, at);
    return c.state == utf8_state::valid ? c.bytes : 1;
  }

  /// A token, or a single character that is none.
  std::optional<token_id> symbol(std::string_view text, bool is_single) {
    if (const auto found = ids_.find(text); found != ids_.end() && d_.roles[found->second] == token_role::text)
      return found->second;
    if (!is_single)
      return std::nullopt;
    const auto [found, is_new] =
      virtual_.emplace(text, static_cast<token_id>(d_.tokens.size() + model_.virtual_characters.size()));
    if (is_new)
      model_.virtual_characters.emplace_back(text);
    return found->second;
  }

  const vocabulary& v_;
  const tokenizer_description& d_;
  const id_map& ids_;
  bpe_description& model_;
  id_map virtual_;
};

expected<void, error> describe_sentencepiece(const vocabulary& v, const id_map& ids, tokenizer_description& d) {
  if (v.scores.size() != v.tokens.size())
    return fail(errc::resource, "tokenizer.ggml.scores: " + std::to_string(v.scores.size()) + " scores for "
                                  + std::to_string(v.tokens.size()) + " tokens");
  const std::string mark{space_mark};
  if (v.add_space_prefix)
    d.normalizer.emplace_back(normalize::prepend{mark});
  d.normalizer.emplace_back(normalize::replace{{pattern_kind::literal, " "}, mark});
  bpe_description model;
  model.byte_fallback = true;
  if (auto ok = read_byte_tokens(v, ids, d, model); !ok)
    return ok;
  merge_finder{v, d, ids, model}.run();
  d.model = std::move(model);
  d.decoder = {decode::replace{{pattern_kind::literal, mark}, " "}, decode::byte_fallback{}, decode::fuse{}};
  if (v.add_space_prefix)
    d.decoder.emplace_back(decode::strip{" ", 1, 0});
  return {};
}

} // namespace

std::string_view pre_tokenizer_names() { return "gpt-2, smollm, starcoder, qwen2, llama-bpe, llama-v3, llama3"; }

expected<tokenizer_description, error> describe(const vocabulary& v) {
  if (auto ok = check_tokens(v); !ok)
    return unexpected{ok.error()};
  if (auto ok = check_ids(v); !ok)
    return unexpected{ok.error()};
  tokenizer_description d;
  d.tokens = v.tokens;
  id_map ids;
  ids.reserve(v.tokens.size());
  for (token_id id = 0; id < v.tokens.size(); ++id) {
    const auto type = type_of(v, id);
    ids.emplace(v.tokens[id], id);
    d.roles.push_back(is_special_type(type) || v.tokens[id].empty() ? token_role::none : token_role::text);
    if (is_special_type(type) || type == token_type::user_defined)
      d.added.push_back({.id = id, .content = v.tokens[id], .special = is_special_type(type)});
  }
  auto ok =
    v.kind == vocabulary_kind::byte_level_bpe ? describe_byte_level(v, ids, d) : describe_sentencepiece(v, ids, d);
  if (!ok)
    return unexpected{ok.error()};
  if (v.add_bos)
    d.prefix.push_back(*v.bos);
  if (v.add_eos)
    d.suffix.push_back(*v.eos);
  d.bos = v.bos;
  d.eos = v.eos;
  if (v.eot)
    d.end_tokens.push_back(*v.eot);
  return d;
}

} // namespace troupe::text
