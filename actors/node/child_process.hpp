// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include "actors/node/spawned_process.hpp"
#include "messages/control/queries.hpp"
#include "messages/type_ids.hpp"

namespace troupe {

using child_process_actor = caf::typed_actor<
  // Asks the process to end (SIGTERM); responds when it has ended. What is left of it when the time is up is killed.
  auto(drain_request)->caf::result<void>>;

struct child_process_config {
  /// For logs.
  std::string name;
  std::string program = "/proc/self/exe";
  /// Beginning with the name of the program.
  std::vector<std::string> arguments;
  /// The text that the process is given; nullopt if it is not known yet. Runs on the actor.
  std::function<std::optional<std::string>()> make_text;
  /// Which code of the process means that its device is lost.
  int device_lost_code = 6;
  /// How often the process is looked at.
  std::chrono::milliseconds poll_interval{50};
  /// From SIGTERM to SIGKILL, if the actor is told to end while its process lives.
  std::chrono::milliseconds stop_time{2'000};
  /// The same on top of a drain's time, so that a process that keeps it ends by itself.
  std::chrono::milliseconds drain_grace{500};
  /// A process that is not gone this long after SIGKILL hangs in the kernel, and is left there.
  std::chrono::milliseconds kill_time{5'000};
};

// child_process: the owner of one process.
//
//   waiting for the text ──▶ running ──▶ asked to end ──▶ killed
//            │                  │             │              │
//            └──────────────────┴─────────────┴──────────────┴──▶ gone
//
// Made by the supervisor, which starts another when this one ends. A process that ends unasked ends the actor with
// errc::device_failed or worker_lost and a sentence that says how. Told to end, by a drain or an exit message, the
// actor sees the process off first. It looks at the process instead of waiting for it: that needs no thread, and until
// it has looked at the end, the process id belongs to nobody else.

class child_process_state {
public:
  static inline const char* name = "troupe.child-process";

  child_process_state(child_process_actor::pointer self, child_process_config config);

  child_process_actor::behavior_type make_behavior();

private:
  using clock_point = std::chrono::steady_clock::time_point;

  void tick();
  void start();
  void ask_to_end(std::chrono::nanoseconds limit);
  void hurry();
  void ended(const process_end&);
  void leave(caf::error reason);
  caf::result<void> drain(const drain_request&);
  void exit(const caf::exit_msg&);

  child_process_actor::pointer self_;
  child_process_config config_;
  std::optional<spawned_process> process_;
  /// Set once it was asked to end.
  std::optional<clock_point> kill_at_;
  std::optional<clock_point> give_up_at_;
  /// Who waits for its end.
  std::vector<caf::typed_response_promise<void>> drains_;
  /// What to end with after an exit message.
  caf::error exit_reason_;
};

child_process_actor spawn_child_process(caf::actor_system&, child_process_config);

} // namespace troupe
