// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <random>

#include <doctest/doctest.h>

#include "actors/worker/sequence_hash.hpp"
#include "tests/unit/worker/worker_double.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

std::uint64_t poor_hash(std::optional<std::uint64_t> parent, std::span<const token_id> x) {
  return sequence_hash(parent, x) % 5;
}

/// A worker whose every move is drawn from one seed: arrivals of all modes, steps and their
/// results in any interleaving, cancels, deadlines, landings that come, break, or are written late.
class random_world {
public:
  enum class windows { none, drawn };

  random_world(std::uint64_t seed, windows wanted)
    : random_{seed}, w_{draw_config(wanted), {vocabulary, seed}, one_in(3) ? poor_hash : sequence_hash} {}

  void live(int operations) {
    for (int i = 0; i < operations && !w_.executor.fault; ++i)
      operate();
  }

  /// Everything that is owed comes; then all has ended and nothing is held.
  void end() {
    for (int i = 0; i < patience && !w_.executor.fault && !is_over(); ++i) {
      for (auto& [id, x] : writers_)
        if (x.is_expected)
          land(id, x);
      std::erase_if(writers_, [&](const auto& x) {
        if (!x.second.is_expected)
          w_.tested.release_landing(request_id{x.first});
        return true;
      });
      for (auto& [id, o] : w_.outcomes)
        if (o.first && !o.is_over)
          release(id);
      w_.step();
      w_.complete();
      watch();
    }
    if (!is_over())
      w_.executor.fail("a sequence never ends");
    w_.check();
    judge();
  }

  const std::optional<std::string>& fault() const { return w_.executor.fault; }
  const scheduler_counters& counters() const { return w_.tested.counters(); }
  std::uint64_t finished() const { return finished_; }

private:
  static constexpr std::uint32_t vocabulary = 7;

  /// The remote writer of a landing, until it is done, fenced, or has said that it will write no more.
  struct remote_writer {
    /// What it has written so far.
    std::uint32_t written = 0;
    /// The landing stands; else what it writes from `written` on is late.
    bool is_expected = true;
  };

  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  std::uint32_t between(std::uint32_t low, std::uint32_t high) { return low + below(high - low + 1); }
  bool one_in(std::uint32_t n) { return below(n) == 0; }

  scheduler_config draw_config(windows wanted) {
    scheduler_config c;
    c.block_tokens = between(1, 5);
    c.blocks = between(4, 40);
    c.context_tokens = between(10, 80);
    c.slots = between(1, 8);
    c.running_max = between(1, 8);
    c.rows_max = between(1, 8);
    c.step_tokens_max = between(1, 40);
    c.chunk_tokens_max = between(1, 40);
    c.queued_max = between(1, 8);
    c.steps_in_flight_max = between(1, 3);
    if (wanted == windows::drawn) {
      c.window_tokens = between(1, 30);
      c.window_blocks = between(window_share(c), 3 * window_share(c));
    }
    return c;
  }

  void operate() {
    const auto dice = below(100);
    if (dice < 12)
      arrive();
    else if (dice < 45)
      w_.step();
    else if (dice < 75)
      w_.complete();
    else if (dice < 90)
      move_writer();
    else if (dice < 93)
      release_one();
    else if (dice < 96)
      cancel_one();
    else if (dice < 98)
      pass_time();
    else if (dice < 99 && one_in(4) && w_.executor.in_flight() > 0)
      w_.complete_failed(gpu::errc::device_lost);
    else if (one_in(60))
      w_.lose_device();
    watch();
  }

  void arrive() {
    // Few beginnings, cut anywhere, so that prefixes are shared.
    auto prompt = some_tokens(between(1, std::min(50u, w_.config.context_tokens)), below(4), vocabulary);
    for (auto i = below(3); i > 0; --i)
      prompt.push_back(below(vocabulary));
    auto r =
      a_request(++last_id_, std::move(prompt), between(1, 30), sequence_mode{static_cast<std::uint8_t>(below(3))});
    if (one_in(4))
      for (auto i = below(r.output_tokens_max); i > 0; --i)
        r.tokens.push_back(w_.model.next(r.tokens));
    if (one_in(2))
      r.stop_tokens = {below(vocabulary)};
    for (auto i = r.prompt_tokens; i < r.tokens.size(); ++i)
      std::erase(r.stop_tokens, r.tokens[i]); // it would have ended there
    r.priority = static_cast<std::int32_t>(below(3)) - 1;
    if (one_in(5))
      r.deadline = w_.now + std::chrono::seconds{between(1, 40)};
    if (one_in(5))
      r.queue_deadline = w_.now + std::chrono::seconds{between(1, 10)};
    (void)w_.add(std::move(r));
  }

  void move_writer() {
    if (writers_.empty())
      return;
    auto entry = std::next(writers_.begin(), below(static_cast<std::uint32_t>(writers_.size())));
    auto& [id, x] = *entry;
    const auto length = static_cast<std::uint32_t>(w_.of(id).request.tokens.size());
    if (!x.is_expected) {
      if (one_in(3)) {
        w_.tested.release_landing(request_id{id});
        writers_.erase(entry);
      } else {
        write_late(id, x);
      }
    } else if (one_in(3)) {
      land(id, x);
      writers_.erase(entry);
    } else if (one_in(4)) {
      break_landing(entry);
    } else {
      const auto end = std::min(length, x.written + between(1, 20));
      w_.write_landing(id, x.written, end);
      x.written = end;
    }
    w_.check();
  }

  void land(std::uint64_t id, remote_writer& x) {
    w_.write_landing(id, x.written, patience);
    w_.land(id, below(20));
  }

  void break_landing(std::map<std::uint64_t, remote_writer>::iterator entry) {
    auto& [id, x] = *entry;
    const auto valid = below(x.written + 1);
    x.written = valid;
    x.is_expected = false;
    if (one_in(2)) {
      w_.break_landing(id, valid, scheduler::landing_writer::may_still_write);
    } else {
      w_.break_landing(id, valid, scheduler::landing_writer::fenced);
      writers_.erase(entry);
    }
  }

  /// Garbage, anywhere that a writer may still write.
  void write_late(std::uint64_t id, const remote_writer& x) {
    const auto& r = *w_.of(id).reserved;
    for (std::size_t group = 0; group < w_.executor.groups(); ++group) {
      const auto& missing = r.missing[group];
      const auto first = std::max(missing.first_block, x.written / w_.config.block_tokens);
      for (auto i = first; i < missing.end(); ++i)
        if (one_in(2))
          w_.executor.write(group, missing.blocks[i - missing.first_block], below(w_.config.block_tokens), 999, 999);
    }
  }

  void release_one() {
    for (auto& [id, o] : w_.outcomes)
      if (o.first && !o.is_over)
        return release(id);
  }

  void release(std::uint64_t id) {
    w_.tested.release(request_id{id});
    w_.of(id).is_over = true;
    w_.check();
  }

  void cancel_one() {
    if (last_id_ > 0)
      w_.cancel(last_id_ - std::min<std::uint64_t>(below(8), last_id_ - 1));
  }

  void pass_time() {
    w_.now += std::chrono::seconds{below(4)};
    if (one_in(2))
      w_.expire();
  }

  /// New landings get a writer; the writers of those that ended are late.
  void watch() {
    for (const auto& [id, o] : w_.outcomes)
      if (o.reserved && watched_.insert(id).second)
        writers_[id] = {first_missing(*o.reserved) * w_.config.block_tokens, true};
    for (auto& [id, x] : writers_)
      if (w_.of(id).is_over)
        x.is_expected = false;
  }

  static std::uint32_t first_missing(const scheduler_events::reserved& r) {
    const auto& [full, sliding] = r.missing;
    return sliding.blocks.empty() ? full.first_block : std::min(full.first_block, sliding.first_block);
  }

  bool is_over() const {
    return w_.tested.idle() && std::ranges::all_of(w_.outcomes, [](const auto& o) { return o.second.is_over; })
           && std::ranges::all_of(w_.tested.load().groups, [](auto& g) { return g.quarantined_blocks == 0; });
  }

  void judge() {
    for (const auto& group : w_.tested.load().groups)
      if (group.free_blocks != group.blocks)
        w_.executor.fail("blocks are lost");
    for (const auto& [id, o] : w_.outcomes) {
      const auto name = "sequence " + std::to_string(id);
      if (o.request.mode == sequence_mode::prefill_only) {
        if (!o.output.empty() && o.finished)
          w_.executor.fail(name + " decodes, though it should not");
        if (o.first && *o.first != w_.model.next(o.request.tokens))
          w_.executor.fail(name + " draws another first token than alone");
        continue;
      }
      const auto alone = w_.reference(id);
      if (o.finished ? o.output != alone
                     : o.output.size() > alone.size() || !std::equal(o.output.begin(), o.output.end(), alone.begin()))
        w_.executor.fail(name + " says something else than alone");
      if (o.finished && (o.finished->reason == finish_reason::stop) != w_.ends_with_stop(id))
        w_.executor.fail(name + " gives the wrong reason for its end");
      finished_ += o.finished.has_value();
    }
  }

  std::mt19937_64 random_;
  worker_double w_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, remote_writer> writers_;
  std::set<std::uint64_t> watched_;
  std::uint64_t finished_ = 0;
};

void live_in_worlds(random_world::windows windows) {
  std::uint64_t finished = 0, preemptions = 0, cached = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    random_world world{seed, windows};
    world.live(2500);
    world.end();
    CAPTURE(seed);
    REQUIRE(world.fault().value_or("") == "");
    finished += world.finished();
    preemptions += world.counters().preemptions;
    cached += world.counters().prompt_tokens_cached;
  }
  MESSAGE(finished << " finished, " << preemptions << " preemptions, " << cached << " cached tokens");
  CHECK(finished > 3000);
  CHECK(preemptions > 300);
  CHECK(cached > 3000);
}

} // namespace

TEST_CASE("whatever happens in whatever order, texts are those of an undisturbed run and nothing is lost") {
  live_in_worlds(random_world::windows::none);
}

TEST_CASE("the same where some layers see a window only") { live_in_worlds(random_world::windows::drawn); }
