// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

namespace troupe::text {

/// Words on their way from the pre-tokenizer to the model, many at a time: so that the model can ask memory for
/// what it will look up while it still works on earlier words. A word is a view that is valid until flush returns.
class word_batch {
public:
  virtual ~word_batch() = default;

  void add(std::string_view word) {
    if (word.empty())
      return;
    words_[count_++] = word;
    if (count_ == words_.size())
      flush();
  }

  /// From now on words lie in a buffer that may be read up to `end`. Words of other buffers are handed over first.
  /// Returns the end of the buffer until now.
  const char* enter_buffer(const char* end) {
    flush();
    return std::exchange(readable_end_, end);
  }

  /// Hands over what has been added.
  void flush() {
    if (count_ > 0)
      take({words_.data(), count_, readable_end_});
    count_ = 0;
  }

  word_batch() = default;
  word_batch(const word_batch&) = delete;
  word_batch& operator=(const word_batch&) = delete;

  static constexpr std::size_t size_max = 512;

protected:
  struct words {
    const std::string_view* first;
    std::size_t count;
    /// All of them lie before it, and bytes up to it may be read.
    const char* readable_end;
  };

private:
  virtual void take(words) = 0;

  std::array<std::string_view, size_max> words_;
  std::size_t count_ = 0;
  const char* readable_end_ = nullptr;
};

} // namespace troupe::text
