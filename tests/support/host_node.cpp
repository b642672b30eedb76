// SPDX-License-Identifier: Apache-2.0
#include "tests/support/host_node.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "actors/node/actor_types.hpp"
#include "actors/node/local_services.hpp"
#include "actors/node/node_children.hpp"
#include "gpu/host/host_executor.hpp"
#include "tests/support/metric_sum.hpp"
#include "transport/memory/memory_backend.hpp"
#include "transport/random_peer.hpp"

namespace troupe::test {

namespace {

/// For everything but answers.
constexpr std::chrono::seconds start_time_max{30};
/// For the answers of one group, on the slowest path under the slowest neighbours.
constexpr std::chrono::seconds answer_time_max{600};
constexpr std::chrono::seconds peer_time_max{120};

/// A test that cannot go on ends here, with the reason.
void require(bool ok, const std::string& what) {
  if (!ok)
    throw std::runtime_error{what};
}

std::shared_ptr<gpu::host::compute_pool> make_pool(std::uint32_t threads) {
  auto pool = gpu::host::compute_pool::make(threads);
  require(pool.has_value(), "no compute pool");
  return *pool;
}

/// Asks until the answer is yes.
template <class Predicate>
void poll_until(Predicate ready, const std::string& what) {
  const auto until = std::chrono::steady_clock::now() + start_time_max;
  while (!ready()) {
    require(std::chrono::steady_clock::now() < until, "not in time: " + what);
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
}

/// Holds the pool's dispatcher until it goes out of scope.
class held_pool {
public:
  explicit held_pool(gpu::host::compute_pool& pool) {
    pool.post([held = held_] { held->wait(true); });
  }
  ~held_pool() {
    held_->store(false);
    held_->notify_all();
  }

private:
  std::shared_ptr<std::atomic<bool>> held_ = std::make_shared<std::atomic<bool>>(true);
};

} // namespace

class answer_table {
public:
  /// Takes what is new and in order.
  void add(const stream_tokens& stream) {
    const std::lock_guard lock{mutex_};
    auto& a = answers_[stream.request];
    if (a.ended())
      return;
    if (!stream.tokens.empty() && stream.first_index > a.tokens.size()) {
      a.failure = errc::internal; // a gap
      return;
    }
    for (auto i = a.tokens.size() - stream.first_index; i < stream.tokens.size(); ++i)
      a.tokens.push_back(stream.tokens[i].token);
    if (stream.finish != finish_reason::none) {
      a.finish = stream.finish;
      a.usage = stream.usage;
    }
    changed_.notify_all();
  }
  void fail(request_id id, errc code) {
    const std::lock_guard lock{mutex_};
    answers_[id].failure = code;
    changed_.notify_all();
  }
  stream_progress progress_of(request_id id) {
    const std::lock_guard lock{mutex_};
    const auto& a = answers_[id];
    return {id, a.tokens, a.ended()};
  }
  answer wait_for(request_id id) {
    std::unique_lock lock{mutex_};
    const auto ended = changed_.wait_for(lock, answer_time_max, [&] { return answers_[id].ended(); });
    require(ended, "no answer in time");
    return answers_[id];
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<request_id, answer> answers_;
};

namespace {

stream_hub_actor::behavior_type answer_hub(stream_hub_actor::pointer, std::shared_ptr<answer_table> answers) {
  return {
    [answers](const token_batch& batch) {
      for (const auto& stream : batch.streams)
        answers->add(stream);
    },
    [answers](const generation_failed& what) { answers->fail(what.request, what.code); },
    [answers](const find_stream_progress& what) { return answers->progress_of(what.request); },
  };
}

} // namespace

host_node::system_config::system_config() {
  init_actor_types();
  set("caf.scheduler.policy", "sharing");
  set("caf.scheduler.max-threads", 2);
  set("caf.logger.console.verbosity", "quiet");
  set("caf.logger.file.verbosity", "quiet");
}

host_node::host_node(options o) : host_node(o, make_pool(o.threads)) {
  wait_until_healthy();
  warm_up();
}

host_node::host_node(options o, std::shared_ptr<gpu::host::compute_pool> pool)
  : options_(std::move(o)), pool_(std::move(pool)), answers_(std::make_shared<answer_table>()),
    system_(std::make_unique<caf::actor_system>(config_)) {
  hub_ = system_->spawn(answer_hub, answers_);
  start_actors();
}

host_node::~host_node() {
  for (auto& [id, session] : sessions_)
    caf::anon_send_exit(session, caf::exit_reason::user_shutdown);
  sessions_.clear();
  caf::anon_send_exit(hub_, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(supervisor_, caf::exit_reason::user_shutdown);
  hub_ = stream_hub_actor{};
  supervisor_ = node_supervisor_actor{};
  system_.reset();
}

node_config host_node::configure() const {
  node_config result;
  worker_section section;
  section.chunk_tokens = options_.chunk_tokens;
  section.batch_tokens = 4096;
  if (options_.prefill_workers > 0) {
    section.count = options_.prefill_workers;
    result.prefill_worker = section;
  }
  section.count = 1;
  result.decode_worker = section;
  return result;
}

void host_node::start_actors() {
  node_parts parts;
  parts.model = "test";
  parts.make_executor = [o = options_, pool = pool_, log = log_](
                          const worker_section& section) -> expected<std::unique_ptr<gpu::executor>, gpu::error> {
    gpu::host::host_executor_options options{.kv_blocks = o.blocks,
                                             .window_blocks = o.window_blocks,
                                             .slots_max = section.running_max,
                                             .rows_max = section.running_max,
                                             .tokens_max = section.batch_tokens,
                                             .hash_logits = true,
                                             .simd = o.path};
    auto made = gpu::host::make_host_executor(o.weights, pool, options);
    if (!made)
      return unexpected{made.error()};
    return std::unique_ptr<gpu::executor>{std::make_unique<logged_executor>(std::move(*made), log)};
  };
  parts.make_backend = [fabric = std::make_shared<transport::memory_fabric>()]()
    -> expected<std::unique_ptr<transport::backend>, transport::error> {
    auto backend = transport::memory_backend::make(fabric, *transport::random_peer_id());
    if (!backend)
      return unexpected{backend.error()};
    return std::unique_ptr<transport::backend>{std::move(*backend)};
  };
  node_supervisor_config supervisor;
  supervisor.children = make_node_children(*system_, configure(), std::move(parts));
  supervisor.give_up = [](const error&) {};
  supervisor_ = spawn_node_supervisor(*system_, std::move(supervisor));
}

void host_node::wait_until_healthy() {
  caf::scoped_actor self{*system_};
  poll_until(
    [&] {
      auto healthy = false;
      if (auto directory = local_services::find<directory_actor>(*system_, local_services::directory))
        self->request(directory, std::chrono::seconds{1}, find_health{})
          .receive([&](const node_health& health) { healthy = health.healthy(); }, [](const caf::error&) {});
      return healthy;
    },
    "a healthy node");
}

/// A decode worker prefills by itself until it knows its peers and its memory is registered.
void host_node::warm_up() {
  inference_request request;
  request.prompt = {1};
  request.output_tokens_max = 1;
  request.sampling.temperature = 0;
  poll_until(
    [&] {
      const auto done = wait_for(start(request));
      require(done.finish.has_value(), "the first request failed");
      return options_.prefill_workers == 0 || metric("kv-landings-completed", "decode") > 0;
    },
    "the first landing");
  log_->take();
}

request_id host_node::start(inference_request request) {
  request.id = request_id{++last_request_};
  request.model = "test";
  request.time_left = answer_time_max;
  request.queue_time_left = answer_time_max;
  const auto id = request.id;
  sessions_[id] = spawn_request_session(*system_, std::move(request), hub_, {.peer_time_max = peer_time_max});
  return id;
}

answer host_node::wait_for(request_id id) {
  auto result = answers_->wait_for(id);
  // As a hub does when a stream has ended.
  caf::anon_send(sessions_.at(id), cancel_request{id});
  sessions_.erase(id);
  return result;
}

load_report host_node::load_of(const std::string& worker) {
  load_report result;
  caf::scoped_actor self{*system_};
  const auto handle = local_services::find<worker_actor>(*system_, worker);
  require(handle != nullptr, worker + " is down");
  self->request(handle, start_time_max, find_load{})
    .receive([&](const load_report& report) { result = report; },
             [&](const caf::error& e) { require(false, worker + ": " + caf::to_string(e)); });
  return result;
}

std::uint32_t host_node::load() {
  const auto report = load_of("troupe.decode-worker/1");
  return report.running + report.queued;
}

host_node::outcome host_node::run(std::span<const inference_request> requests, std::uint32_t group) {
  outcome result;
  poll_until([this] { return load() == 0; }, "an idle worker");
  while (!requests.empty()) {
    const auto now = requests.first(std::min<std::size_t>(group, requests.size()));
    requests = requests.subspan(now.size());
    std::vector<request_id> ids;
    {
      const held_pool held{*pool_};
      for (const auto& request : now) {
        ids.push_back(start(request));
        poll_until([&] { return load() == ids.size(); }, "a worker with the request");
      }
    }
    for (auto id : ids)
      result.answers.push_back(wait_for(id));
    poll_until([this] { return load() == 0; }, "an idle worker");
  }
  result.logits = log_->take();
  return result;
}

std::int64_t host_node::metric(std::string_view name, std::string_view role) {
  // A worker counts what it did before it answers the next message.
  for (const auto& worker : worker_names(configure()))
    load_of(worker);
  return sum_metric(*system_, name, role);
}

} // namespace troupe::test
