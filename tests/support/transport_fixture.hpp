// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "transport/memory/memory_backend.hpp"

namespace troupe::test {

/// What a back end told, in order.
struct news {
  std::vector<transport::completion> completions;
  std::vector<transport::arrival> arrivals;
};

/// Waits on the descriptor and polls until so many of both came, or patience (10 s) ends.
inline news await_news(transport::backend& from, std::size_t completions, std::size_t arrivals) {
  news result;
  std::array<transport::completion, 16> ended;
  std::array<transport::arrival, 16> arrived;
  auto patience = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  while ((result.completions.size() < completions || result.arrivals.size() < arrivals)
         && std::chrono::steady_clock::now() < patience) {
    pollfd fd{from.wake_fd(), POLLIN, 0};
    ::poll(&fd, 1, 100);
    auto count = from.poll(ended, arrived);
    result.completions.insert(result.completions.end(), ended.begin(),
                              ended.begin() + static_cast<std::ptrdiff_t>(count.completions));
    result.arrivals.insert(result.arrivals.end(), arrived.begin(),
                           arrived.begin() + static_cast<std::ptrdiff_t>(count.arrivals));
  }
  return result;
}

inline bool is_readable(const transport::backend& b) {
  pollfd fd{b.wake_fd(), POLLIN, 0};
  return ::poll(&fd, 1, 0) == 1;
}

inline transport::steady_time soon() { return std::chrono::steady_clock::now() + std::chrono::seconds{60}; }
inline transport::steady_time long_ago() { return std::chrono::steady_clock::now() - std::chrono::seconds{1}; }

/// Another for each call.
inline transport::peer_id next_peer() {
  static std::atomic<std::uint64_t> last = 0;
  return {++last};
}

inline std::unique_ptr<transport::memory_backend> make_memory(const std::shared_ptr<transport::memory_fabric>& fabric,
                                                              transport::memory_config config = {}) {
  return std::move(transport::memory_backend::make(fabric, next_peer(), config)).value();
}

/// A back end with memory of its own, registered.
struct endpoint {
  std::vector<std::byte> memory;
  std::unique_ptr<transport::memory_backend> bytes;
  region_id region;

  endpoint(const std::shared_ptr<transport::memory_fabric>& fabric, std::size_t size,
           transport::memory_config config = {})
    : memory(size), bytes(make_memory(fabric, config)), region(*bytes->add_region({memory.data(), size})) {}

  /// Lets `writer` write into this one's memory.
  transport::remote_region open_to(endpoint& writer) {
    auto text = bytes->describe(region, writer.bytes->self());
    return *writer.bytes->import(bytes->self(), *text);
  }
};

} // namespace troupe::test
