// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <unordered_map>
#include <utility>
#include <variant>

#include "text/tokenizer_byte_level_bpe.hpp"
#include "text/tokenizer_sentencepiece_bpe.hpp"
#include "text/tokenizer_specials.hpp"

namespace troupe::text {

using algorithm = std::variant<byte_level_bpe, sentencepiece_bpe>;

struct tokenizer::content {
  explicit content(algorithm a) : encoder(std::move(a)) {}

  algorithm encoder;
  /// What is found in every text, and what is found where special tokens are parsed.
  special_matcher user_defined;
  special_matcher all_special;
  /// The pieces of all tokens, one after another; token i is [ends[i - 1], ends[i]).
  std::string pieces;
  std::vector<std::size_t> ends;
  std::vector<bool> is_special;
  /// Sorted.
  std::vector<token_id> end_tokens;
  std::optional<token_id> bos;
  std::optional<token_id> eos;
  bool add_bos = false;
  bool add_eos = false;
  bool add_space_prefix = false;
};

namespace {

/// Model files name one end token; these are the other ones that models of this kind were trained to end a
/// turn or text with.
constexpr std::array<std::string_view, 12> end_names = {
  "<|im_end|>",    "<|endoftext|>", "<|eot_id|>", "<|eom_id|>",      "<|end_of_text|>", "<|end|>",
  "<end_of_turn>", "</s>",          "<|eot|>",    "<|end_of_turn|>", "<|return|>",      "<EOT>",
};

struct named_id {
  std::string_view key;
  std::optional<token_id> id;
};

/// Real tokens have at most a few hundred bytes, and all special ones together a few thousand. The caps bound
/// what a lying file makes encode compare and special_matcher hold.
constexpr std::size_t token_bytes_max = 65'536;
constexpr std::size_t special_bytes_max = std::size_t{4} << 20;

token_type type_of(const vocabulary& v, token_id id) { return v.types.empty() ? token_type::normal : v.types[id]; }

/// Control and unknown tokens: not text.
bool is_special_type(token_type type) { return type == token_type::control || type == token_type::unknown; }

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
  if (v.tokens.size() >= std::size_t{1} << 31)
    return fail(errc::resource, "tokenizer.ggml.tokens: " + std::to_string(v.tokens.size()) + " tokens are too many");
  if (!v.types.empty() && v.types.size() != v.tokens.size())
    return fail(errc::resource, "tokenizer.ggml.token_type: " + std::to_string(v.types.size()) + " types for "
                                  + std::to_string(v.tokens.size()) + " tokens");
  std::unordered_map<std::string_view, token_id> seen;
  seen.reserve(v.tokens.size());
  std::size_t special_bytes = 0;
  for (token_id id = 0; id < v.tokens.size(); ++id) {
    if (v.tokens[id].size() > token_bytes_max)
      return fail(errc::resource, "tokenizer.ggml.tokens: entry " + std::to_string(id) + " has "
                                    + std::to_string(v.tokens[id].size()) + " bytes, at most "
                                    + std::to_string(token_bytes_max) + " are allowed");
    if (is_special_type(type_of(v, id)) || type_of(v, id) == token_type::user_defined)
      special_bytes += v.tokens[id].size();
    // Some files pad the list with empty tokens; nothing ever encodes to one.
    if (const auto [other, is_new] = seen.emplace(v.tokens[id], id); !is_new && !v.tokens[id].empty())
      return fail(errc::resource, "tokenizer.ggml.tokens: duplicate, '" + v.tokens[id] + "' has ids "
                                    + std::to_string(other->second) + " and " + std::to_string(id));
  }
  if (special_bytes > special_bytes_max)
    return fail(errc::resource, "tokenizer.ggml.token_type: control, unknown and user-defined tokens have "
                                  + std::to_string(special_bytes) + " bytes, at most "
                                  + std::to_string(special_bytes_max) + " are allowed");
  return {};
}

expected<algorithm, error> make_algorithm(const vocabulary& v) {
  switch (v.kind) {
    case vocabulary_kind::byte_level_bpe: {
      auto bpe = byte_level_bpe::make(v);
      if (!bpe)
        return unexpected{bpe.error()};
      return algorithm{*std::move(bpe)};
    }
    case vocabulary_kind::sentencepiece_bpe: {
      auto bpe = sentencepiece_bpe::make(v);
      if (!bpe)
        return unexpected{bpe.error()};
      return algorithm{*std::move(bpe)};
    }
  }
  return fail(errc::internal, "a vocabulary of no kind");
}

std::string piece_of(const vocabulary& v, token_id id) {
  const auto& token = v.tokens[id];
  const auto type = type_of(v, id);
  if (is_special_type(type) || type == token_type::user_defined)
    return token;
  if (v.kind == vocabulary_kind::byte_level_bpe)
    return decode_byte_alphabet(token);
  if (type == token_type::byte)
    // sentencepiece_bpe::make has checked the form <0x00>.
    return std::string(1, static_cast<char>(std::stoi(token.substr(3, 2), nullptr, 16)));
  return replaced(token, escaped_space, " ");
}

std::vector<token_id> find_end_tokens(const vocabulary& v) {
  std::vector<token_id> tokens;
  for (const auto id : {v.eos, v.eot})
    if (id)
      tokens.push_back(*id);
  for (token_id id = 0; id < v.tokens.size(); ++id)
    if (type_of(v, id) == token_type::control && std::ranges::find(end_names, v.tokens[id]) != end_names.end())
      tokens.push_back(id);
  std::ranges::sort(tokens);
  tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
  return tokens;
}

} // namespace

tokenizer::tokenizer(std::unique_ptr<const content> c) : content_(std::move(c)) {}
tokenizer::tokenizer(tokenizer&&) noexcept = default;
tokenizer& tokenizer::operator=(tokenizer&&) noexcept = default;
tokenizer::~tokenizer() = default;

expected<tokenizer, error> tokenizer::make(vocabulary v) {
  if (auto ok = check_tokens(v); !ok)
    return unexpected{ok.error()};
  if (auto ok = check_ids(v); !ok)
    return unexpected{ok.error()};
  auto encoder = make_algorithm(v);
  if (!encoder)
    return unexpected{encoder.error()};
  auto result = std::make_unique<content>(*std::move(encoder));
  for (token_id id = 0; id < v.tokens.size(); ++id) {
    result->pieces += piece_of(v, id);
    result->ends.push_back(result->pieces.size());
    const auto type = type_of(v, id);
    result->is_special.push_back(is_special_type(type));
    if (type == token_type::user_defined)
      result->user_defined.insert(v.tokens[id], id);
    if (type == token_type::user_defined || is_special_type(type))
      result->all_special.insert(v.tokens[id], id);
  }
  result->end_tokens = find_end_tokens(v);
  result->bos = v.bos;
  result->eos = v.eos;
  result->add_bos = v.add_bos;
  result->add_eos = v.add_eos;
  result->add_space_prefix = v.kind == vocabulary_kind::sentencepiece_bpe && v.add_space_prefix;
  return tokenizer{std::move(result)};
}

std::vector<token_id> tokenizer::encode(std::string_view text, encode_options options) const {
  assert(text.size() <= text_bytes_max);
  const auto& c = *content_;
  const auto& specials = options.parse == parse_special::yes ? c.all_special : c.user_defined;
  std::vector<token_id> tokens;
  if (options.add == add_special::yes && c.add_bos)
    tokens.push_back(*c.bos);
  // SentencePiece puts a space before the text and before what follows a special token.
  auto prefix = c.add_space_prefix ? space_prefix::yes : space_prefix::no;
  auto encode_plain = [&](std::string_view plain) {
    if (plain.empty())
      return;
    const auto* bytes = std::get_if<byte_level_bpe>(&c.encoder);
    const auto part = bytes ? bytes->encode(plain) : std::get<sentencepiece_bpe>(c.encoder).encode(plain, prefix);
    tokens.insert(tokens.end(), part.begin(), part.end());
    prefix = space_prefix::no;
  };
  std::size_t at = 0;
  for (auto hit = specials.find(text, at); hit; hit = specials.find(text, at)) {
    encode_plain(text.substr(at, hit->at - at));
    tokens.push_back(hit->token);
    prefix = c.add_space_prefix ? space_prefix::yes : space_prefix::no;
    at = hit->at + hit->bytes;
  }
  encode_plain(text.substr(at));
  if (options.add == add_special::yes && c.add_eos)
    tokens.push_back(*c.eos);
  return tokens;
}

std::string tokenizer::decode(std::span<const token_id> tokens, special_output specials) const {
  std::string bytes;
  bool at_start = true;
  for (const auto token : tokens) {
    const bool special = is_special(token);
    if (special && specials == special_output::skip)
      continue;
    auto text = piece(token);
    if (!special && std::exchange(at_start, false) && adds_space_prefix() && text.starts_with(' '))
      text.remove_prefix(1);
    bytes += text;
  }
  return bytes;
}

std::string_view tokenizer::piece(token_id token) const {
  assert(token < size());
  const auto begin = token == 0 ? 0 : content_->ends[token - 1];
  return std::string_view{content_->pieces}.substr(begin, content_->ends[token] - begin);
}

std::size_t tokenizer::size() const { return content_->ends.size(); }
std::optional<token_id> tokenizer::bos() const { return content_->bos; }
std::optional<token_id> tokenizer::eos() const { return content_->eos; }
bool tokenizer::adds_bos() const { return content_->add_bos; }
bool tokenizer::adds_space_prefix() const { return content_->add_space_prefix; }

bool tokenizer::is_special(token_id token) const {
  assert(token < size());
  return content_->is_special[token];
}

std::span<const token_id> tokenizer::end_of_generation_tokens() const { return content_->end_tokens; }

bool tokenizer::is_end_of_generation(token_id token) const {
  return std::ranges::binary_search(content_->end_tokens, token);
}

} // namespace troupe::text
