// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

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
};

/// Workspaces that no call uses. At most 16 are kept, 50 MiB in all, so that memory does not grow with threads
/// that came and went.
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
    // A long word's buffers are not kept.
    if (w->bpe.symbols.capacity() > kept_symbols_max)
      w->bpe = {};
    if (w->unigram.arrivals.capacity() > kept_symbols_max)
      w->unigram = {};
    if (w->normalized.capacity() > kept_symbols_max)
      w->normalized = {};
    const std::lock_guard lock{mutex_};
    if (idle_.size() < kept_max)
      idle_.push_back(std::move(w));
  }

private:
  static constexpr std::size_t kept_max = 16;
  static constexpr std::size_t kept_symbols_max = 16'384;

  std::mutex mutex_;
  std::vector<std::unique_ptr<workspace>> idle_;
};

} // namespace troupe::text
