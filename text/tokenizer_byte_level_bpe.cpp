// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer_byte_level_bpe.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include "text/unicode.hpp"

namespace troupe::text {

namespace {

constexpr token_id no_token = std::numeric_limits<token_id>::max();
constexpr std::uint32_t no_symbol = std::numeric_limits<std::uint32_t>::max();

/// Words longer than this, and words beyond this number, are encoded afresh each time they occur.
constexpr std::size_t remembered_bytes_max = 64;
constexpr std::size_t remembered_words_max = 65'536;

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr auto alphabet = [] {
  std::array<char32_t, 256> chars{};
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte)
    chars[byte] = stands_for_itself(byte) ? byte : next++;
  return chars;
}();

/// Code point of the alphabet to byte, -1 for others. The highest code point is U+0143.
constexpr auto alphabet_bytes = [] {
  std::array<std::int16_t, 0x144> bytes{};
  for (auto& b : bytes)
    b = -1;
  for (unsigned byte = 0; byte < 256; ++byte)
    bytes[alphabet[byte]] = static_cast<std::int16_t>(byte);
  return bytes;
}();

} // namespace

std::string byte_alphabet_char(std::uint8_t byte) { return to_utf8(alphabet[byte]); }

std::string decode_byte_alphabet(std::string_view token) {
  std::string bytes;
  for (std::size_t at = 0; at < token.size();) {
    const auto c = read_char(token, at);
    if (c.state != utf8_state::valid || c.code_point >= alphabet_bytes.size() || alphabet_bytes[c.code_point] < 0)
      return std::string{token};
    bytes += static_cast<char>(alphabet_bytes[c.code_point]);
    at += c.bytes;
  }
  return bytes;
}

// -- merge_table ----------------------------------------------------------------------------------

byte_level_bpe::merge_table::merge_table(std::size_t merges_max)
  : slots_(std::bit_ceil(2 * merges_max + 2)), shift_(64 - std::countr_zero(slots_.size())) {}

std::size_t byte_level_bpe::merge_table::first_slot(std::uint64_t key) const {
  // Fibonacci hashing: the high bits of the product depend on all bits of the key.
  return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15u) >> shift_);
}

void byte_level_bpe::merge_table::insert(token_id left, token_id right, merge value) {
  const auto key = std::uint64_t{left} << 32 | right;
  auto i = first_slot(key);
  while (slots_[i].key != empty && slots_[i].key != key)
    i = (i + 1) & (slots_.size() - 1);
  if (slots_[i].key == empty)
    slots_[i] = {key, value};
}

const byte_level_bpe::merge* byte_level_bpe::merge_table::find(token_id left, token_id right) const {
  const auto key = std::uint64_t{left} << 32 | right;
  // Ends, because at least half of the slots are empty.
  for (auto i = first_slot(key);; i = (i + 1) & (slots_.size() - 1)) {
    if (slots_[i].key == key)
      return &slots_[i].value;
    if (slots_[i].key == empty)
      return nullptr;
  }
}

// -- word_encoder ---------------------------------------------------------------------------------

/// Encodes words one after another; its buffers are reused. A word of n bytes takes O(n log n): each
/// merge adds at most two candidates to the heap.
class byte_level_bpe::word_encoder {
public:
  word_encoder(const byte_level_bpe& bpe, std::size_t text_bytes) : bpe_(bpe) { tokens_.reserve(text_bytes / 3); }

  void add(std::string_view word) {
    if (!bpe_.words_.empty())
      if (const auto whole = bpe_.words_.find(std::string{word}); whole != bpe_.words_.end())
        return tokens_.push_back(whole->second);
    if (word.size() > remembered_bytes_max)
      return merge_word(word);
    if (const auto known = seen_.find(word); known != seen_.end()) {
      for (auto i = known->second.begin; i < known->second.end; ++i)
        tokens_.push_back(tokens_[i]);
      return;
    }
    const auto begin = tokens_.size();
    merge_word(word);
    if (seen_.size() < remembered_words_max)
      seen_.emplace(word, range{begin, tokens_.size()});
  }

  std::vector<token_id> take() && { return std::move(tokens_); }

private:
  struct range {
    std::size_t begin;
    std::size_t end;
  };

  struct symbol {
    token_id token;
    std::uint32_t previous;
    std::uint32_t next;
  };

  struct candidate {
    std::uint32_t rank;
    std::uint32_t left;
    token_id left_token;
    token_id right_token;
    token_id result;

    /// Of a max-heap: the lowest rank is on top, then the leftmost.
    bool operator<(const candidate& other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
  };

  void merge_word(std::string_view word) {
    symbols_.clear();
    for (const char c : word)
      if (const auto token = bpe_.byte_tokens_[static_cast<std::uint8_t>(c)]; token != no_token) {
        const auto i = static_cast<std::uint32_t>(symbols_.size());
        symbols_.push_back({token, i == 0 ? no_symbol : i - 1, i + 1});
      }
    if (symbols_.empty())
      return;
    symbols_.back().next = no_symbol;
    for (std::uint32_t i = 0; symbols_[i].next != no_symbol; ++i)
      propose(i);
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end());
      const auto best = heap_.back();
      heap_.pop_back();
      apply(best);
    }
    for (std::uint32_t i = 0; i != no_symbol; i = symbols_[i].next)
      tokens_.push_back(symbols_[i].token);
  }

  /// Offers the pair that begins at `left`, if it has a merge.
  void propose(std::uint32_t left) {
    const auto& l = symbols_[left];
    const auto& r = symbols_[l.next];
    if (const auto* found = bpe_.merges_.find(l.token, r.token)) {
      heap_.push_back({found->rank, left, l.token, r.token, found->result});
      std::push_heap(heap_.begin(), heap_.end());
    }
  }

  void apply(const candidate& best) {
    auto& left = symbols_[best.left];
    // A merged-away symbol has no_token; a grown one has another token than the candidate saw.
    if (left.token != best.left_token || left.next == no_symbol || symbols_[left.next].token != best.right_token)
      return;
    auto& right = symbols_[left.next];
    left.token = best.result;
    left.next = right.next;
    right.token = no_token;
    if (left.next != no_symbol) {
      symbols_[left.next].previous = best.left;
      propose(best.left);
    }
    if (left.previous != no_symbol)
      propose(left.previous);
  }

  const byte_level_bpe& bpe_;
  std::vector<token_id> tokens_;
  std::vector<symbol> symbols_;
  std::vector<candidate> heap_;
  /// Where the tokens of a word that occurred before are in tokens_.
  std::unordered_map<std::string_view, range> seen_;
};

// -- byte_level_bpe -------------------------------------------------------------------------------

byte_level_bpe::byte_level_bpe(pre_tokenizer kind, std::size_t merges) : pre_tokenizer_(kind), merges_(merges) {
  byte_tokens_.fill(no_token);
}

expected<byte_level_bpe, error> byte_level_bpe::make(const vocabulary& v) {
  const auto kind = find_pre_tokenizer(v.pre_tokenizer);
  if (!kind)
    return fail(errc::resource, "tokenizer.ggml.pre: unknown pre-tokenizer '" + v.pre_tokenizer + "', known are "
                                  + std::string{pre_tokenizer_names()});
  byte_level_bpe result{*kind, v.merges.size()};
  // Control and unknown tokens stay in the table, so that a merge that names one is told from one
  // that names nothing.
  std::unordered_map<std::string_view, token_id> ids;
  ids.reserve(v.tokens.size());
  for (token_id id = 0; id < v.tokens.size(); ++id)
    ids.emplace(v.tokens[id], id);
  auto is_text = [&](token_id id) {
    return v.types.empty() || (v.types[id] != token_type::control && v.types[id] != token_type::unknown);
  };
  for (unsigned byte = 0; byte < 256; ++byte)
    if (const auto found = ids.find(byte_alphabet_char(static_cast<std::uint8_t>(byte)));
        found != ids.end() && is_text(found->second))
      result.byte_tokens_[byte] = found->second;
  for (std::size_t rank = 0; rank < v.merges.size(); ++rank) {
    const std::string_view text = v.merges[rank];
    const auto space = text.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == text.size())
      return fail(errc::resource, "tokenizer.ggml.merges: entry " + std::to_string(rank) + " is not a pair");
    const auto left = ids.find(text.substr(0, space));
    const auto right = ids.find(text.substr(space + 1));
    const std::string joined = std::string{text.substr(0, space)} + std::string{text.substr(space + 1)};
    const auto merged = ids.find(joined);
    if (left == ids.end() || right == ids.end() || merged == ids.end())
      return fail(errc::resource, "tokenizer.ggml.merges: entry " + std::to_string(rank) + ", '" + std::string{text}
                                    + "', names or makes a token that tokenizer.ggml.tokens lacks");
    if (is_text(merged->second))
      result.merges_.insert(left->second, right->second, {static_cast<std::uint32_t>(rank), merged->second});
  }
  if (*kind == pre_tokenizer::llama3)
    for (token_id id = 0; id < v.tokens.size(); ++id)
      if (is_text(id) && !v.tokens[id].empty())
        result.words_.emplace(decode_byte_alphabet(v.tokens[id]), id);
  return result;
}

std::vector<token_id> byte_level_bpe::encode(std::string_view text) const {
  word_encoder words{*this, text.size()};
  word_splitter splitter{pre_tokenizer_, text};
  for (auto word = splitter.next(); !word.empty(); word = splitter.next())
    words.add(word);
  return std::move(words).take();
}

} // namespace troupe::text
