// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "messages/errc.hpp"
#include "messages/expected.hpp"
#include "messages/ids.hpp"
#include "text/pre_tokenizer.hpp"
#include "text/vocabulary.hpp"

namespace troupe::text {

/// GPT-2's byte-level byte pair encoding: each byte of a word is a symbol; the adjacent pair of the
/// best rank merges, the leftmost first among equals, until no pair has a rank.
class byte_level_bpe {
public:
  /// Errors name the GGUF key. Of two equal merges the first counts. Merges that make a control token
  /// are left out: text cannot forge one.
  static expected<byte_level_bpe, error> make(const vocabulary&);

  /// Bytes that the vocabulary has no token for are dropped, as llama.cpp does (SmolLM2 lacks 21, of
  /// which 13 occur in no well-formed text).
  std::vector<token_id> encode(std::string_view text) const;

private:
  struct merge {
    std::uint32_t rank;
    token_id result;
  };

  /// (left, right) to merge; open addressing, because this look-up is most of the time that encoding takes.
  class merge_table {
  public:
    explicit merge_table(std::size_t merges_max);
    /// Does nothing if the pair is there already.
    void insert(token_id left, token_id right, merge);
    const merge* find(token_id left, token_id right) const;

  private:
    struct slot {
      std::uint64_t key = empty;
      merge value{};
    };
    /// (2^32 - 1, 2^32 - 1) is no pair: there are never that many tokens.
    static constexpr std::uint64_t empty = ~std::uint64_t{0};

    std::size_t first_slot(std::uint64_t key) const;

    std::vector<slot> slots_;
    int shift_;
  };

  class word_encoder;

  byte_level_bpe(pre_tokenizer, std::size_t merges);

  pre_tokenizer pre_tokenizer_;
  merge_table merges_;
  /// Token of each byte; no_token where the vocabulary lacks it.
  std::array<token_id, 256> byte_tokens_{};
  /// Decoded bytes of each plain token to the token; filled only for a pre-tokenizer that takes whole words.
  std::unordered_map<std::string, token_id> words_;
};

/// The bytes that a token stands for which is written in GPT-2's byte alphabet; the token itself if it
/// has a character that is not of the alphabet.
std::string decode_byte_alphabet(std::string_view token);

/// The character that stands for a byte in GPT-2's alphabet, as UTF-8: printable Latin-1 stands for
/// itself, the others are numbered from U+0100.
std::string byte_alphabet_char(std::uint8_t byte);

} // namespace troupe::text
