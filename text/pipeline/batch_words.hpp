// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "messages/ids.hpp"
#include "text/pipeline/token_buffer.hpp"
#include "text/pipeline/word_batch.hpp"
#include "text/pipeline/word_cache.hpp"

namespace troupe::text {

/// What word_encoder knows of the words of a batch on their way to tokens. Each batch writes it before it reads it.
struct batch_words {
  template <class T>
  using per_word = std::array<T, word_batch::size_max>;

  /// The tokens of a word that the cache of short words has, and one more: a copy of 16 bytes.
  struct known_word {
    std::array<token_id, word_cache::short_tokens_max + 1> tokens;
    std::uint32_t count;
  };

  enum class other_kind : std::uint8_t {
    /// The cache has it elsewhere.
    known,
    first_time,
    /// New, but not for the first time in this batch.
    again,
  };
  /// A word that the cache of short words does not have.
  struct other_word {
    /// In the batch.
    std::uint32_t index;
    other_kind kind;
    word_cache::long_place place;
    /// Of what is known, in other_tokens.
    token_range tokens;
    /// Of what is not, in new_words.
    std::size_t new_index;
  };

  /// Of short words.
  per_word<word_cache::key> keys;
  per_word<std::size_t> sets;
  per_word<known_word> known;

  per_word<other_word> others;
  std::size_t others_count = 0;

  per_word<std::string_view> new_words;
  /// In other_tokens.
  per_word<token_range> new_tokens;
  std::size_t new_count = 0;

  token_buffer other_tokens;
};

} // namespace troupe::text
