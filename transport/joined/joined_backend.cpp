// SPDX-License-Identifier: Apache-2.0
#include "transport/joined/joined_backend.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>

namespace troupe::transport {

namespace {

// The lowest bits of a ticket say whose it is: a child's index, or that it is a fence over all.
constexpr unsigned tag_bits = 4;
constexpr std::uint64_t tag_mask = (std::uint64_t{1} << tag_bits) - 1;
constexpr std::uint64_t fence_tag = joined_backend::children_max;
static_assert(fence_tag <= tag_mask);

ticket tagged(std::uint64_t value, std::uint64_t tag) {
  assert(value >> (64 - tag_bits) == 0);
  return {value << tag_bits | tag};
}

expected<std::vector<std::string_view>, error> lines_of(std::string_view text) {
  std::vector<std::string_view> result;
  while (!text.empty()) {
    if (result.size() == joined_backend::lines_max)
      return fail(errc::unknown_region,
                  "a description of more than " + std::to_string(joined_backend::lines_max) + " lines");
    auto end = std::min(text.find('\n'), text.size());
    result.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

} // namespace

expected<std::unique_ptr<joined_backend>, error> joined_backend::make(std::vector<std::unique_ptr<backend>> children) {
  if (children.empty() || children.size() > children_max)
    return fail(errc::invalid_argument, std::to_string(children.size()) + " back ends to join; 1 to "
                                          + std::to_string(children_max) + " can be");
  for (auto& child : children)
    if (child == nullptr || child->self() != children.front()->self())
      return fail(errc::invalid_argument, "the back ends to join are of different endpoints");
  auto wake_fd = ::epoll_create1(EPOLL_CLOEXEC);
  if (wake_fd < 0)
    return fail(errc::resource, std::string{"cannot make an epoll descriptor: "} + std::strerror(errno));
  std::unique_ptr<joined_backend> result{new joined_backend(std::move(children), wake_fd)};
  for (auto& child : result->children_) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = child->wake_fd()}};
    if (::epoll_ctl(wake_fd, EPOLL_CTL_ADD, child->wake_fd(), &event) != 0)
      return fail(errc::resource, std::string{"cannot watch a back end's descriptor: "} + std::strerror(errno));
  }
  return result;
}

joined_backend::joined_backend(std::vector<std::unique_ptr<backend>> children, int wake_fd)
  : children_(std::move(children)), wake_fd_(wake_fd) {}

joined_backend::~joined_backend() { ::close(wake_fd_); }

capabilities joined_backend::caps() const {
  auto result = children_.front()->caps();
  for (auto& child : children_) {
    auto caps = child->caps();
    result.bytes_max = std::min(result.bytes_max, caps.bytes_max);
    result.runs_max = std::min(result.runs_max, caps.runs_max);
    result.transfers_max = std::min(result.transfers_max, caps.transfers_max);
  }
  return result;
}

// -- regions ------------------------------------------------------------------------------------------

expected<region_id, error> joined_backend::add_region(region_view view) {
  region added;
  for (auto& child : children_) {
    auto id = child->add_region(view);
    if (!id) {
      remove_from_children(added.in_child);
      return unexpected{id.error()};
    }
    added.in_child.push_back(*id);
  }
  std::lock_guard lock{mutex_};
  region_id id{++last_region_};
  for (std::size_t child = 0; child < children_.size(); ++child)
    region_index_.emplace(std::pair{child, added.in_child[child]}, id);
  regions_.emplace(id, std::move(added));
  return id;
}

void joined_backend::remove_region(region_id id) {
  std::vector<region_id> in_child;
  {
    std::lock_guard lock{mutex_};
    auto i = regions_.find(id);
    if (i == regions_.end())
      return;
    i->second.removed = true;
    in_child = i->second.in_child;
  }
  // Each of several callers waits in the children; the entry is there until one of them is through.
  remove_from_children(in_child);
  std::lock_guard lock{mutex_};
  regions_.erase(id);
  for (std::size_t child = 0; child < in_child.size(); ++child)
    region_index_.erase({child, in_child[child]});
}

void joined_backend::remove_from_children(const std::vector<region_id>& in_child) {
  for (std::size_t child = 0; child < in_child.size(); ++child)
    children_[child]->remove_region(in_child[child]);
}

const joined_backend::region* joined_backend::find_region(region_id id) const {
  auto i = regions_.find(id);
  return i == regions_.end() || i->second.removed ? nullptr : &i->second;
}

expected<std::string, error> joined_backend::describe(region_id id, peer_id reader) {
  std::lock_guard lock{mutex_};
  auto found = find_region(id);
  if (found == nullptr)
    return fail(errc::unknown_region, "region " + std::to_string(id.value));
  std::string result;
  std::optional<error> refused;
  for (std::size_t child = 0; child < children_.size(); ++child) {
    auto line = children_[child]->describe(found->in_child[child], reader);
    if (line)
      result += (result.empty() ? "" : "\n") + *line;
    else if (!refused)
      refused = line.error();
  }
  if (result.empty() && refused)
    return unexpected{*refused};
  return result;
}

expected<remote_region, error> joined_backend::import(peer_id owner, std::string_view description) {
  auto lines = lines_of(description);
  if (!lines)
    return unexpected{lines.error()};
  error refused{errc::unknown_region, "no back end knows this description"};
  // Held throughout, so that no import of a peer outlives forget().
  std::lock_guard lock{mutex_};
  for (std::size_t child = 0; child < children_.size(); ++child)
    for (auto line : *lines) {
      auto region = children_[child]->import(owner, line);
      if (region)
        return note_import({child, *region, owner});
      // A child that knew the text says more than one that did not.
      if (refused.code == errc::unknown_region && region.error().code != errc::unknown_region)
        refused = region.error();
    }
  return unexpected{refused};
}

remote_region joined_backend::note_import(const imported& what) {
  auto [known, is_new] = import_index_.try_emplace({what.child, what.region});
  if (is_new) {
    known->second = {++last_import_};
    imports_.emplace(known->second, what);
  }
  return known->second;
}

void joined_backend::forget(peer_id peer) {
  std::lock_guard lock{mutex_};
  for (auto& child : children_)
    child->forget(peer);
  for (auto i = imports_.begin(); i != imports_.end();) {
    if (i->second.owner == peer) {
      import_index_.erase({i->second.child, i->second.region});
      i = imports_.erase(i);
    } else {
      ++i;
    }
  }
}

// -- operations ---------------------------------------------------------------------------------------

expected<ticket, error> joined_backend::write(region_id source, std::span<const run> source_runs, remote_region target,
                                              std::span<const run> target_runs, std::span<const std::byte> note,
                                              steady_time deadline) {
  imported to;
  region_id from;
  {
    std::lock_guard lock{mutex_};
    auto i = imports_.find(target);
    if (i == imports_.end())
      return fail(errc::unknown_region, "remote region " + std::to_string(target.value));
    auto found = find_region(source);
    if (found == nullptr)
      return fail(errc::unknown_region, "source region " + std::to_string(source.value));
    to = i->second;
    from = found->in_child[to.child];
  }
  auto what = children_[to.child]->write(from, source_runs, to.region, target_runs, note, deadline);
  return what ? tagged(what->value, to.child) : what;
}

void joined_backend::cancel(ticket what) {
  auto tag = what.value & tag_mask;
  if (tag < children_.size())
    return children_[tag]->cancel({what.value >> tag_bits});
  std::lock_guard lock{mutex_};
  for (auto& [part, fence] : fence_parts_)
    if (fence == what)
      children_[part.first]->cancel(part.second);
}

expected<ticket, error> joined_backend::fence(peer_id peer) {
  // Held throughout, so that no part is polled before it is known.
  std::lock_guard lock{mutex_};
  auto what = tagged(++last_fence_, fence_tag);
  for (std::size_t child = 0; child < children_.size(); ++child) {
    auto part = children_[child]->fence(peer);
    if (!part) {
      abandon_fence(what);
      return part;
    }
    fence_parts_.emplace(std::pair{child, *part}, what);
  }
  fences_.emplace(what, open_fence{.parts = children_.size()});
  return what;
}

// A child refused, so there is no such fence; the parts that were posted still end, unheard.
void joined_backend::abandon_fence(ticket what) {
  for (auto& [part, fence] : fence_parts_)
    if (fence == what)
      children_[part.first]->cancel(part.second);
}

polled joined_backend::poll(std::span<completion> ended, std::span<arrival> arrived) {
  std::lock_guard lock{mutex_};
  polled count;
  // Another child is first each time, so that none waits for the room that others leave.
  auto first = std::exchange(polled_first_, (polled_first_ + 1) % children_.size());
  for (std::size_t turn = 0; turn < children_.size(); ++turn) {
    auto child = (first + turn) % children_.size();
    auto ended_room = ended.subspan(count.completions);
    auto arrived_room = arrived.subspan(count.arrivals);
    auto taken = children_[child]->poll(ended_room, arrived_room);
    for (auto& c : ended_room.first(taken.completions))
      if (auto ours = translate(child, c))
        ended[count.completions++] = *ours;
    for (auto& a : arrived_room.first(taken.arrivals))
      if (auto ours = translate(child, a))
        arrived[count.arrivals++] = *ours;
  }
  return count;
}

std::optional<completion> joined_backend::translate(std::size_t child, const completion& c) {
  auto part = fence_parts_.find({child, c.what});
  if (part == fence_parts_.end())
    return completion{tagged(c.what.value, child), c.result, c.bytes};
  auto fence = fences_.find(part->second);
  fence_parts_.erase(part);
  if (fence == fences_.end())
    return std::nullopt;
  auto& state = fence->second;
  if (state.result == errc::none)
    state.result = c.result;
  state.bytes += c.bytes;
  if (--state.parts > 0)
    return std::nullopt;
  completion result{fence->first, state.result, state.bytes};
  fences_.erase(fence);
  return result;
}

std::optional<arrival> joined_backend::translate(std::size_t child, const arrival& a) const {
  auto region = region_index_.find({child, a.region});
  if (region == region_index_.end())
    return std::nullopt;
  auto result = a;
  result.region = region->second;
  return result;
}

std::uint64_t joined_backend::bytes_moved() const {
  std::uint64_t result = 0;
  for (auto& child : children_)
    result += child->bytes_moved();
  return result;
}

} // namespace troupe::transport
