// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/simulated_node.hpp"

#include <algorithm>

#include <caf/event_based_actor.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "actors/frontend/request_session.hpp"
#include "actors/node/actor_types.hpp"
#include "actors/node/local_services.hpp"
#include "actors/node/node_links.hpp"
#include "actors/transport/transport_endpoint.hpp"

namespace troupe::test {

namespace {

constexpr auto hub_name = "troupe.stream-hub";
constexpr std::uint16_t plane_port = 7400;

/// The I/O thread of a frontend without sockets.
class inline_lane final : public io_lane {
public:
  void post(std::function<void()> work) override { work(); }
};

node_config config_of(const node_plan& plan) {
  node_config result;
  worker_section section;
  section.chunk_tokens = plan.chunk_tokens;
  section.queued_max = plan.queued_max;
  section.running_max = plan.running_max;
  if (section.count = plan.prefill_workers; section.count > 0)
    result.prefill_worker = section;
  if (section.count = plan.decode_workers; section.count > 0)
    result.decode_worker = section;
  if (plan.frontend)
    result.http.emplace();
  return result;
}

} // namespace

simulated_node::simulated_node(timeline& time, splitmix64& random, network& net, simulated_fabric& fabric,
                               node_plan plan, std::uint64_t life, node_observer observer)
  : time_(time), random_(random), network_(net), fabric_(fabric), plan_(std::move(plan)),
    observer_(std::move(observer)), config_(config_of(plan_)) {
  init_actor_types();
  caf_config_.set("caf.scheduler.policy", "testing");
  caf_config_.set("caf.logger.console.verbosity", "quiet");
  caf_config_.set("caf.logger.file.verbosity", "quiet");
  caf_config_.module_factories.emplace_back(
    [id = net.next_node_id()](caf::actor_system& system) { return new caf::net::middleman{system, id}; });
  system_ = std::make_unique<caf::actor_system>(caf_config_);
  move_time_to(time_.now());
  port_ = &network_.add(plan_.host, *system_);
  watch_->before_submit = [this](observed_executor& e, const gpu::step& s) { time_step(e, s); };
  watch_->after_step = [this](observed_executor&, const gpu::step_result& result) {
    if (result.code == gpu::errc::invalid_step)
      observer_.on_defect(plan_.name + ": a step failed: " + result.context);
  };
  make_children(life);
}

simulated_node::~simulated_node() {
  if (!port_->is_dead())
    kill();
  resume_actors();
  for (auto& session : sessions_)
    caf::anon_send_exit(session, caf::exit_reason::kill);
  sessions_.clear();
  caf::anon_send_exit(supervisor_, caf::exit_reason::user_shutdown);
  supervisor_ = node_supervisor_actor{};
  caf::anon_send_exit(port_->middleman(), caf::exit_reason::kill);
  scheduler().run();
  port_->end();
  scheduler().run();
  system_.reset();
}

caf::scheduler::test_coordinator& simulated_node::scheduler() {
  return dynamic_cast<caf::scheduler::test_coordinator&>(system_->scheduler());
}

// -- what it is made of ----------------------------------------------------------------------------

void simulated_node::make_children(std::uint64_t life) {
  node_parts parts;
  parts.model = "mock";
  parts.identity = {plan_.name, life};
  parts.poll = transport_endpoint_config::polling::by_test;
  parts.checksum_turn_bytes = plan_.hashes_one_by_one ? 1 : parts.checksum_turn_bytes;
  parts.make_executor = [this](const worker_section& section) { return make_executor(section); };
  parts.make_backend = [this]() -> expected<std::unique_ptr<transport::backend>, transport::error> {
    auto made = fabric_.make(*port_, [this] { news_ = true; });
    backend_ = made.get();
    return made;
  };
  node_supervisor_config supervisor;
  supervisor.children = make_node_children(*system_, config_, std::move(parts));
  supervisor.children.push_back(links_child(life));
  if (plan_.frontend)
    supervisor.children.push_back(hub_child());
  supervisor.give_up = [this](const error&) { gave_up_ = true; };
  supervisor_ = spawn_node_supervisor(*system_, std::move(supervisor));
}

expected<std::unique_ptr<gpu::executor>, gpu::error> simulated_node::make_executor(const worker_section& section) {
  gpu::mock::mock_options options;
  options.steps = gpu::mock::pace::manual;
  options.kv_blocks = plan_.blocks;
  options.window_tokens = plan_.window_tokens;
  options.window_blocks = plan_.window_blocks;
  options.slots_max = options.rows_max = section.running_max;
  options.layers = 1;
  auto made = gpu::mock::mock_executor::make(options);
  if (!made)
    return unexpected{made.error()};
  return std::unique_ptr<gpu::executor>{std::make_unique<observed_executor>(std::move(*made), watch_)};
}

child_spec simulated_node::links_child(std::uint64_t life) {
  node_links_config links;
  links.node = plan_.name;
  links.life = life;
  links.cluster = "simulated";
  links.listen = {address_of(plan_.host), plane_port};
  for (auto seed : plan_.seeds)
    links.seeds.push_back({address_of(seed), plane_port});
  links.middleman = [this] { return port_->middleman(); };
  child_spec spec;
  spec.name = local_services::node_links;
  spec.start = [this, links] { return caf::actor_cast<caf::strong_actor_ptr>(spawn_node_links(*system_, links)); };
  return spec;
}

stream_hub_config simulated_node::hub_config() const {
  stream_hub_config hub;
  hub.lane = std::make_shared<inline_lane>();
  hub.deliver = [this](const std::vector<stream_tokens>& batch) {
    for (auto& tokens : batch)
      observer_.on_tokens(tokens);
  };
  hub.fail = [this](request_id id, const error& e) { observer_.on_failure(id, e); };
  return hub;
}

child_spec simulated_node::hub_child() {
  child_spec spec;
  spec.name = hub_name;
  spec.start = [this] {
    auto hub = system_->spawn<stream_hub_impl>(hub_config());
    hub->attach_functor([this] {
      if (!port_->is_dead())
        observer_.on_hub_lost();
    });
    return caf::actor_cast<caf::strong_actor_ptr>(hub);
  };
  return spec;
}

// -- time ------------------------------------------------------------------------------------------

bool simulated_node::run_actors() {
  if (!runs())
    return false;
  auto moved = false;
  auto& jobs = scheduler().jobs;
  do {
    while (!jobs.empty()) {
      // Which actor runs next is drawn; what one actor is sent by another stays in order.
      std::swap(jobs.front(), jobs[random_.below(static_cast<std::uint32_t>(jobs.size()))]);
      if (hold_back())
        continue;
      scheduler().try_run_once();
      moved = true;
    }
  } while (poll_transport());
  return moved;
}

/// Takes the next job away if it is that of an actor that hangs.
bool simulated_node::hold_back() {
  auto& jobs = scheduler().jobs;
  auto* next = jobs.front();
  if (hung_.empty() || next->subtype() != caf::resumable::scheduled_actor
      || !hung_.contains(static_cast<caf::scheduled_actor*>(next)->id()))
    return false;
  hung_jobs_.push_back(next);
  jobs.pop_front();
  return true;
}

bool simulated_node::poll_transport() {
  if (!std::exchange(news_, false))
    return false;
  auto endpoint = local_services::find<local_transport_endpoint_actor>(*system_, local_services::transport_endpoint);
  if (!endpoint)
    return false;
  auto events = poll_once(*backend_);
  if (events.completions.empty() && events.arrivals.empty())
    return false;
  caf::anon_send(endpoint, std::move(events));
  return true;
}

std::optional<virtual_instant> simulated_node::next_timer() {
  auto& due = scheduler().clock().schedule;
  return runs() && !due.empty() ? std::optional{due.begin()->first} : std::nullopt;
}

void simulated_node::move_time_to(virtual_instant when) {
  auto& clock = scheduler().clock();
  if (when >= clock.now())
    clock.advance_time(when - clock.now());
}

/// A step takes a drawn time, and the next one begins after it.
void simulated_node::time_step(observed_executor& executor, const gpu::step& step) {
  auto tokens = step.computed_tokens();
  auto cost = std::chrono::microseconds{(3000 + 100 * tokens + random_.below(4000)) * plan_.slowness};
  auto& busy = busy_until_[&executor];
  busy = std::max(busy, time_.now()) + cost;
  time_.at(busy, [this, serial = executor.serial()] { end_step(serial); });
}

void simulated_node::end_step(std::uint64_t executor) {
  if (port_->is_frozen())
    kept_steps_.push_back(executor);
  if (!runs())
    return;
  auto i = std::ranges::find_if(watch_->alive, [&](auto* e) { return e->serial() == executor; });
  if (i != watch_->alive.end())
    (*i)->inner().run_one();
}

// -- clients ---------------------------------------------------------------------------------------

bool simulated_node::open(inference_request request) {
  auto hub = local_services::find<frontend_hub_actor>(*system_, hub_name);
  if (!hub || !runs())
    return false;
  auto id = request.id;
  caf::anon_send(hub, open_choice{id});
  auto session = spawn_request_session(*system_, std::move(request), hub, {});
  caf::anon_send(hub, bind_session{id, session});
  sessions_.push_back(session);
  return true;
}

void simulated_node::close(request_id request) {
  if (auto hub = local_services::find<frontend_hub_actor>(*system_, hub_name); hub && runs())
    caf::anon_send(hub, close_choices{{request}});
}

// -- what happens to it ----------------------------------------------------------------------------

void simulated_node::kill() {
  network_.kill(*port_);
  fabric_.kill(*port_);
}

void simulated_node::freeze() { network_.freeze(*port_); }

void simulated_node::thaw() {
  network_.thaw(*port_);
  fabric_.thaw(*port_);
  for (auto step : std::exchange(kept_steps_, {}))
    end_step(step);
}

void simulated_node::drain(std::chrono::milliseconds limit, std::function<void()> done) {
  // run_node waits in a thread; here an actor does.
  system_->spawn([supervisor = supervisor_, limit, done = std::move(done)](caf::event_based_actor* self) {
    self->request(supervisor, limit + std::chrono::seconds{5}, drain_request{limit})
      .then(done, [done](const caf::error&) { done(); });
  });
}

bool simulated_node::kill_actor(const std::string& name) {
  auto handle = local_services::find<caf::actor>(*system_, name);
  if (handle)
    caf::anon_send_exit(handle, caf::exit_reason::kill);
  return static_cast<bool>(handle);
}

bool simulated_node::hang_actor(const std::string& name) {
  auto handle = local_services::find<caf::actor>(*system_, name);
  if (handle)
    hung_.insert(handle.id());
  return static_cast<bool>(handle);
}

void simulated_node::resume_actors() {
  hung_.clear();
  for (auto* job : std::exchange(hung_jobs_, {}))
    scheduler().jobs.push_back(job);
}

bool simulated_node::lose_device(std::uint32_t which) {
  if (watch_->alive.empty())
    return false;
  watch_->alive[which % watch_->alive.size()]->inner().lose_device();
  return true;
}

std::vector<std::string> simulated_node::actor_names() const {
  auto result = worker_names(config_);
  for (auto name : {local_services::directory, local_services::router, local_services::transport_endpoint,
                    local_services::node_links})
    result.emplace_back(name);
  return result;
}

std::optional<load_report> simulated_node::load_of(const std::string& worker) {
  auto handle = local_services::find<worker_actor>(*system_, worker);
  if (!handle)
    return std::nullopt;
  std::optional<load_report> result;
  caf::scoped_actor self{*system_};
  auto response = self->request(handle, caf::infinite, find_load{});
  run_actors();
  response.receive([&](const load_report& report) { result = report; }, [](const caf::error&) {});
  return result;
}

} // namespace troupe::test
