// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "messages/ids.hpp"
#include "text/pipeline/merge_lanes.hpp"
#include "text/pipeline/merge_table.hpp"
#include "text/pipeline/pre_tokenizer.hpp"
#include "text/pipeline/settled_characters.hpp"
#include "text/pipeline/token_buffer.hpp"
#include "text/tokenizer_description.hpp"

namespace troupe::text {

enum class word_alphabet : std::uint8_t {
  /// The symbols of a word are its characters.
  characters,
  /// They are its bytes; tokens are written in GPT-2's alphabet.
  bytes,
};

/// Byte pair encoding: see bpe_description. Immutable.
class bpe_model {
public:
  /// What a thread needs to encode.
  struct workspace {
    merge_lanes lanes;
    std::vector<token_id> symbols;
    std::vector<merge_table::packed> pairs;
    std::vector<std::uint32_t> previous;
    std::vector<std::uint32_t> next;
    std::vector<std::uint64_t> heap;

    /// What the buffers beside the lanes hold of memory.
    std::size_t bytes() const {
      return symbols.capacity() * sizeof symbols[0] + pairs.capacity() * sizeof pairs[0]
             + previous.capacity() * sizeof previous[0] + next.capacity() * sizeof next[0]
             + heap.capacity() * sizeof heap[0];
    }
  };

  /// REQUIRES: every id in the description is one of its tokens or, in merges, of its virtual characters
  bpe_model(const tokenizer_description&, word_alphabet);

  /// Encodes each word by itself: `results` gets where its tokens are in `to`. A word of n bytes takes O(n log n) time
  /// and 40 bytes per byte of memory. REQUIRES: results.size() >= words.size()
  void encode(std::span<const std::string_view> words, workspace&, token_buffer& to,
              std::span<token_range> results) const;

  /// Where words may be cut further without changing any token: before U+2581, where no token has it behind
  /// another character.
  std::optional<pre_tokenizer::cut> find_cut(const tokenizer_description&) const;

private:
  class symbol_writer;

  struct string_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>{}(s); }
  };

  token_id token_of(char32_t code_point) const;
  void add_symbols(std::string_view word, workspace&) const;
  std::size_t put_bytes(std::string_view word, token_id* to) const;
  void merge_many(workspace&) const;
  void push(std::span<const token_id> symbols, token_buffer& to) const;

  word_alphabet alphabet_;
  merge_table merges_;
  token_id token_count_;
  /// A symbol that is none: it has no merges.
  token_id border_;
  /// Token of each byte's character, and of each ASCII character.
  std::array<token_id, 256> single_{};
  std::unordered_map<char32_t, token_id> characters_;
  /// Of byte-level BPE, where every byte has a token.
  std::optional<settled_characters> settled_;
  /// Tokens that stand for bytes of what has no token.
  std::array<token_id, 256> byte_tokens_{};
  std::vector<std::string> virtual_characters_;
  std::optional<token_id> unk_;
  bool byte_fallback_;
  bool fuse_unk_;
  /// Filled only with ignore_merges.
  std::unordered_map<std::string, token_id, string_hash, std::equal_to<>> words_;
};

} // namespace troupe::text
