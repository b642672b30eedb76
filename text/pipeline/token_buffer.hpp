// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "messages/ids.hpp"

namespace troupe::text {

/// Where some tokens are in a token_buffer.
struct token_range {
  std::size_t begin = 0;
  std::size_t count = 0;
};

/// Tokens in the making: room is asked for once for many, and written without a check.
class token_buffer {
public:
  token_buffer() = default;
  explicit token_buffer(std::size_t expected) : tokens_(expected + 64) {}

  /// Where the next tokens go; at least `count` fit.
  token_id* reserve(std::size_t count) {
    if (tokens_.size() - size_ < count)
      tokens_.resize(std::max(tokens_.size() + count, tokens_.size() + tokens_.size() / 2));
    return tokens_.data() + size_;
  }

  /// The first `count` of the reserved tokens have been written.
  void commit(std::size_t count) { size_ += count; }

  void push(token_id token) {
    *reserve(1) = token;
    ++size_;
  }

  std::size_t size() const { return size_; }
  /// What it holds of memory.
  std::size_t bytes() const { return tokens_.capacity() * sizeof(token_id); }
  void clear() { size_ = 0; }
  std::span<const token_id> from(std::size_t begin) const { return {tokens_.data() + begin, size_ - begin}; }
  std::span<const token_id> at(token_range r) const { return {tokens_.data() + r.begin, r.count}; }

  std::vector<token_id> take() && {
    tokens_.resize(size_);
    return std::move(tokens_);
  }

private:
  std::vector<token_id> tokens_;
  std::size_t size_ = 0;
};

} // namespace troupe::text
