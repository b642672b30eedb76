// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <caf/typed_event_based_actor.hpp>

#include "messages/interfaces.hpp"

namespace troupe {

// directory: who serves what, in which epoch, and whether it makes progress.
//
// Workers of this node introduce themselves and report their load; those of other nodes come in the shares that their
// nodes send. The directory monitors them all and drops the dead. Routers, decode workers and the gateway follow the
// fleet, which is without workers that drain or hang; node_links takes what this node offers to others. Ends with its
// supervisor; after a restart workers and links notice within a report interval and come again.
//
// A worker hangs if nothing is heard of it, or if it finishes no step while work waits and another of its kind does:
// a slow one that is alone is better than none. Times are counted in ticks of the directory, each at most twice its
// interval: a process that was stopped, or a machine without a moment for it, must not look like silent workers.
//
//   serving ◀──▶ hung, either ──▶ gone: its process or actor ended
//
// Bounds: workers_max members, subscribers_max followers; more are refused with errc::resource.

struct directory_config {
  /// This node, as in fleet_share.
  std::string node;
  std::uint64_t life = 0;
  /// How often the loads of this node's workers are shared.
  std::chrono::milliseconds share_interval{250};
  std::uint32_t workers_max = 4096;
  std::uint32_t subscribers_max = 4096;
  /// Stages without which this node cannot answer: role_bits.
  std::uint32_t roles_needed = role_decode;
  /// No report in this time: the worker hangs. Reports come several times a second.
  std::chrono::milliseconds silence_max{2000};
  /// No step finished in this time while work waits: the worker hangs.
  std::chrono::milliseconds stall_max{20'000};
  /// The models that this node's frontend knows, and their vocabularies; empty without a frontend. Workers of other
  /// nodes that serve a namesake with another vocabulary would make garbage and are left out.
  std::map<std::string, vocabulary_id> known_models;
};

class directory_state {
public:
  static inline const char* name = "troupe.directory";

  directory_state(directory_actor::pointer self, directory_config config);

  directory_actor::behavior_type make_behavior();

private:
  struct member {
    fleet_member who;
    /// Its node; empty: this one.
    std::string node;
    load_report load;
    /// When it was last heard of; in counted time, as the next.
    std::chrono::nanoseconds reported{};
    /// When its step count last grew, or when it last had nothing to do.
    std::chrono::nanoseconds progressed{};
    /// Heard of since the last share.
    bool has_news = true;
    bool is_hung = false;
  };

  caf::result<void> introduce(fleet_member);
  caf::result<void> subscribe(fleet_sink_actor);
  void share_with(share_sink_actor);
  void share();
  void tick();
  void take(fleet_share&);
  void leave(const node_left&);
  bool drop_members(const std::function<bool(const member&)>& gone);
  bool is_welcome(const std::string& node, const worker_record&);
  void warn_once(const std::string& node, const worker_record&, std::string_view what);
  void note(const load_report&);
  void judge();
  bool is_silent(const member&) const;
  bool is_stalled(const member&) const;
  bool has_better(const member&) const;
  node_health health() const;
  void forget(const caf::actor_addr&);
  void publish();
  fleet_snapshot snapshot() const;

  directory_actor::pointer self_;
  directory_config config_;
  /// Time as this actor counts it, and when it last did.
  std::chrono::nanoseconds counted_{};
  std::chrono::steady_clock::time_point counted_at_;
  std::map<worker_id, member> members_;
  /// Lives of the nodes whose members are known.
  std::map<std::string, std::uint64_t> nodes_;
  std::vector<fleet_sink_actor> subscribers_;
  share_sink_actor links_;
  /// What warn_once has said.
  std::set<std::string> warnings_;
};

directory_actor spawn_directory(caf::actor_system&, directory_config);

} // namespace troupe
