// SPDX-License-Identifier: Apache-2.0
#include "tests/support/synchronous_backend.hpp"

#include <poll.h>

#include <algorithm>
#include <array>

#include "tests/support/take_news.hpp"

namespace troupe::test {

expected<transport::ticket, transport::error>
synchronous_backend::write(region_id source, std::span<const transport::run> source_runs,
                           transport::remote_region target, std::span<const transport::run> target_runs,
                           std::span<const std::byte> note, transport::steady_time deadline) {
  // Deadlines of a virtual clock mean nothing to a real thread.
  (void)deadline;
  auto what = inner_->write(source, source_runs, target, target_runs, note, transport::steady_time::max());
  if (what)
    await(*what);
  return what;
}

expected<transport::ticket, transport::error> synchronous_backend::fence(transport::peer_id peer) {
  auto what = inner_->fence(peer);
  if (what)
    await(*what);
  return what;
}

transport::polled synchronous_backend::poll(std::span<transport::completion> completions,
                                            std::span<transport::arrival> arrivals) {
  return take_news(completions_, arrivals_, completions, arrivals);
}

void synchronous_backend::await(transport::ticket what) {
  auto done = [&] { return std::ranges::any_of(completions_, [&](auto& c) { return c.what == what; }); };
  while (!done()) {
    pollfd fd{inner_->wake_fd(), POLLIN, 0};
    ::poll(&fd, 1, 1000);
    std::array<transport::completion, 16> completions;
    std::array<transport::arrival, 16> arrivals;
    auto count = inner_->poll(completions, arrivals);
    completions_.insert(completions_.end(), completions.begin(),
                        completions.begin() + static_cast<std::ptrdiff_t>(count.completions));
    arrivals_.insert(arrivals_.end(), arrivals.begin(), arrivals.begin() + static_cast<std::ptrdiff_t>(count.arrivals));
  }
}

} // namespace troupe::test
