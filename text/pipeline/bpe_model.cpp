// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/bpe_model.hpp"

#include <algorithm>
#include <limits>

#include "text/pipeline/byte_alphabet.hpp"
#include "text/unicode.hpp"

namespace troupe::text {

namespace {

constexpr token_id no_token = std::numeric_limits<token_id>::max();
constexpr std::uint32_t no_symbol = std::numeric_limits<std::uint32_t>::max();
constexpr std::string_view space_mark = "\xE2\x96\x81";

std::uint32_t rank_of(merge_table::packed pair) { return static_cast<std::uint32_t>(pair >> 32); }
token_id result_of(merge_table::packed pair) { return static_cast<token_id>(pair); }

/// The only character of a text, if it is one.
std::optional<char32_t> only_character(std::string_view text) {
  if (text.empty())
    return std::nullopt;
  const auto c = read_char(text, 0);
  return c.state == utf8_state::valid && c.bytes == text.size() ? std::optional{c.code_point} : std::nullopt;
}

} // namespace

bpe_model::bpe_model(const tokenizer_description& d, word_alphabet alphabet)
  : alphabet_(alphabet), merges_(std::get<bpe_description>(d.model).merges,
                                 d.tokens.size() + std::get<bpe_description>(d.model).virtual_characters.size()),
    token_count_(static_cast<token_id>(d.tokens.size())),
    border_(token_count_ + static_cast<token_id>(std::get<bpe_description>(d.model).virtual_characters.size())) {
  const auto& b = std::get<bpe_description>(d.model);
  virtual_characters_ = b.virtual_characters;
  unk_ = b.unk;
  fuse_unk_ = b.fuse_unk;
  byte_fallback_ = b.byte_fallback;
  single_.fill(no_token);
  std::ranges::transform(b.byte_tokens, byte_tokens_.begin(), [](auto id) { return id.value_or(no_token); });
  const auto add_character = [this](std::string_view text, token_id id) {
    if (const auto c = only_character(text))
      characters_[*c] = id;
  };
  for (token_id id = 0; id < d.tokens.size(); ++id)
    if (d.roles[id] != token_role::none) {
      add_character(d.tokens[id], id);
      if (b.ignore_merges)
        words_.emplace(alphabet == word_alphabet::bytes ? decode_byte_alphabet(d.tokens[id]) : d.tokens[id], id);
    }
  for (std::size_t i = 0; i < virtual_characters_.size(); ++i)
    add_character(virtual_characters_[i], static_cast<token_id>(token_count_ + i));
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto c = alphabet == word_alphabet::bytes
                     ? read_char(byte_alphabet_char(static_cast<std::uint8_t>(byte)), 0).code_point
                     : char32_t{byte};
    if (alphabet == word_alphabet::bytes || byte < 0x80)
      if (const auto found = characters_.find(c); found != characters_.end())
        single_[byte] = found->second;
  }
  // A byte without a token vanishes, so that others touch.
  if (alphabet == word_alphabet::bytes && std::ranges::find(single_, no_token) == single_.end())
    settled_.emplace(d, merges_, single_);
}

// -- symbols --------------------------------------------------------------------------------------

/// Puts symbols down, and what stands for characters that are none.
class bpe_model::symbol_writer {
public:
  symbol_writer(const bpe_model& model, std::vector<token_id>& to) : model_(model), to_(to) {}

  void add(token_id symbol) {
    flush();
    to_.push_back(symbol);
  }

  void add_unknown(std::string_view character) {
    const auto& bytes = model_.byte_tokens_;
    if (model_.byte_fallback_
        && std::ranges::all_of(character, [&](char c) { return bytes[static_cast<std::uint8_t>(c)] != no_token; })) {
      // An unknown token that waits stays behind these, which is how Hugging Face has it.
      for (const char c : character)
        to_.push_back(bytes[static_cast<std::uint8_t>(c)]);
      return;
    }
    if (!model_.unk_)
      return;
    if (!model_.fuse_unk_)
      flush();
    unknown_waits_ = true;
  }

  void flush() {
    if (unknown_waits_)
      to_.push_back(*model_.unk_);
    unknown_waits_ = false;
  }

private:
  const bpe_model& model_;
  std::vector<token_id>& to_;
  bool unknown_waits_ = false;
};

token_id bpe_model::token_of(char32_t code_point) const {
  const auto found = characters_.find(code_point);
  return found == characters_.end() ? no_token : found->second;
}

/// The symbols of a word where every byte has a token. Returns how many they are.
std::size_t bpe_model::put_bytes(std::string_view word, token_id* to) const {
  auto* const first = to;
  for (std::size_t at = 0; at < word.size();) {
    const auto byte = static_cast<std::uint8_t>(word[at]);
    if (byte >= 0xC2) {
      const auto c = read_char(word, at);
      if (c.state == utf8_state::valid)
        if (const auto token = settled_->find(word, at, c.code_point, c.bytes); token != settled_characters::none) {
          *to++ = token;
          at += c.bytes;
          continue;
        }
    }
    *to++ = single_[byte];
    ++at;
  }
  return static_cast<std::size_t>(to - first);
}

void bpe_model::add_symbols(std::string_view word, workspace& w) const {
  if (settled_) {
    w.symbols.resize(word.size());
    w.symbols.resize(put_bytes(word, w.symbols.data()));
    return;
  }
  w.symbols.clear();
  symbol_writer writer{*this, w.symbols};
  for (std::size_t at = 0; at < word.size();) {
    const auto byte = static_cast<std::uint8_t>(word[at]);
    if (single_[byte] != no_token) {
      writer.add(single_[byte]);
      ++at;
      continue;
    }
    if (alphabet_ == word_alphabet::bytes) {
      writer.add_unknown(byte_alphabet_char(byte));
      ++at;
      continue;
    }
    const auto c = read_char(word, at);
    // Ill-formed bytes stand alone; they end up as byte tokens.
    const std::size_t bytes = c.state == utf8_state::valid ? c.bytes : 1;
    const auto token = c.state == utf8_state::valid ? token_of(c.code_point) : no_token;
    if (token != no_token)
      writer.add(token);
    else
      writer.add_unknown(word.substr(at, bytes));
    at += bytes;
  }
  writer.flush();
}

// -- merging --------------------------------------------------------------------------------------

void bpe_model::merge_many(workspace& w) const {
  auto& symbols = w.symbols;
  const auto n = static_cast<std::uint32_t>(symbols.size());
  w.pairs.assign(n, merge_table::none);
  w.previous.resize(n);
  w.next.resize(n);
  w.heap.clear();
  // A max-heap of what is inverted: the lowest rank is on top, then the leftmost. A candidate whose rank is no longer
  // that of its pair is stale.
  const auto entry = [&](std::uint32_t left) { return ~(std::uint64_t{rank_of(w.pairs[left])} << 32 | left); };
  for (std::uint32_t i = 0; i < n; ++i) {
    w.previous[i] = i == 0 ? no_symbol : i - 1;
    w.next[i] = i + 1 == n ? no_symbol : i + 1;
    if (i + 1 < n)
      w.pairs[i] = merges_.find(symbols[i], symbols[i + 1]);
    if (w.pairs[i] != merge_table::none)
      w.heap.push_back(entry(i));
  }
  std::ranges::make_heap(w.heap);
  const auto renew = [&](std::uint32_t left) {
    w.pairs[left] = w.next[left] == no_symbol ? merge_table::none : merges_.find(symbols[left], symbols[w.next[left]]);
    if (w.pairs[left] != merge_table::none) {
      w.heap.push_back(entry(left));
      std::ranges::push_heap(w.heap);
    }
  };
  while (!w.heap.empty()) {
    const auto best = ~w.heap.front();
    std::ranges::pop_heap(w.heap);
    w.heap.pop_back();
    const auto left = static_cast<std::uint32_t>(best);
    if (w.pairs[left] == merge_table::none || rank_of(w.pairs[left]) != best >> 32)
      continue;
    const auto right = w.next[left];
    symbols[left] = result_of(w.pairs[left]);
    symbols[right] = no_token;
    w.pairs[right] = merge_table::none;
    w.next[left] = w.next[right];
    if (w.next[left] != no_symbol)
      w.previous[w.next[left]] = left;
    renew(left);
    if (w.previous[left] != no_symbol)
      renew(w.previous[left]);
  }
  std::erase(symbols, no_token);
}

void bpe_model::push(std::span<const token_id> symbols, token_buffer& to) const {
  if (virtual_characters_.empty()) {
    std::ranges::copy(symbols, to.reserve(symbols.size()));
    return to.commit(symbols.size());
  }
  for (const auto symbol : symbols)
    if (symbol < token_count_)
      to.push(symbol);
    else
      for (const char c : virtual_characters_[symbol - token_count_])
        to.push(byte_tokens_[static_cast<std::uint8_t>(c)]);
}

void bpe_model::encode(std::span<const std::string_view> words, workspace& w, token_buffer& to,
                       std::span<token_range> results) const {
  const auto finish = [&](std::size_t word, std::span<const token_id> symbols) {
    const auto begin = to.size();
    push(symbols, to);
    results[word] = {begin, to.size() - begin};
  };
  std::array<std::size_t, merge_lanes::lanes> word_of;
  std::size_t next = 0;
  const auto fill = [&](std::size_t lane, merge_lanes::symbols symbols) -> std::size_t {
    for (; next < words.size(); ++next) {
      if (!words_.empty())
        if (const auto whole = words_.find(words[next]); whole != words_.end()) {
          finish(next, {&whole->second, 1});
          continue;
        }
      if (settled_ && words[next].size() > 1 && words[next].size() <= symbols.size()) {
        word_of[lane] = next;
        return put_bytes(words[next++], symbols.data());
      }
      add_symbols(words[next], w);
      if (w.symbols.size() > symbols.size())
        merge_many(w);
      else if (w.symbols.size() > 1) {
        std::ranges::copy(w.symbols, symbols.begin());
        word_of[lane] = next++;
        return w.symbols.size();
      }
      finish(next, w.symbols);
    }
    return 0;
  };
  w.lanes.run(merges_, border_, fill, [&](std::size_t lane, std::span<const token_id> s) { finish(word_of[lane], s); });
}

std::optional<pre_tokenizer::cut> bpe_model::find_cut(const tokenizer_description& d) const {
  const auto& b = std::get<bpe_description>(d.model);
  if (b.ignore_merges || alphabet_ == word_alphabet::bytes || token_of(U'\u2581') == no_token)
    return std::nullopt;
  // A merge of byte tokens could make something that no token's spelling shows.
  const auto is_byte = [&](token_id id) { return id < token_count_ && d.roles[id] == token_role::byte; };
  if (std::ranges::any_of(b.merges, [&](const auto& m) { return is_byte(m.left) || is_byte(m.right); }))
    return std::nullopt;
  pre_tokenizer::cut result{std::string{space_mark}, {}};
  for (token_id id = 0; id < token_count_; ++id) {
    const std::string_view token = d.tokens[id];
    if (d.roles[id] == token_role::text && !token.empty())
      for (auto hit = token.find(space_mark, 1); hit != std::string_view::npos; hit = token.find(space_mark, hit + 1))
        result.joined[static_cast<std::uint8_t>(token[hit - 1])] = true;
  }
  return result;
}

} // namespace troupe::text
