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

/// What the first token of a text loses.
enum class leading_strip : std::uint8_t { nothing, one_space, all_spaces };

/// The decoder, applied to each token once: the bytes that a token adds to a text.
class piece_table {
public:
  /// Errors name the decoder's step. Special tokens stand for themselves.
  static expected<piece_table, error> make(const tokenizer_description&);

  std::size_t size() const { return ends_.size(); }

  /// REQUIRES: token < size()
  std::string_view piece(token_id token) const {
    const auto begin = token == 0 ? 0 : ends_[token - 1];
    return std::string_view{pieces_}.substr(begin, ends_[token] - begin);
  }

  leading_strip strip() const { return strip_; }

private:
  /// The pieces of all tokens, one after another; token i is [ends[i - 1], ends[i]).
  std::string pieces_;
  std::vector<std::size_t> ends_;
  leading_strip strip_ = leading_strip::nothing;
};

} // namespace troupe::text
