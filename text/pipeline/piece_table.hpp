// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "messages/errc.hpp"
#include "messages/expected.hpp"
#include "messages/ids.hpp"
#include "text/tokenizer_description.hpp"

namespace troupe::text {

/// The decoder, applied to each token once: the bytes that a token adds to a text.
class piece_table {
public:
  /// Errors name the decoder's step. Special tokens stand for themselves, and added ones for what is found of them.
  /// The decoder adds at most 4 MiB and a byte for each token, all together: real ones add a space at most.
  static expected<piece_table, error> make(const tokenizer_description&);

  std::size_t size() const { return ends_.size(); }

  /// REQUIRES: token < size()
  std::string_view piece(token_id token) const {
    const auto begin = token == 0 ? 0 : ends_[token - 1];
    return std::string_view{pieces_}.substr(begin, ends_[token] - begin);
  }

  /// The piece without the space that stands for the beginning of a text. REQUIRES: token < size()
  std::string_view first_piece(token_id token) const {
    auto result = piece(token);
    if (!leading_.empty())
      result.remove_prefix(leading_[token]);
    return result;
  }

  /// Whether the first token of a text may lose something.
  bool strips_first() const { return !leading_.empty(); }

private:
  /// The pieces of all tokens, one after another; token i is [ends[i - 1], ends[i]).
  std::string pieces_;
  std::vector<std::size_t> ends_;
  /// How many bytes each token loses at the beginning of a text; empty if none loses any.
  std::vector<std::uint32_t> leading_;
};

} // namespace troupe::text
