// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "transport/transport.hpp"

namespace troupe::test {

/// What backend::poll does with queues (vectors or deques) of news: the oldest first, up to the room given.
template <class Completions, class Arrivals>
transport::polled take_news(Completions& ended, Arrivals& arrived, std::span<transport::completion> completions,
                            std::span<transport::arrival> arrivals) {
  auto take = [](auto& from, auto to) {
    auto count = std::min(from.size(), to.size());
    std::copy_n(from.begin(), count, to.begin());
    from.erase(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  };
  return {take(ended, completions), take(arrived, arrivals)};
}

} // namespace troupe::test
