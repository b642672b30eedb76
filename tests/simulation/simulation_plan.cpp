// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/simulation_plan.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace troupe::test {

namespace {

using std::chrono::milliseconds;

class plan_drawer {
public:
  explicit plan_drawer(std::uint64_t seed) : random_(seed) { plan_.seed = seed; }

  simulation_plan draw() {
    busy_ms_ = from_to(1000, 9000);
    late_writes_ = one_of(4);
    draw_nodes();
    draw_requests();
    draw_faults();
    draw_long_hang();
    draw_windows();
    draw_hashing();
    return std::move(plan_);
  }

private:
  std::uint32_t from_to(std::uint32_t least, std::uint32_t most) { return least + random_.below(most - least + 1); }
  bool one_of(std::uint32_t n) { return random_.below(n) == 0; }
  milliseconds time_within(std::uint32_t ms) { return milliseconds{random_.below(ms)}; }

  void add_node(std::string name) {
    node_plan& n = plan_.nodes.emplace_back();
    n.name = std::move(name);
    n.host = static_cast<host_index>(plan_.nodes.size());
    // The first node is everybody's seed, and often each is everybody's.
    for (host_index h = 1; h < n.host; ++h)
      if (h == 1 || one_of(2))
        n.seeds.push_back(h);
    n.blocks = late_writes_ ? from_to(24, 40) : from_to(16, 96);
    n.chunk_tokens = from_to(8, 64);
    n.running_max = from_to(2, 16);
  }

  void draw_nodes() {
    auto frontends = one_of(3) ? 2u : 1u;
    for (std::uint32_t i = 0; i < frontends; ++i) {
      add_node("front-" + std::to_string(i));
      plan_.nodes.back().frontend = true;
    }
    auto prefills = late_writes_ ? 1 : random_.below(3);
    for (std::uint32_t i = 0; i < prefills; ++i) {
      add_node("prefill-" + std::to_string(i));
      first_prefill_ = first_prefill_ == nobody ? plan_.nodes.size() - 1 : first_prefill_;
      plan_.nodes.back().prefill_workers = from_to(1, 2);
    }
    auto decodes = from_to(1, 3);
    for (std::uint32_t i = 0; i < decodes; ++i) {
      add_node("decode-" + std::to_string(i));
      auto& n = plan_.nodes.back();
      n.decode_workers = from_to(1, 2);
      n.prefill_workers = one_of(4) ? 1 : 0;
      n.slowness = one_of(6) ? 5 : 1;
    }
    if (one_of(4)) // a frontend that decodes, too
      plan_.nodes.front().decode_workers = 1;
    plan_.has_refuge = !one_of(3);
    if (plan_.has_refuge)
      refuge_ = plan_.nodes.size() - 1;
    else
      for (auto& n : plan_.nodes)
        n.queued_max = one_of(4) ? from_to(1, 4) : n.queued_max;
    plan_.flip_one_of = one_of(4) ? from_to(3, 40) : 0;
    plan_.refuse_one_of = one_of(3) ? from_to(2, 20) : 0;
    plan_.stall_one_of = late_writes_ ? from_to(3, 20) : one_of(2) ? from_to(3, 40) : 0;
    plan_.stall_max = milliseconds{late_writes_ ? 5000 : from_to(10, 4000)};
  }

  void draw_requests() {
    auto frontends = static_cast<std::size_t>(std::ranges::count_if(plan_.nodes, &node_plan::frontend));
    auto count = late_writes_ || one_of(3) ? from_to(20, 60) : from_to(3, 20);
    for (std::uint32_t i = 0; i < count; ++i) {
      auto& r = plan_.requests.emplace_back();
      r.when = milliseconds{2000} + time_within(busy_ms_);
      r.frontend = random_.below(static_cast<std::uint32_t>(frontends));
      r.request.id = request_id{i + 1};
      r.request.model = "mock";
      // Some share a prefix.
      auto first = random_.below(3);
      auto tokens = from_to(1, 150);
      for (std::uint32_t k = 0; k < tokens; ++k)
        r.request.prompt.push_back((k * 7 + first) % 500);
      r.request.output_tokens_max = from_to(1, 60);
      r.request.sampling.temperature = one_of(2) ? 0 : 1;
      r.request.sampling.seed = random_.next();
      r.request.time_left = std::chrono::seconds{one_of(10) && !plan_.has_refuge ? 2 : 120};
      r.request.queue_time_left = std::chrono::seconds{60};
      if (one_of(6))
        r.leaves_after = milliseconds{1} + time_within(1500);
    }
  }

  std::size_t draw_victim() {
    for (;;) {
      auto n = random_.below(static_cast<std::uint32_t>(plan_.nodes.size()));
      if (n != refuge_)
        return n;
    }
  }

  void draw_faults() {
    using kind = planned_fault::kind;
    auto count = late_writes_ || one_of(3) ? from_to(4, 9) : random_.below(5);
    for (std::uint32_t i = 0; i < count; ++i) {
      planned_fault f;
      f.when = milliseconds{2000} + time_within(busy_ms_);
      f.lasts = one_of(2) ? time_within(800) : time_within(6000);
      f.node = draw_victim();
      f.other = draw_victim();
      f.which = random_.below(64);
      auto& victim = plan_.nodes[f.node];
      auto dice = random_.below(14);
      if (late_writes_ && i < 3) {
        // A prefill node is stopped, perhaps in mid-copy, for longer than its links live.
        f.what = kind::freeze;
        f.node = first_prefill_;
        f.lasts = milliseconds{2000} + time_within(4000);
      } else if (dice < 3)
        f.what = kind::kill;
      else if (dice < 5)
        f.what = kind::freeze;
      else if (dice < 6)
        f.what = kind::drain;
      else if (dice < 7)
        f.what = kind::cut_one_way;
      else if (dice < 8)
        f.what = kind::cut;
      else if (dice < 11)
        f.what = victim.frontend && one_of(4) ? kind::hub : kind::actor;
      else if (dice < 12)
        f.what = kind::device;
      else
        f.what = kind::hang;
      // A frontend's drain is its gateway's, which is not simulated.
      if (f.what == kind::drain && victim.frontend)
        f.what = kind::kill;
      plan_.faults.push_back(f);
    }
    std::ranges::stable_sort(plan_.faults, {}, &planned_fault::when);
  }

  /// A prefill worker hangs beside a decode worker for longer than that waits for its answer. When it goes on, the
  /// blocks of its landing are wanted by others.
  void draw_long_hang() {
    if (!one_of(8))
      return;
    auto node = draw_victim();
    auto& victim = plan_.nodes[node];
    victim.prefill_workers = 1;
    victim.decode_workers = std::max(victim.decode_workers, 1u);
    auto asked = milliseconds{2000} + time_within(busy_ms_);
    auto lasts = milliseconds{from_to(35'000, 60'000)};
    draw_burst(asked, 5, 20);
    plan_.faults.push_back(
      {planned_fault::kind::hang, asked + milliseconds{from_to(20, 100)}, lasts, node, 0, /* prefill */ 0});
    std::ranges::stable_sort(plan_.faults, {}, &planned_fault::when);
    draw_burst(asked + lasts - milliseconds{1000}, 30, 60);
  }

  /// The model has a sliding group, on nodes with few blocks of it and on nodes with many.
  void draw_windows() {
    if (!one_of(3))
      return;
    auto window = from_to(1, 100);
    for (auto& n : plan_.nodes) {
      n.window_tokens = window;
      auto least = (window + 15) / 16 + 1;
      n.window_blocks = one_of(2) ? from_to(least, 3 * least) : n.blocks;
      n.window_blocks = std::max(n.window_blocks, least);
    }
  }

  /// Nodes on which landings may end while blocks of them are not hashed yet.
  void draw_hashing() {
    for (auto& n : plan_.nodes)
      n.hashes_one_by_one = one_of(2);
  }

  void draw_burst(milliseconds first, std::uint32_t count, std::uint32_t apart_ms) {
    for (std::uint32_t i = 0; i < count; ++i) {
      auto& r = plan_.requests.emplace_back();
      r.when = first + milliseconds{i * apart_ms};
      r.request.id = request_id{plan_.requests.size()};
      r.request.model = "mock";
      auto tokens = from_to(80, 160);
      for (std::uint32_t k = 0; k < tokens; ++k)
        r.request.prompt.push_back(static_cast<token_id>((k * 7 + r.request.id.value) % 500));
      r.request.output_tokens_max = 40;
      r.request.sampling.temperature = 0;
      r.request.time_left = std::chrono::seconds{120};
      r.request.queue_time_left = std::chrono::seconds{60};
    }
  }

  splitmix64 random_;
  simulation_plan plan_;
  /// Requests come, and faults strike, within this time.
  std::uint32_t busy_ms_ = 0;
  static constexpr auto nobody = static_cast<std::size_t>(-1);
  /// No fault touches it.
  std::size_t refuge_ = nobody;
  std::size_t first_prefill_ = nobody;
  /// Copies that last long, processes that stop in the middle of them, and little memory: what lands late finds its
  /// blocks wanted by others.
  bool late_writes_ = false;
};

const char* name_of(planned_fault::kind what) {
  switch (what) {
    case planned_fault::kind::kill: return "kill";
    case planned_fault::kind::freeze: return "freeze";
    case planned_fault::kind::drain: return "drain";
    case planned_fault::kind::cut_one_way: return "cut one way";
    case planned_fault::kind::cut: return "cut";
    case planned_fault::kind::actor: return "actor";
    case planned_fault::kind::device: return "device";
    case planned_fault::kind::hang: return "hang";
    case planned_fault::kind::hub: return "hub";
  }
  return "?";
}

} // namespace

simulation_plan draw_plan(std::uint64_t seed) { return plan_drawer{seed}.draw(); }

std::string to_string(const simulation_plan& plan) {
  auto text = fmt::format("seed {}: {} requests, a bit flipped in one of {} blocks, one of {} writes refused, one of "
                          "{} copies stalls{}\n",
                          plan.seed, plan.requests.size(), plan.flip_one_of, plan.refuse_one_of, plan.stall_one_of,
                          plan.has_refuge ? ", the last node is left alone" : "");
  for (auto& n : plan.nodes)
    text += fmt::format("  {}: {}{} prefill, {} decode, {} blocks, {} for windows of {}, {} running, {} queued, "
                        "slowness {}{}\n",
                        n.name, n.frontend ? "frontend, " : "", n.prefill_workers, n.decode_workers, n.blocks,
                        n.window_blocks, n.window_tokens, n.running_max, n.queued_max, n.slowness,
                        n.hashes_one_by_one ? ", hashes blocks one by one" : "");
  for (auto& f : plan.faults)
    text += fmt::format("  at {} ms: {} {} (other {}, which {}) for {} ms\n", f.when.count(), name_of(f.what),
                        plan.nodes[f.node].name, plan.nodes[f.other].name, f.which, f.lasts.count());
  return text;
}

} // namespace troupe::test
