// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "messages/ids.hpp"
#include "text/pipeline/byte_trie.hpp"
#include "text/pipeline/token_buffer.hpp"
#include "text/tokenizer_description.hpp"

namespace troupe::text {

/// The best sequence of tokens by the sum of their scores (Viterbi). A character that is no token costs 10 more than
/// the worst token; several of them side by side are one unknown token. Immutable.
class unigram_model {
public:
  /// What a thread needs to encode.
  struct workspace {
    /// For each byte of the word, the best way to it.
    struct arrival {
      double score = 0;
      std::uint32_t from = 0;
      token_id token = 0;
      bool reached = false;
    };
    std::vector<arrival> arrivals;
    /// Indices of those on the best way, the last first.
    std::vector<std::uint32_t> way;

    /// What the buffers hold of memory.
    std::size_t bytes() const { return arrivals.capacity() * sizeof arrivals[0] + way.capacity() * sizeof way[0]; }
  };

  /// REQUIRES: every id in the description is one of its tokens; one score per token; none is NaN
  explicit unigram_model(const tokenizer_description&);

  /// A word of n bytes takes O(n × longest token) time and 32 bytes per byte of memory.
  void encode(std::string_view word, workspace&, token_buffer& to) const;

private:
  void find_best_way(std::string_view word, workspace&) const;
  void put_unknown(std::string_view text, token_buffer& to) const;

  byte_trie trie_;
  std::vector<double> scores_;
  double unknown_score_ = 0;
  token_id unk_;
  bool byte_fallback_;
  std::array<std::optional<token_id>, 256> byte_tokens_;
};

} // namespace troupe::text
