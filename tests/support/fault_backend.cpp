// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fault_backend.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "transport/runs.hpp"

namespace troupe::test {

using namespace troupe::transport;

namespace {

int checked(int result, const char* what) {
  if (result < 0) {
    std::perror(what);
    std::abort();
  }
  return result;
}

void watch(int epoll_fd, int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  checked(::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

} // namespace

fault_backend::fault_backend(std::unique_ptr<backend> inner, fault_policy policy)
  : inner_(std::move(inner)), policy_(std::move(policy)), random_(policy_.seed) {
  event_fd_ = checked(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
  wake_fd_ = checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  watch(wake_fd_, event_fd_);
  watch(wake_fd_, inner_->wake_fd());
}

fault_backend::~fault_backend() {
  ::close(wake_fd_);
  ::close(event_fd_);
}

void fault_backend::release() {
  std::lock_guard lock{mutex_};
  policy_.hold_completion.clear();
  policy_.hold_arrival.clear();
  policy_.fences = fault_policy::fence_news::told;
  for (auto& c : std::exchange(held_completions_, {}))
    completions_.push_back({c, polls_});
  for (auto& a : std::exchange(held_arrivals_, {}))
    arrivals_.push_back({a, polls_});
  update_signal();
}

std::uint64_t fault_backend::writes() const {
  std::lock_guard lock{mutex_};
  return writes_;
}

std::uint64_t fault_backend::flips() const {
  std::lock_guard lock{mutex_};
  return flips_;
}

std::size_t fault_backend::held() const {
  std::lock_guard lock{mutex_};
  return held_completions_.size() + held_arrivals_.size();
}

expected<region_id, transport::error> fault_backend::add_region(region_view view) {
  std::lock_guard lock{mutex_};
  auto id = inner_->add_region(view);
  if (id)
    regions_[*id] = view;
  return id;
}

void fault_backend::remove_region(region_id id) {
  {
    std::lock_guard lock{mutex_};
    regions_.erase(id); // no flip in it from now on
  }
  inner_->remove_region(id);
}

expected<std::string, transport::error> fault_backend::describe(region_id id, peer_id reader) {
  std::lock_guard lock{mutex_};
  auto text = inner_->describe(id, reader);
  if (text)
    described_[*text] = id;
  return text;
}

expected<remote_region, transport::error> fault_backend::import(peer_id owner, std::string_view text) {
  std::lock_guard lock{mutex_};
  auto imported = inner_->import(owner, text);
  if (auto i = described_.find(text); imported && i != described_.end())
    imported_[*imported] = i->second;
  return imported;
}

expected<ticket, transport::error> fault_backend::write(region_id source, std::span<const run> source_runs,
                                                        remote_region target, std::span<const run> target_runs,
                                                        std::span<const std::byte> note, steady_time deadline) {
  std::lock_guard lock{mutex_};
  auto index = writes_++;
  if (policy_.refuse.contains(index))
    return fail(transport::errc::no_credit, "write " + std::to_string(index) + " is refused by the test's policy");
  auto what = inner_->write(source, source_runs, target, target_runs, note, deadline);
  if (!what)
    return what;
  posted p{.index = index, .noted = !note.empty(), .target_runs = {target_runs.begin(), target_runs.end()}};
  for (auto& r : target_runs)
    p.bytes += r.bytes * r.count;
  if (auto i = imported_.find(target); i != imported_.end())
    p.target = i->second;
  posted_.emplace(*what, std::move(p));
  return what;
}

polled fault_backend::poll(std::span<completion> ended, std::span<arrival> arrived) {
  std::lock_guard lock{mutex_};
  ++polls_;
  take_from_inner();
  auto serve = [this](auto& ready, auto out) {
    std::size_t count = 0;
    while (count < out.size() && !ready.empty() && ready.front().due <= polls_) {
      out[count++] = ready.front().news;
      ready.pop_front();
    }
    return count;
  };
  polled count{serve(completions_, ended), serve(arrivals_, arrived)};
  update_signal();
  return count;
}

void fault_backend::take_from_inner() {
  // Completions first: they say which writes the arrivals belong to.
  std::vector<completion> ended;
  std::vector<arrival> arrived;
  std::array<completion, 64> some_ended;
  std::array<arrival, 64> some_arrived;
  polled count;
  do {
    count = inner_->poll(some_ended, some_arrived);
    ended.insert(ended.end(), some_ended.begin(), some_ended.begin() + static_cast<std::ptrdiff_t>(count.completions));
    arrived.insert(arrived.end(), some_arrived.begin(),
                   some_arrived.begin() + static_cast<std::ptrdiff_t>(count.arrivals));
  } while (count.completions + count.arrivals != 0);
  for (auto& c : ended)
    take(c);
  for (auto& a : arrived)
    take(a);
}

void fault_backend::take(const completion& ended) {
  auto i = posted_.find(ended.what);
  if (i != posted_.end()) { // not a fence
    auto write = std::move(i->second);
    posted_.erase(i);
    if (ended.result == transport::errc::none && policy_.flip.contains(write.index))
      flip(write);
    if (ended.result == transport::errc::none && write.noted)
      landed_.push_back(write.index);
    if (policy_.drop_completion.contains(write.index))
      return;
    if (policy_.hold_completion.contains(write.index))
      return held_completions_.push_back(ended);
  } else if (policy_.fences == fault_policy::fence_news::held) {
    return held_completions_.push_back(ended);
  }
  completions_.push_back({ended, polls_ + policy_.delay_polls});
}

void fault_backend::take(const arrival& arrived) {
  if (arrived.from == self() && !landed_.empty()) {
    auto index = landed_.front();
    landed_.pop_front();
    if (policy_.drop_arrival.contains(index))
      return;
    if (policy_.hold_arrival.contains(index))
      return held_arrivals_.push_back(arrived);
  }
  arrivals_.push_back({arrived, polls_ + policy_.delay_polls});
}

void fault_backend::flip(const posted& write) {
  auto region = regions_.find(write.target);
  if (region == regions_.end() || write.bytes == 0)
    return;
  auto skip = random_() % write.bytes;
  run_walker at{write.target_runs};
  while (skip >= at.contiguous()) {
    skip -= at.contiguous();
    at.advance(at.contiguous());
  }
  region->second.data[at.offset() + skip] ^= static_cast<std::byte>(1U << random_() % 8);
  ++flips_;
}

void fault_backend::update_signal() {
  if (completions_.empty() && arrivals_.empty()) {
    eventfd_t ignored = 0;
    ::eventfd_read(event_fd_, &ignored);
  } else {
    ::eventfd_write(event_fd_, 1);
  }
}

} // namespace troupe::test
