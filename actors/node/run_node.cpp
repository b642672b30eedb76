// SPDX-License-Identifier: Apache-2.0
#include "actors/node/run_node.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

#include "actors/frontend/rest_gateway.hpp"
#include "actors/log/log.hpp"
#include "actors/model/load_model.hpp"
#include "actors/node/actor_types.hpp"
#include "actors/node/end_limit.hpp"
#include "actors/node/executors.hpp"
#include "actors/node/exit_code.hpp"
#include "actors/node/frontend_child.hpp"
#include "actors/node/isolated_workers.hpp"
#include "actors/node/lease_keeper.hpp"
#include "actors/node/loading_report.hpp"
#include "actors/node/local_services.hpp"
#include "actors/node/node_children.hpp"
#include "actors/node/node_links.hpp"
#include "actors/node/node_plane.hpp"
#include "actors/node/node_system.hpp"
#include "actors/node/node_transports.hpp"
#include "actors/security/strangers.hpp"

namespace troupe {

namespace {

/// How long the actors of a node may take to find each other.
constexpr std::chrono::seconds start_time_max{30};
/// The same with child processes, which load the model only then.
constexpr std::chrono::minutes isolated_start_time_max{30};
/// How long they may take to end when nothing is left to wait for; more than a child process that has to be killed.
constexpr std::chrono::seconds end_time_max{8};

/// That the node is to end, told from its actors to the main thread: it gave up, or was asked to.
class end_notice {
public:
  end_notice() : fd_(::eventfd(0, EFD_CLOEXEC)) {}
  end_notice(const end_notice&) = delete;
  end_notice& operator=(const end_notice&) = delete;
  ~end_notice() { ::close(fd_); }

  /// The first call counts.
  void give_up(exit_code code) {
    auto running = exit_code::ok;
    if (code_.compare_exchange_strong(running, code))
      wake();
  }
  void ask() {
    if (asked_.exchange(true))
      return;
    log_info("node", "ending: asked by POST /admin/drain; a second signal ends at once");
    wake();
  }
  bool asked() const { return asked_; }
  /// ok while the node runs.
  exit_code code() const { return code_; }
  int fd() const { return fd_; }

private:
  void wake() const {
    std::uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(fd_, &one, sizeof one);
  }

  int fd_;
  std::atomic<exit_code> code_ = exit_code::ok;
  std::atomic<bool> asked_ = false;
};

bool is_readable(int fd) {
  pollfd what{fd, POLLIN, 0};
  return fd >= 0 && ::poll(&what, 1, 0) == 1;
}

gpu::host::weight_format format_of(weight_dtype dtype) {
  switch (dtype) {
    case weight_dtype::automatic: return gpu::host::weight_format::as_stored;
    case weight_dtype::f32: return gpu::host::weight_format::f32;
    case weight_dtype::bf16: return gpu::host::weight_format::bf16;
    case weight_dtype::q8_0: return gpu::host::weight_format::q8_0;
  }
  return gpu::host::weight_format::as_stored;
}

expected<loaded_model, error> load_with_progress(const node_config& config) {
  auto mock = config.executor.kind == executor_kind::mock;
  auto computes = !mock && !worker_names(config).empty();
  loading_report report;
  auto model = load_model({.path = config.model.path,
                           .name = config.model.served_name(),
                           .weights = computes ? load_weights::yes : load_weights::no,
                           .format = format_of(config.model.dtype),
                           .progress = [&report](gpu::host::load_progress p) { report.update(p); }});
  if (model)
    model->served.mock = mock;
  return model;
}

/// The text side of all models that the node's frontend knows, that of its own workers first.
expected<std::vector<served_model>, error> load_known_models(const node_config& config, const served_model& first) {
  std::vector<served_model> result{first};
  for (auto& section : config.further_models) {
    auto model = load_model({.path = section.path, .name = section.served_name()});
    if (!model)
      return unexpected{model.error()};
    result.push_back(std::move(model->served));
  }
  return result;
}

exit_code exit_code_of(errc code) {
  if (code == errc::device_failed)
    return exit_code::device;
  return code == errc::resource ? exit_code::resource : exit_code::internal;
}

node_supervisor_config supervisor_of(const supervisor_section& section, std::vector<child_spec> children,
                                     end_notice& notice) {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  node_supervisor_config result;
  result.children = std::move(children);
  result.restarts_max = section.restarts_max;
  result.restart_window = duration_cast<milliseconds>(section.restart_window);
  result.backoff_first = duration_cast<milliseconds>(section.backoff_first);
  result.backoff_max = duration_cast<milliseconds>(section.backoff_max);
  result.give_up = [&notice](const error& why) { notice.give_up(exit_code_of(why.code)); };
  return result;
}

/// Where a node listens; 0: not yet. They outlive the actors, which listen there after a restart, too.
struct node_ports {
  std::atomic<std::uint16_t> plane = 0;
  std::atomic<std::uint16_t> admin = 0;
};

/// Where the gateway listens; empty if it does not (yet).
std::string find_url(caf::actor_system& system) {
  std::string result;
  if (auto gateway = local_services::find<rest_gateway_actor>(system, local_services::rest_gateway)) {
    caf::scoped_actor self{system};
    self->request(gateway, std::chrono::seconds{1}, find_address{})
      .receive([&](const rest_address& at) { result = "http://" + at.host + ":" + std::to_string(at.port); },
               [](const caf::error&) {});
  }
  return result;
}

/// The node's links. `port` outlives them, and is where they listen after a restart, too.
child_spec links_child(caf::actor_system& system, const cluster_section& section, const node_identity& identity,
                       const node_plane& plane, std::atomic<std::uint16_t>& port) {
  node_links_config links;
  links.node = identity.node;
  links.life = identity.life;
  links.cluster = section.name;
  links.listen = section.listen;
  links.seeds = section.seeds;
  links.middleman = [&plane] { return plane.connections(); };
  links.show_out_strangers = [] { strangers::show_out(std::chrono::steady_clock::now()); };
  links.on_listening = [&port](std::uint16_t got) { port = got; };
  child_spec spec;
  spec.name = local_services::node_links;
  spec.start = [&system, links, &port] {
    auto next = links;
    if (port != 0)
      next.listen.port = port;
    return caf::actor_cast<caf::strong_actor_ptr>(spawn_node_links(system, std::move(next)));
  };
  return spec;
}

child_spec lease_child(caf::actor_system& system, const cluster_section& section, const node_identity& identity,
                       const std::atomic<std::uint16_t>& port) {
  lease_keeper_config leases;
  leases.folder = section.lease_folder;
  leases.lease_time = section.lease_time;
  leases.cluster = section.name;
  leases.node = identity.node;
  leases.life = identity.life;
  leases.address = [host = section.listen.host, &port] {
    return port == 0 ? std::string{} : to_string(listen_address{host, port});
  };
  child_spec spec;
  spec.name = local_services::lease_keeper;
  spec.start = [&system, leases] { return caf::actor_cast<caf::strong_actor_ptr>(spawn_lease_keeper(system, leases)); };
  return spec;
}

std::chrono::seconds start_limit(const node_config& config) {
  return has_isolated_workers(config) ? isolated_start_time_max : start_time_max;
}

/// Waits until this node's workers are registered, and everything listens, or somebody asked it to end; false if the
/// node gave up or took too long. A node whose decode workers are elsewhere does not wait for them: /health says
/// whether they are there.
bool wait_until_ready(caf::actor_system& system, const node_config& config, const node_ports& ports,
                      const end_notice& notice, int end_asked_fd) {
  auto waits_for_health = !config.cluster || config.decode_worker;
  caf::scoped_actor self{system};
  auto until = std::chrono::steady_clock::now() + start_limit(config);
  while (notice.code() == exit_code::ok && std::chrono::steady_clock::now() < until) {
    // First, so that the gateway follows the fleet that is healthy: /v1/models is complete.
    auto listens = (!config.cluster || ports.plane != 0) && (!config.admin || ports.admin != 0)
                   && (!config.http || !find_url(system).empty());
    auto healthy = !waits_for_health;
    if (auto directory = local_services::find<directory_actor>(system, local_services::directory);
        waits_for_health && directory)
      self->request(directory, std::chrono::seconds{1}, find_health{})
        .receive([&](const node_health& health) { healthy = health.healthy(); }, [](const caf::error&) {});
    if ((healthy && listens) || notice.asked() || is_readable(end_asked_fd))
      return true;
    self->receive(caf::after(std::chrono::milliseconds{5}) >> [] {});
  }
  return false;
}

/// What a client may ask for is what the fleet's workers hold (rest_api::follow), ours among them.
void warn_of_small_kv(const served_model& model, std::uint64_t kv_tokens) {
  if (kv_tokens < model.context_tokens)
    log_warning("kv", "kv.memory holds less than the model's context, which is cut",
                {{"context", std::to_string(model.context_tokens)}, {"kv_tokens", std::to_string(kv_tokens)}});
}

/// Shells allow 1,024 descriptors unless asked for more, fewer than limits.connections. One that cannot be had is a
/// connection that waits to be accepted.
void allow_descriptors(std::uint64_t connections) {
  constexpr rlim_t others = 256;
  const rlim_t wanted = connections + others;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
    return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
    log_warning("node", "fewer file descriptors than limits.connections needs",
                {{"allowed", std::to_string(limit.rlim_cur)}, {"wanted", std::to_string(wanted)}});
}

void drain(caf::actor_system& system, const node_supervisor_actor& supervisor, std::chrono::nanoseconds limit) {
  caf::scoped_actor self{system};
  log_info("node", "draining");
  self->request(supervisor, limit + std::chrono::seconds{5}, drain_request{limit})
    .receive([] {}, [](const caf::error&) {});
}

} // namespace

int run_node(const node_config& given, const node_ready_callback& ready, int end_asked_fd) {
  init_actor_types();
  auto config = given;
  if (!config.cluster && has_isolated_workers(config))
    config.cluster = make_private_cluster();
  auto identity = config.cluster ? make_node_identity(*config.cluster) : node_identity{};
  if (config.cluster)
    if (auto usable = check_cluster_files(*config.cluster); !usable) {
      log_error("cluster", "certificates cannot be used", {{"why", usable.error().context}});
      return static_cast<int>(usable.error().code == errc::invalid_config ? exit_code::config : exit_code::resource);
    }
  if (auto able = check_compute(config); !able) {
    log_error("executor", "not made", {{"why", able.error().context}});
    return static_cast<int>(exit_code::config);
  }
  auto model = load_with_progress(config);
  if (!model) {
    log_error("model", "not loaded", {{"why", model.error().context}});
    return static_cast<int>(exit_code::resource);
  }
  node_parts parts;
  parts.model = model->served.name;
  parts.vocabulary = model->served.vocabulary;
  parts.identity = identity;
  if (!worker_names(config).empty()) {
    auto plan = plan_executors(config, model->weights);
    if (!plan) {
      log_error("executor", "not made", {{"why", plan.error().context}});
      return static_cast<int>(exit_code::resource);
    }
    warn_of_small_kv(model->served, plan->kv_tokens);
    parts.make_executor = plan->make;
  }
  std::vector<served_model> known;
  if (config.http) {
    auto loaded = load_known_models(config, model->served);
    if (!loaded) {
      log_error("model", "not loaded", {{"why", loaded.error().context}});
      return static_cast<int>(exit_code::resource);
    }
    known = std::move(*loaded);
    for (auto& one : known)
      parts.known_models.emplace(one.name, one.vocabulary);
    allow_descriptors(config.limits.connections);
  }
  if (is_readable(end_asked_fd)) {
    log_info("node", "ending: asked before it was ready");
    return static_cast<int>(exit_code::ok);
  }
  end_limit limit{end_time_max};
  // Before the system, whose actors refer to it.
  end_notice notice;
  if (notice.fd() < 0) {
    log_error("node", "no file descriptor could be had");
    return static_cast<int>(exit_code::resource);
  }
  node_ports ports;
  node_system_config cfg{config};
  caf::actor_system system{cfg};

  std::optional<node_plane> plane;

  parts.make_backend = transports_of(config);
  auto children = make_node_children(system, config, std::move(parts));
  if (config.cluster) {
    plane.emplace(system, *config.cluster);
    children.push_back(links_child(system, *config.cluster, identity, *plane, ports.plane));
    if (!config.cluster->lease_folder.empty())
      children.push_back(lease_child(system, *config.cluster, identity, ports.plane));
    std::ranges::move(make_isolated_workers(system, config, identity, ports.plane), std::back_inserter(children));
  }
  if (config.http)
    children.push_back(make_frontend_child(system, make_gateway_config(system, config, std::move(known))));
  if (config.admin)
    children.push_back(make_admin_child(system, config, [&notice] { notice.ask(); }, ports.admin));
  auto supervisor = spawn_node_supervisor(system, supervisor_of(config.supervisor, std::move(children), notice));
  // It may also end by a defect, and then nobody else is left to say so. Too late a notice is ignored.
  supervisor->attach_functor([&notice] { notice.give_up(exit_code::internal); });

  if (!wait_until_ready(system, config, ports, notice, end_asked_fd)) {
    auto code = notice.code();
    if (code == exit_code::ok)
      log_error("node", "not ready in time", {{"seconds", std::to_string(start_limit(config).count())}});
    caf::anon_send_exit(supervisor, caf::exit_reason::user_shutdown);
    auto result = static_cast<int>(code == exit_code::ok ? exit_code::internal : code);
    limit.start(result);
    return result;
  }
  auto url = config.http ? find_url(system) : std::string{};
  auto listens_at = given.cluster ? to_string(listen_address{config.cluster->listen.host, ports.plane}) : std::string{};
  auto admin =
    config.admin ? "http://" + to_string(listen_address{config.admin->listen.host, ports.admin}) : std::string{};
  auto result = ready({url, listens_at, admin, model->served.name, notice.fd()});
  if (notice.code() != exit_code::ok)
    result = static_cast<int>(notice.code());
  else
    drain(system, supervisor, config.supervisor.drain_timeout);
  caf::anon_send_exit(supervisor, caf::exit_reason::user_shutdown);
  limit.start(result);
  return result;
}

} // namespace troupe
