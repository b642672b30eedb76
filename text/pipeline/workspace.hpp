// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "text/pipeline/batch_words.hpp"
#include "text/pipeline/bpe_model.hpp"
#include "text/pipeline/unigram_model.hpp"
#include "text/pipeline/word_cache.hpp"

namespace troupe::text {

/// What one call of encode needs and the next one can use again.
struct workspace {
  word_cache cache;
  bpe_model::workspace bpe;
  unigram_model::workspace unigram;
  std::string normalized;
  batch_words batch;

  /// What the buffers beside the cache hold of memory.
  std::size_t buffer_bytes() const {
    return bpe.bytes() + unigram.bytes() + normalized.capacity() + batch.other_tokens.bytes();
  }
};

/// Workspaces that no call uses. At most 16 are kept, each with a cache of 3.5 MiB and buffers of at most 1.1 MiB, so
/// that memory does not grow with threads that came and went, nor with the longest text: 74 MiB in all.
class workspace_pool {
public:
  std::unique_ptr<workspace> take() {
    {
      const std::lock_guard lock{mutex_};
      if (!idle_.empty()) {
        auto result = std::move(idle_.back());
        idle_.pop_back();
        return result;
      }
    }
    return std::make_unique<workspace>();
  }

  void give_back(std::unique_ptr<workspace> w) {
    // Those of a long word or text are not kept.
    if (w->buffer_bytes() > kept_buffer_bytes_max) {
      w->bpe = {};
      w->unigram = {};
      w->batch.other_tokens = {};
      std::string{}.swap(w->normalized); // an assignment would keep the memory
    }
    const std::lock_guard lock{mutex_};
    if (idle_.size() < kept_max)
      idle_.push_back(std::move(w));
  }

private:
  static constexpr std::size_t kept_max = 16;
  static constexpr std::size_t kept_buffer_bytes_max = std::size_t{1} << 20;

  std::mutex mutex_;
  std::vector<std::unique_ptr<workspace>> idle_;
};

} // namespace troupe::text
