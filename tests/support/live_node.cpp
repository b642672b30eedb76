// SPDX-License-Identifier: Apache-2.0
#include "tests/support/live_node.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "actors/node/actor_types.hpp"
#include "actors/node/frontend_child.hpp"
#include "actors/node/node_children.hpp"
#include "tests/support/byte_model.hpp"
#include "tests/support/raw_http_client.hpp"
#include "transport/memory/memory_backend.hpp"
#include "transport/random_peer.hpp"

namespace troupe::test {

namespace {

constexpr std::chrono::milliseconds look_again{5};

/// Lets a test keep an eye on an executor that an actor owns.
class shared_executor final : public gpu::executor {
public:
  explicit shared_executor(std::shared_ptr<gpu::mock::mock_executor> inner) : inner_(std::move(inner)) {}

  const gpu::executor_info& info() const override { return inner_->info(); }
  void on_done(std::function<void(gpu::step_result)> f) override { inner_->on_done(std::move(f)); }
  gpu::errc open(slot_id slot, const sampling_options& sampling, std::span<const token_id> history,
                 std::uint32_t prompt_tokens) override {
    return inner_->open(slot, sampling, history, prompt_tokens);
  }
  void close(slot_id slot) override { inner_->close(slot); }
  gpu::errc submit(gpu::step s) override { return inner_->submit(std::move(s)); }
  region_view kv_memory(std::size_t group) override { return inner_->kv_memory(group); }

private:
  std::shared_ptr<gpu::mock::mock_executor> inner_;
};

node_config config_of(const live_node::options& o) {
  node_config result;
  result.http = http_section{{"127.0.0.1", 0}};
  worker_section section;
  section.chunk_tokens = o.chunk_tokens;
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

gpu::mock::mock_options executor_options(const live_node::options& o, const worker_section& section) {
  gpu::mock::mock_options result;
  result.time.base = o.step_time;
  result.kv_blocks = 512;
  result.slots_max = section.running_max;
  result.rows_max = section.running_max;
  result.tokens_max = section.batch_tokens;
  for (token_id letter = 'a'; letter <= 'z'; ++letter)
    result.drawn_tokens.push_back(letter);
  return result;
}

template <class Condition>
bool wait_for(std::chrono::seconds time, Condition holds) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until)
      return false;
    std::this_thread::sleep_for(look_again);
  }
  return true;
}

} // namespace

live_node::live_node(const options& o) : node_(config_of(o)) {
  init_actor_types();
  config_.set("caf.scheduler.policy", "sharing");
  config_.set("caf.scheduler.max-threads", 2);
  system_ = std::make_unique<caf::actor_system>(config_);
  node_parts parts;
  parts.model = "bytes";
  // The first executors are the prefill workers', in the order of the supervisor's children; a restarted worker takes
  // the place of the one that is gone.
  parts.make_executor = [this,
                         o](const worker_section& section) -> expected<std::unique_ptr<gpu::executor>, gpu::error> {
    std::lock_guard lock{mutex_};
    std::size_t place = 0;
    while (place < executors_.size() && !executors_[place].expired())
      ++place;
    auto made_of = executor_options(o, section);
    if (place >= o.prefill_workers)
      made_of.steps = o.decode_pace;
    auto made = gpu::mock::mock_executor::make(made_of);
    if (!made)
      return unexpected{made.error()};
    std::shared_ptr<gpu::mock::mock_executor> shared{std::move(*made)};
    executors_.resize(std::max(executors_.size(), place + 1));
    executors_[place] = shared;
    return std::unique_ptr<gpu::executor>{std::make_unique<shared_executor>(std::move(shared))};
  };
  parts.make_backend = [fabric = std::make_shared<transport::memory_fabric>()]()
    -> expected<std::unique_ptr<transport::backend>, transport::error> {
    auto made = transport::memory_backend::make(fabric, *transport::random_peer_id());
    if (!made)
      return unexpected{made.error()};
    return std::unique_ptr<transport::backend>{std::move(*made)};
  };
  auto gateway = make_gateway_config(*system_, node_, {byte_model()});
  gateway.session_factory = [this, make = gateway.session_factory](inference_request request, stream_hub_actor hub) {
    auto session = make(std::move(request), std::move(hub));
    std::lock_guard lock{mutex_};
    newest_session_ = session;
    return session;
  };
  node_supervisor_config supervisor;
  supervisor.children = make_node_children(*system_, node_, std::move(parts));
  supervisor.children.push_back(make_frontend_child(*system_, std::move(gateway)));
  supervisor.give_up = [gave_up = gave_up_](const error&) { *gave_up = true; };
  supervisor_ = spawn_node_supervisor(*system_, std::move(supervisor));
  wait_until_healthy();
}

live_node::~live_node() {
  caf::anon_send_exit(supervisor_, caf::exit_reason::user_shutdown);
  supervisor_ = node_supervisor_actor{};
  newest_session_ = request_session_actor{};
  system_.reset(); // waits for all actors
}

std::uint16_t live_node::port() {
  std::uint16_t result = 0;
  caf::scoped_actor self{*system_};
  if (auto gateway = local_services::find<rest_gateway_actor>(*system_, local_services::rest_gateway))
    self->request(gateway, std::chrono::seconds{5}, find_address{})
      .receive([&](const rest_address& at) { result = at.port; }, [](const caf::error&) {});
  return result;
}

std::shared_ptr<gpu::mock::mock_executor> live_node::executor(std::size_t worker) {
  std::lock_guard lock{mutex_};
  return worker < executors_.size() ? executors_[worker].lock() : nullptr;
}

void live_node::kill(std::string_view service) {
  if (auto handle = local_services::find<caf::actor>(*system_, service))
    caf::anon_send_exit(handle, caf::exit_reason::kill);
}

void live_node::kill_newest_session() {
  std::lock_guard lock{mutex_};
  caf::anon_send_exit(newest_session_, caf::exit_reason::kill);
}

bool live_node::wait_until_healthy(std::chrono::seconds time) {
  return wait_for(time, [this] {
    auto at = port();
    if (at == 0)
      return false;
    raw_http_client client{at};
    client.send(get("/health"));
    return client.receive_answer().status == 200;
  });
}

bool live_node::wait_until_newest_session_is_gone(std::chrono::seconds time) {
  caf::weak_actor_ptr session;
  {
    std::lock_guard lock{mutex_};
    session = caf::actor_cast<caf::weak_actor_ptr>(newest_session_);
    newest_session_ = request_session_actor{};
  }
  return wait_for(time, [&session] { return session.lock() == nullptr; });
}

bool live_node::wait_until_idle(std::chrono::seconds time) {
  return wait_for(time, [this] {
    for (auto& worker : worker_names(node_)) {
      auto load = load_of(worker);
      if (load.blocks == 0 || load.free_blocks != load.blocks || load.quarantined_blocks != 0 || load.running != 0)
        return false;
    }
    return true;
  });
}

load_report live_node::load_of(const std::string& worker) {
  load_report result;
  caf::scoped_actor self{*system_};
  if (auto handle = local_services::find<worker_actor>(*system_, worker))
    self->request(handle, std::chrono::seconds{5}, find_load{})
      .receive([&](const load_report& report) { result = report; }, [](const caf::error&) {});
  return result;
}

} // namespace troupe::test
