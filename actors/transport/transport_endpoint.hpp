// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <caf/telemetry/counter.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include "messages/interfaces.hpp"
#include "transport/transport.hpp"

namespace troupe {

/// What a back end reported in one poll. Local: it never leaves the process.
struct transport_events {
  std::vector<transport::completion> completions;
  std::vector<transport::arrival> arrivals;
};

/// The endpoint with the entrance for its poll thread.
using local_transport_endpoint_actor = transport_endpoint_actor::extend<auto(transport_events)->caf::result<void>>;

// transport_endpoint: the registered memory, transfers and completions of one node.
//
// Owns the back end and one thread, which waits on its wake_fd, polls and posts transport_events. Workers
// register memory, push blocks and ask for fences; arrivals go to the sink of their region. A region is
// withdrawn when its sink ends, before its memory is let go.
// Ends with its supervisor. Bounds: transfers beyond the back end's credits wait here, at most
// waiting_max blocks; regions_max regions.

struct transport_endpoint_config {
  std::shared_ptr<transport::backend> backend;
  /// Under virtual time the test polls.
  enum class polling : std::uint8_t { thread, by_test } poll = polling::thread;
  std::uint32_t regions_max = 256;
  std::uint32_t waiting_max = 262'144;
};

class transport_endpoint_state {
public:
  static inline const char* name = "troupe.transport-endpoint";

  transport_endpoint_state(local_transport_endpoint_actor::pointer self, transport_endpoint_config config);
  ~transport_endpoint_state();

  local_transport_endpoint_actor::behavior_type make_behavior();

private:
  struct region {
    kv_sink_actor sink;
    /// Keeps the memory valid while it is registered.
    region_view view;
  };
  /// One push_blocks: answered when its last block is.
  struct order {
    caf::typed_response_promise<blocks_pushed> promise;
    std::uint32_t blocks = 0;
    std::uint32_t open = 0;
    transport::errc result = transport::errc::none;
  };
  struct waiting_write {
    std::shared_ptr<order> of;
    region_id source;
    transport::remote_region target;
    std::uint64_t block_bytes = 0;
    block_copy block;
    transport::steady_time deadline;
  };

  struct waiting_fence {
    transport_peer writer;
    caf::typed_response_promise<void> promise;
  };

  caf::result<region_registered> add_region(register_region&, kv_sink_actor&);
  caf::result<std::string> describe(const describe_region&);
  caf::result<blocks_pushed> push(push_blocks&);
  caf::result<void> fence(transport_peer writer);
  void act(const transport_events&);
  void note_arrivals(const std::vector<transport::arrival>&);
  void complete(const transport::completion&);
  void post_waiting();
  void post_fences();
  void finish_block(order&, transport::errc);
  void sink_down(const caf::actor_addr&);

  local_transport_endpoint_actor::pointer self_;
  transport_endpoint_config config_;
  std::unordered_map<region_id, region> regions_;
  std::unordered_map<transport::ticket, std::shared_ptr<order>> writes_;
  std::unordered_map<transport::ticket, caf::typed_response_promise<void>> fences_;
  /// Blocks that wait for credit.
  std::deque<waiting_write> waiting_;
  std::deque<waiting_fence> waiting_fences_;
  caf::telemetry::int_counter* bytes_;
  std::uint64_t bytes_reported_ = 0;
  caf::telemetry::int_counter* failed_writes_;
  std::thread poller_;
  /// Written to by the destructor, to end the poll thread.
  int stop_fd_ = -1;
};

local_transport_endpoint_actor spawn_transport_endpoint(caf::actor_system&, transport_endpoint_config);

/// What the poll thread does, once: takes all that a back end has to report.
transport_events poll_once(transport::backend&);

} // namespace troupe

CAF_BEGIN_TYPE_ID_BLOCK(troupe_transport, first_custom_type_id + 1100)
CAF_ADD_TYPE_ID(troupe_transport, (troupe::transport_events))
CAF_END_TYPE_ID_BLOCK(troupe_transport)

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::transport_events)
