// SPDX-License-Identifier: Apache-2.0
#include "tests/support/scenario.hpp"

#include <doctest/doctest.h>

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "actors/node/actor_types.hpp"
#include "tests/support/metric_sum.hpp"
#include "tests/support/synchronous_backend.hpp"
#include "transport/memory/memory_backend.hpp"

namespace troupe::test {

namespace {

constexpr std::uint16_t block_tokens = 16;

std::string name_of(request_id id) { return "r" + std::to_string(id.value); }

node_config config_of(const scenario::options& o) {
  node_config result;
  worker_section section;
  section.chunk_tokens = o.chunk_tokens;
  section.batch_tokens = 512;
  section.queued_max = o.queued_max;
  section.running_max = o.running_max;
  if (o.prefill_workers > 0) {
    section.count = o.prefill_workers;
    result.prefill_worker = section;
  }
  section.count = o.decode_workers;
  result.decode_worker = section;
  return result;
}

} // namespace

/// Records what streams get; drops what they have, as the real hub does.
class recording_hub_state {
public:
  static inline const char* name = "troupe.test.recording-hub";

  recording_hub_state(stream_hub_actor::pointer self, scenario* owner) : self_(self), owner_(owner) {}

  stream_hub_actor::behavior_type make_behavior() {
    return {
      [this](const token_batch& batch) {
        for (auto& stream : batch.streams)
          take(stream);
      },
      [this](const generation_failed& what) {
        auto& c = owner_->clients_[what.request];
        if (c.ends > 0)
          return; // as the real hub: the stream has ended already
        c.failure = what.code;
        owner_->history_.add(history::ended{name_of(what.request), "", to_string(what.code), {}});
        end(what.request);
      },
      [this](const find_stream_progress& what) {
        auto& c = owner_->clients_[what.request];
        c.attempt = what.attempt;
        return stream_progress{what.request, c.tokens, c.ends > 0};
      },
    };
  }

private:
  void take(const stream_tokens& stream) {
    auto& c = owner_->clients_[stream.request];
    if (c.ends > 0 || stream.attempt != c.attempt)
      return;
    if (!stream.tokens.empty() && stream.first_index > c.tokens.size()) {
      owner_->history_.add_defect("a gap in the tokens of " + name_of(stream.request));
      return;
    }
    auto known = c.tokens.size() - std::min<std::size_t>(stream.first_index, c.tokens.size());
    for (auto i = known; i < stream.tokens.size(); ++i)
      c.tokens.push_back(stream.tokens[i].token);
    note(stream, known);
    c.batches += stream.tokens.size() > known ? 1 : 0;
    c.sampled_at = stream.sampled_at;
    if (stream.finish != finish_reason::none) {
      c.finish = stream.finish;
      c.usage = stream.usage;
      owner_->history_.add(
        history::ended{name_of(stream.request), to_string(stream.finish), "", stream.usage.output_tokens});
      end(stream.request);
    }
  }

  /// The tokens from the `known`th on are new.
  void note(const stream_tokens& stream, std::size_t known) {
    std::vector<token_id> fresh;
    for (auto i = known; i < stream.tokens.size(); ++i)
      fresh.push_back(stream.tokens[i].token);
    if (!fresh.empty())
      owner_->history_.add(history::output{name_of(stream.request),
                                           stream.first_index + static_cast<std::uint32_t>(known),
                                           static_cast<std::uint32_t>(fresh.size()), text_of(fresh)});
  }

  void end(request_id request) {
    ++owner_->clients_[request].ends;
    if (auto i = owner_->sessions_.find(request); i != owner_->sessions_.end())
      self_->send(i->second, cancel_request{request});
  }

  stream_hub_actor::pointer self_;
  scenario* owner_;
};

scenario::config::config() {
  init_actor_types();
  set("caf.scheduler.policy", "testing");
  set("caf.logger.console.verbosity", "quiet");
  set("caf.logger.file.verbosity", "quiet");
}

scenario::scenario(options o) : system_(std::make_unique<caf::actor_system>(config_)) {
  hub_ = system_->spawn<stream_hub_actor::stateful_impl<recording_hub_state>>(this);
  node_parts parts;
  parts.model = "mock";
  parts.poll = transport_endpoint_config::polling::by_test;
  parts.checksum_turn_bytes = o.checksum_turn_bytes;
  parts.make_executor = [this,
                         o](const worker_section& section) -> expected<std::unique_ptr<gpu::executor>, gpu::error> {
    gpu::mock::mock_options options;
    options.steps = gpu::mock::pace::manual;
    options.kv_blocks = o.blocks;
    options.block_tokens = block_tokens;
    options.window_tokens = o.window_tokens;
    options.window_layers = 3;
    options.window_blocks = o.window_blocks;
    if (o.unequal_workers)
      options.layers = static_cast<std::uint16_t>(watch_->made + 1);
    options.slots_max = options.rows_max = section.running_max;
    auto made = gpu::mock::mock_executor::make(options);
    if (!made)
      return unexpected{made.error()};
    return std::unique_ptr<gpu::executor>{std::make_unique<observed_executor>(std::move(*made), watch_)};
  };
  parts.make_backend = [this, faults = o.faults]() -> expected<std::unique_ptr<transport::backend>, transport::error> {
    auto memory = transport::memory_backend::make(std::make_shared<transport::memory_fabric>(), {1});
    if (!memory)
      return unexpected{memory.error()};
    // Only the first transport is at fault: its successor after a restart is sound.
    auto backend = std::make_unique<fault_backend>(std::make_unique<synchronous_backend>(std::move(*memory)),
                                                   transports_made_++ == 0 ? faults : fault_policy{});
    transport_ = backend.get();
    return std::unique_ptr<transport::backend>{std::move(backend)};
  };
  auto node = config_of(o);
  node_supervisor_config supervisor;
  supervisor.children = make_node_children(*system_, node, std::move(parts));
  supervisor.give_up = [this](const error&) { gave_up_ = true; };
  supervisor_ = spawn_node_supervisor(*system_, std::move(supervisor));
  advance(std::chrono::milliseconds{500});
}

scenario::~scenario() {
  // What a test leaves unfinished has no end; all else is judged.
  for (auto& [name, what] : history_.requests)
    if (!history_.ends.contains(name))
      history_.add(history::excused{name, "the scenario ended"});
  for (auto& fault : check_history(history_))
    FAIL_CHECK(fault);
  for (auto& [id, session] : sessions_)
    caf::anon_send_exit(session, caf::exit_reason::user_shutdown);
  sessions_.clear();
  caf::anon_send_exit(hub_, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(supervisor_, caf::exit_reason::user_shutdown);
  hub_ = stream_hub_actor{};
  supervisor_ = node_supervisor_actor{};
  run_actors();
  system_.reset();
}

inference_request scenario::make_request(std::uint64_t id, std::uint32_t prompt_tokens, std::uint32_t output_tokens) {
  inference_request result;
  result.id = request_id{id};
  result.model = "mock";
  for (std::uint32_t i = 0; i < prompt_tokens; ++i)
    result.prompt.push_back((i * 7 + 3) % 500);
  result.output_tokens_max = output_tokens;
  result.sampling.temperature = 0;
  result.time_left = std::chrono::seconds{600};
  result.queue_time_left = std::chrono::seconds{30};
  return result;
}

request_session_actor scenario::start(inference_request request) {
  auto id = request.id;
  history_.add(history::accepted{name_of(id), {}, {}});
  auto session = spawn_request_session(*system_, std::move(request), hub_, {});
  sessions_[id] = session;
  return session;
}

void scenario::disconnect(std::uint64_t id) {
  ++client(id).ends;
  history_.add(history::excused{name_of(request_id{id}), "its client went away"});
  caf::anon_send(sessions_.at(request_id{id}), cancel_request{request_id{id}});
}

void scenario::run_actors() {
  auto& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(system_->scheduler());
  scheduler.run();
}

bool scenario::poll_transport() {
  if (!transport_)
    return false;
  auto endpoint = local_services::find<local_transport_endpoint_actor>(*system_, local_services::transport_endpoint);
  if (!endpoint) {
    transport_ = nullptr;
    return false;
  }
  auto events = poll_once(*transport_);
  if (events.completions.empty() && events.arrivals.empty())
    return false;
  caf::anon_send(endpoint, std::move(events));
  run_actors();
  return true;
}

bool scenario::run_one_step() {
  // A step's completion may end a worker and with it an executor, so the list is not iterated over it.
  for (std::size_t i = 0; i < watch_->alive.size(); ++i)
    if (watch_->alive[i]->inner().run_one()) {
      run_actors();
      return true;
    }
  return false;
}

void scenario::settle() {
  run_actors();
  while (poll_transport() || run_one_step()) {
  }
}

void scenario::settle_steps(std::uint32_t steps) {
  run_actors();
  while (poll_transport() || (steps > 0 && run_one_step() && steps-- > 0)) {
  }
}

void scenario::run_due() {
  dynamic_cast<caf::scheduler::test_coordinator&>(system_->scheduler()).advance_time(std::chrono::seconds{0});
  run_actors();
}

void scenario::advance(std::chrono::milliseconds time) {
  auto& scheduler = dynamic_cast<caf::scheduler::test_coordinator&>(system_->scheduler());
  settle();
  for (auto passed = std::chrono::milliseconds{0}; passed < time; passed += std::chrono::milliseconds{50}) {
    scheduler.advance_time(std::chrono::milliseconds{50});
    settle();
  }
}

load_report scenario::load_of(const std::string& worker) {
  load_report result;
  caf::scoped_actor self{*system_};
  auto handle = local_services::find<worker_actor>(*system_, worker);
  if (!handle)
    return result;
  auto response = self->request(handle, caf::infinite, find_load{});
  run_actors();
  response.receive([&](const load_report& report) { result = report; }, [](const caf::error&) {});
  return result;
}

std::int64_t scenario::metric(const std::string& name, const std::string& role) {
  return sum_metric(*system_, name, role);
}

void scenario::kill(const std::string& service) {
  auto handle = local_services::find<caf::actor>(*system_, service);
  if (handle)
    caf::anon_send_exit(handle, caf::exit_reason::kill);
  run_actors();
}

std::vector<token_id> aggregated_text(std::uint32_t prompt_tokens, std::uint32_t output_tokens) {
  scenario node{{.prefill_workers = 0, .blocks = 256}};
  node.start(scenario::make_request(1, prompt_tokens, output_tokens));
  node.settle();
  REQUIRE(node.client(1).finish == finish_reason::length);
  return node.client(1).tokens;
}

void check_all_free(scenario& node, const std::string& worker) {
  auto load = node.load_of(worker);
  CHECK(load.running == 0);
  CHECK(load.queued == 0);
  CHECK(load.quarantined_blocks == 0);
  CHECK(load.blocks > 0);
  CHECK(load.free_blocks == load.blocks);
}

} // namespace troupe::test
