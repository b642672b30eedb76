// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/simulated_cluster.hpp"

#include <algorithm>

#include "tests/support/scenario.hpp"

namespace troupe::test {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string name_of(request_id id) { return "r" + std::to_string(id.value); }

} // namespace

std::vector<std::vector<token_id>> undisturbed_texts(const simulation_plan& plan) {
  scenario alone{{.prefill_workers = 0, .decode_workers = 1, .blocks = 512}};
  std::vector<std::vector<token_id>> result;
  for (auto& r : plan.requests) {
    alone.start(r.request);
    alone.settle();
    result.push_back(alone.client(r.request.id.value).tokens);
  }
  return result;
}

simulated_cluster::simulated_cluster(simulation_plan plan)
  : plan_(std::move(plan)), random_(plan_.seed * 2 + 1), members_(plan_.nodes.size()) {
  fabric_.flip_one_of = plan_.flip_one_of;
  fabric_.refuse_one_of = plan_.refuse_one_of;
  fabric_.stall_one_of = plan_.stall_one_of;
  fabric_.stall_max = plan_.stall_max;
}

simulated_cluster::~simulated_cluster() {
  // All processes end before the first of their actor systems does.
  for (auto& m : members_)
    for (auto& life : m.lives)
      if (!life->port().is_dead())
        life->kill();
}

void simulated_cluster::start(std::size_t node) {
  node_observer observer;
  observer.on_tokens = [this](const stream_tokens& got) {
    auto count = static_cast<std::uint32_t>(got.tokens.size());
    std::vector<token_id> tokens;
    for (auto& t : got.tokens)
      tokens.push_back(t.token);
    note(got.request.value * 1000 + got.first_index);
    history_.add(history::output{name_of(got.request), got.first_index, count, text_of(tokens)});
    if (got.finish != finish_reason::none)
      history_.add(history::ended{name_of(got.request), to_string(got.finish), "", got.usage.output_tokens});
  };
  observer.on_failure = [this](request_id id, const error& why) {
    note(id.value * 1000 + static_cast<std::uint64_t>(why.code));
    failures_[id.value] = why.code;
    history_.add(history::ended{name_of(id), "", to_string(why.code) + ": " + why.context, {}});
  };
  observer.on_hub_lost = [this, node] { excuse_streams_of(node, "its stream hub ended"); };
  observer.on_defect = [this](const std::string& what) { history_.add_defect(what); };
  auto life = static_cast<std::uint64_t>(time_.now().time_since_epoch().count());
  members_[node].lives.push_back(
    std::make_unique<simulated_node>(time_, random_, network_, fabric_, plan_.nodes[node], life, std::move(observer)));
}

void simulated_cluster::run() {
  auto texts = undisturbed_texts(plan_);
  for (std::size_t i = 0; i < plan_.requests.size(); ++i) {
    auto& r = plan_.requests[i].request;
    history_.add(history::accepted{name_of(r.id), text_of(texts[i]), static_cast<std::uint32_t>(texts[i].size())});
  }
  for (std::size_t i = 0; i < members_.size(); ++i)
    time_.after(milliseconds{random_.below(500)}, [this, i] { start(i); });
  plan_requests();
  plan_faults();
  auto quiet = time_.now() + seconds{12};
  for (auto& f : plan_.faults)
    quiet = std::max(quiet, time_.now() + f.when + f.lasts + seconds{15});
  // A copy that stalls is a fault, too.
  time_.at(quiet - seconds{12}, [this] { fabric_.stalls_left = 0; });
  run_until(quiet);
  settle();
  note_rest();
}

/// Until every request has ended, at most until all deadlines are past.
void simulated_cluster::settle() {
  auto all_ended = [this] {
    return std::ranges::all_of(history_.requests, [this](auto& kv) {
      return history_.ends.contains(kv.first) || history_.excuses.contains(kv.first);
    });
  };
  for (int i = 0; i < 150 && !all_ended(); ++i)
    run_until(time_.now() + seconds{1});
  run_until(time_.now() + seconds{10});
}

void simulated_cluster::note_rest() {
  for (auto& m : members_) {
    if (m.lives.empty() || !m.now().runs())
      continue;
    for (auto& worker : m.now().workers()) {
      auto load = m.now().load_of(worker);
      auto name = m.now().plan().name + "/" + worker;
      if (load)
        history_.add(history::at_rest{name, load->blocks, load->free_blocks, load->quarantined_blocks,
                                      load->running + load->queued});
      else
        history_.add_defect("worker " + name + " is not there at rest");
    }
  }
}

std::vector<std::string> simulated_cluster::violations() const {
  auto result = check_history(history_);
  for (auto& r : plan_.requests) {
    auto name = name_of(r.request.id);
    auto failed = failures_.find(r.request.id.value);
    if (failed == failures_.end() || history_.excuses.contains(name))
      continue;
    auto& what = history_.ends.at(name).front().failure;
    if (plan_.has_refuge)
      result.push_back("request " + name + " failed although a decode worker was there: " + what);
    auto code = failed->second;
    if (code == errc::internal || code == errc::invalid_argument || code == errc::stale)
      result.push_back("request " + name + " failed by a defect: " + what);
    // Nothing lasts so long, so that it must have been lost.
    if (code == errc::deadline_exceeded && r.request.time_left >= std::chrono::seconds{60})
      result.push_back("request " + name + " hung: " + what);
  }
  return result;
}

// -- time ------------------------------------------------------------------------------------------

void simulated_cluster::run_actors() {
  for (auto moved = true; moved;) {
    moved = false;
    for (auto& m : members_) {
      if (m.lives.empty())
        continue;
      moved |= m.now().run_actors();
      if (m.now().gave_up() && m.now().runs()) { // the process ends
        auto node = static_cast<std::size_t>(&m - members_.data());
        kill(node);
        time_.after(seconds{1}, [this, node] { start(node); });
      }
    }
  }
}

void simulated_cluster::run_until(virtual_instant until) {
  for (;;) {
    run_actors();
    auto next = time_.next().value_or(until);
    for (auto& m : members_)
      if (!m.lives.empty())
        if (auto timer = m.now().next_timer())
          next = std::min(next, *timer);
    next = std::max(next, time_.now());
    if (next > until)
      break;
    time_.move_to(next);
    for (auto& m : members_)
      if (!m.lives.empty() && m.now().runs())
        m.now().move_time_to(next);
    while (time_.run_one())
      run_actors();
    if (next == until)
      break;
  }
  time_.move_to(until);
  for (auto& m : members_)
    if (!m.lives.empty() && m.now().runs())
      m.now().move_time_to(until);
  run_actors();
}

// -- load ------------------------------------------------------------------------------------------

void simulated_cluster::plan_requests() {
  std::vector<std::size_t> frontends;
  for (std::size_t i = 0; i < plan_.nodes.size(); ++i)
    if (plan_.nodes[i].frontend)
      frontends.push_back(i);
  for (auto& r : plan_.requests) {
    auto node = frontends[r.frontend];
    time_.after(r.when, [this, &r, node] {
      frontend_of_[r.request.id.value] = node;
      if (!members_[node].now().open(r.request))
        history_.add(history::excused{name_of(r.request.id), "its frontend was down"});
    });
    if (r.leaves_after > milliseconds{0})
      time_.after(r.when + r.leaves_after, [this, &r, node] {
        history_.add(history::excused{name_of(r.request.id), "its client went away"});
        members_[node].now().close(r.request.id);
      });
  }
}

void simulated_cluster::excuse_streams_of(std::size_t frontend, const std::string& why) {
  for (auto& [id, node] : frontend_of_)
    if (auto name = name_of(request_id{id}); node == frontend && !history_.ends.contains(name))
      history_.add(history::excused{name, why});
}

// -- faults ----------------------------------------------------------------------------------------

void simulated_cluster::plan_faults() {
  for (auto& f : plan_.faults)
    time_.after(f.when, [this, &f] { strike(f); });
}

void simulated_cluster::kill(std::size_t node) {
  members_[node].now().kill();
  excuse_streams_of(node, "its frontend died");
}

void simulated_cluster::strike(const planned_fault& f) {
  using kind = planned_fault::kind;
  auto& m = members_[f.node];
  auto& victim = m.now();
  if (victim.port().is_dead())
    return;
  note(static_cast<std::uint64_t>(time_.now().time_since_epoch().count()));
  auto here = plan_.nodes[f.node].host;
  auto there = plan_.nodes[f.other].host;
  switch (f.what) {
    case kind::kill:
      kill(f.node);
      time_.after(f.lasts, [this, node = f.node] { start(node); });
      break;
    case kind::freeze:
      if (!victim.runs())
        break;
      victim.freeze();
      time_.after(f.lasts, [&victim] {
        if (!victim.port().is_dead())
          victim.thaw();
      });
      break;
    case kind::drain:
      if (victim.runs())
        victim.drain(f.lasts, [this, node = f.node, &victim] {
          time_.after(milliseconds{1}, [this, node, &victim] {
            if (victim.port().is_dead())
              return;
            kill(node);
            time_.after(milliseconds{300}, [this, node] { start(node); });
          });
        });
      break;
    case kind::cut:
    case kind::cut_one_way:
      if (here == there || network_.is_cut(here, there) || network_.is_cut(there, here))
        break;
      network_.cut(here, there);
      if (f.what == kind::cut)
        network_.cut(there, here);
      time_.after(f.lasts, [this, here, there] {
        network_.heal(here, there);
        network_.heal(there, here);
      });
      break;
    case kind::actor: {
      auto names = victim.actor_names();
      if (victim.runs())
        victim.kill_actor(names[f.which % names.size()]);
      break;
    }
    case kind::hang: {
      auto names = victim.workers();
      if (!victim.runs() || names.empty() || !victim.hang_actor(names[f.which % names.size()]))
        break;
      time_.after(f.lasts, [&victim] { victim.resume_actors(); });
      break;
    }
    case kind::hub:
      if (victim.runs())
        victim.kill_actor("troupe.stream-hub");
      break;
    case kind::device:
      if (victim.runs())
        victim.lose_device(f.which);
      break;
  }
}

} // namespace troupe::test
