// SPDX-License-Identifier: Apache-2.0
#include "actors/config/node_config.hpp"

#include <iterator>
#include <limits>
#include <string_view>
#include <vector>

namespace troupe {

using namespace std::chrono_literals;

// The describe() functions are called through field_visitor's templates, which find them by their
// argument's namespace; they are declared here, before their first use.
void describe(field_visitor&, cluster_section&);
void describe(field_visitor&, http_section&);
void describe(field_visitor&, admin_section&);
void describe(field_visitor&, model_section&);
void describe(field_visitor&, compute_section&);
void describe(field_visitor&, kv_section&);
void describe(field_visitor&, router_section&);
void describe(field_visitor&, worker_section&);
void describe(field_visitor&, limits_section&);
void describe(field_visitor&, supervisor_section&);
void describe(field_visitor&, mock_section&);
void describe(field_visitor&, executor_section&);
void describe(field_visitor&, log_config&);

void describe(field_visitor& f, node_config& x) {
  f.sections(x.model, x.further_models,
             {"model",
              "What this node's workers serve. A node with http may have several of these sections: its clients can "
              "ask for each of them that a worker of the cluster serves, its own workers serve the first."});
  f.role(x.cluster, {"cluster", "The plane over which this node finds other nodes and talks with them."});
  f.role(x.http, {"http", "The REST gateway."});
  f.role(x.admin, {"admin", "The listener for operators: POST /admin/drain, GET /live, /health and /metrics."});
  f.role(x.prefill_worker, {"prefill-worker", "Workers that process prompts and hand their KV blocks over."});
  f.role(x.decode_worker,
         {"decode-worker", "Workers that generate tokens, and process the prompts that are not handed over."});
  f.section(x.router, {"router", "Where requests go."});
  f.section(x.kv, {"kv", "The KV blocks of each worker."});
  f.section(x.compute, {"compute", "The pool of compute threads that all workers of the process share."});
  f.section(x.executor, {"executor", "What computes."});
  f.section(x.limits, {"limits", "What a client may ask for. Beyond a limit it gets an error that names the limit."});
  f.section(x.supervisor, {"supervisor", "What happens to actors that fail, and when the node ends."});
  f.section(x.log, {"log", "Log lines, on standard error."});
}

void describe(field_visitor& f, cluster_section& x) {
  f.text(x.name, {"name", "Name of the cluster; nodes of another are refused."}, 63);
  f.text(x.node, {"node", "This node's name, unique in the cluster; if empty, its address and port."}, 63);
  f.address(x.listen,
            {"listen", "Address and port in numbers; port 0 lets the system choose. Only loopback addresses without a "
                       "certificate."});
  f.addresses(x.seeds, {"seeds", "Nodes to find the others by: every node is linked with all that one of them knows."});
  f.path(
    x.lease_folder,
    {"lease-folder",
     "A folder that all nodes of the cluster can write: each keeps a file there that says where it is, and finds the "
     "others by theirs. Instead of seeds, or beside them."},
    "");
  f.time(x.lease_time, {"lease-time", "A node that has not renewed its file for so long is not looked for."},
         {1s, 3600s});
  f.path(x.certificate,
         {"certificate",
          "This node's certificate, PEM, as `troupe certs` makes them. With key and ca, links are encrypted and both "
          "sides must show one that the ca signed."},
         "");
  f.path(x.key, {"key", "The certificate's key, PEM."}, "");
  f.path(x.ca, {"ca", "The certificate of the cluster's authority, PEM."}, "");
}

void describe(field_visitor& f, http_section& x) {
  f.address(x.listen,
            {"listen",
             "Address and port in numbers; port 0 lets the system choose. Only loopback addresses until there are "
             "API keys."});
}

void describe(field_visitor& f, admin_section& x) {
  f.address(x.listen,
            {"listen", "Address and port in numbers; port 0 lets the system choose. Only loopback addresses."});
}

void describe(field_visitor& f, model_section& x) {
  f.path(x.path, {"path", "The model: a GGUF file, or a directory as Hugging Face's transformers saves it. Required."},
         "../models/SmolLM2-135M-Instruct.Q4_1.gguf");
  f.text(x.name,
         {"name",
          "Name of the model in requests, unique in this file; if empty, that of the directory, or of the file without "
          ".gguf."},
         256);
  f.choice(x.dtype,
           {"dtype",
            "What the workers keep weights as; auto is what the file has. q8_0 takes half the memory of bf16 and is "
            "faster."},
           {"auto", "f32", "bf16", "q8_0"});
}

void describe(field_visitor& f, worker_section& x) {
  f.count(x.count, {"count", "How many of them."}, {1, 64});
  f.choice(x.isolation,
           {"isolation",
            "thread runs them in the node's process; process gives each a child process, which has compute threads of "
            "its own and is restarted if it ends."},
           {"thread", "process"});
  f.count(x.chunk_tokens, {"chunk-tokens", "Prompt tokens of one request in one step."}, {1, 65'536});
  f.count(x.batch_tokens, {"batch-tokens", "Tokens of all requests in one step."}, {1, 65'536});
  f.count(x.running_max, {"running-max", "Requests that hold KV blocks at a time."}, {1, 4'096});
  f.count(x.queued_max, {"queued-max", "Requests that wait; one more is refused with 503."}, {0, 65'536});
}

void describe(field_visitor& f, router_section& x) {
  f.choice(x.policy, {"policy", "How a worker is chosen."}, {"least-loaded"});
  f.count(x.disaggregate_over,
          {"disaggregate-over",
           "Prompts of more tokens than this are prefilled by a prefill worker, where there is one; "
           "others by the decode worker itself."},
          {0, std::numeric_limits<std::int32_t>::max()});
}

void describe(field_visitor& f, kv_section& x) {
  f.bytes(x.memory_bytes,
          {"memory",
           "Memory for KV blocks, per worker. Layers that see a window get as much as running-max sequences can use, "
           "less what one whole context needs in the others."},
          {mib(1), gib(1'024)});
  f.count(x.block_tokens, {"block-tokens", "Tokens that one block holds."}, {1, 1'024});
  f.choice(x.dtype, {"dtype", "Element type of the KV cache."}, {"f32"});
  f.time(
    x.landing_lease,
    {"landing-lease",
     "Blocks that are reserved for what a prefill worker sends, and into which nothing arrives for so long, are given "
     "up: the prompt is processed where it decodes."},
    {1s, 1h});
}

void describe(field_visitor& f, compute_section& x) {
  f.count(x.threads, {"threads", "Number of threads; 0 is as many as there are cores for this process."}, {0, 1'024});
  std::vector<std::string_view> names{"auto"};
  names.insert(names.end(), std::begin(gpu::host::simd_path_names), std::end(gpu::host::simd_path_names));
  f.choice(
    x.simd,
    {"simd", "Which instructions to use; auto is the best that the machine has. What it lacks is refused at start."},
    names);
}

void describe(field_visitor& f, executor_section& x) {
  f.choice(x.kind,
           {"kind", "host computes on the processor; mock draws tokens from a time model, for tests and benchmarks."},
           {"host", "mock"});
  f.section(x.mock, {"mock", "The mock executor: time model and faults; read only where kind is mock."});
}

void describe(field_visitor& f, mock_section& x) {
  f.time(x.step_base, {"step-base", "Time of a step, however small."}, {0s, 1h});
  f.time(x.per_row, {"per-row", "Added for each request in the step."}, {0s, 1h});
  f.time(x.per_prompt_token, {"per-prompt-token", "Added for each prompt token in the step."}, {0s, 1h});
  f.choice(x.fault,
           {"fault",
            "To rehearse a failure: device-lost is a device that is gone, crash a defect of the executor, slow a "
            "device whose steps take five times as long."},
           {"none", "device-lost", "crash", "slow"});
  f.count(x.fault_after_steps, {"fault-after-steps", "Steps of a worker's life before the fault strikes."},
          {0, 1'000'000'000});
}

void describe(field_visitor& f, limits_section& x) {
  f.bytes(x.headers_bytes, {"headers-bytes", "All headers of a request."}, {kib(1), mib(1)});
  f.count(x.header_count, {"header-count", "Number of headers of a request."}, {1, 10'000});
  f.time(x.header_timeout, {"header-timeout", "Time in which a request's headers must have come."}, {10ms, 10min});
  f.bytes(x.body_bytes, {"body-bytes", "Body of a request."}, {kib(1), gib(1)});
  f.count(x.json_depth, {"json-depth", "Nesting of a request's JSON."}, {4, 1'000});
  f.count(x.n_max, {"n-max", "Choices of one request (n)."}, {1, 128});
  f.count(x.stop_count, {"stop-count", "Stop strings of one request."}, {0, 1'000});
  f.bytes(x.stop_bytes, {"stop-bytes", "Length of a stop string."}, {1, kib(64)});
  f.count(x.connections, {"connections", "Open connections; more are closed at once."}, {1, 100'000});
  f.time(x.request_timeout, {"request-timeout", "Time from a request's arrival to its last token."}, {10ms, 24h});
  f.time(x.queue_timeout, {"queue-timeout", "Time that a request may wait for its first step."}, {10ms, 24h});
  f.count(x.retries_max,
          {"retries-max", "How often a request whose worker fails is given to another before it ends with an error."},
          {0, 16});
}

void describe(field_visitor& f, supervisor_section& x) {
  f.count(x.restarts_max,
          {"restarts-max", "Restarts of actors, all of the node together, within restart-window; the next failure ends "
                           "the process, with exit code 5, or 6 after a lost device."},
          {0, 1'000});
  f.time(x.restart_window, {"restart-window", "Time in which restarts are counted."}, {10ms, 24h});
  f.time(x.backoff_first, {"backoff-first", "Pause before the first restart; it doubles with each further one."},
         {0s, 1h});
  f.time(x.backoff_max, {"backoff-max", "Longest pause before a restart."}, {0s, 1h});
  f.time(
    x.stall_timeout,
    {"stall-timeout",
     "A worker that has finished no step in this time while work waits hangs: its requests go on at another worker "
     "of its model, if there is one, and /health says so. Longer than the longest step, on a loaded machine, too."},
    {1s, 24h});
  f.time(x.step_timeout,
         {"step-timeout",
          "A device that has not answered for a step in this time, the wait behind other steps included, has failed."},
         {1s, 24h});
  f.time(x.drain_timeout, {"drain-timeout", "Time that running requests have to end after SIGINT or SIGTERM."},
         {0s, 24h});
}

void describe(field_visitor& f, log_config& x) {
  f.choice(x.level, {"level", "Least level that is written."}, {"trace", "debug", "info", "warning", "error", "off"});
  f.choice(x.format, {"format", "text is `time level component message key=value`, json one object per line."},
           {"text", "json"});
}

bool has_isolated_workers(const node_config& config) {
  auto isolated = [](const std::optional<worker_section>& x) { return x && x->isolation == isolation_kind::process; };
  return isolated(config.prefill_worker) || isolated(config.decode_worker);
}

std::string model_section::served_name() const {
  if (!name.empty())
    return name;
  // "models/" + "x/" has an empty last part.
  const auto last = path.has_filename() ? path.filename() : path.parent_path().filename();
  return last.extension() == ".gguf" ? last.stem().string() : last.string();
}

node_config default_config(std::filesystem::path model) {
  node_config result;
  result.model.path = std::move(model);
  result.http.emplace().listen.port = 0;
  result.prefill_worker.emplace();
  result.decode_worker.emplace();
  return result;
}

} // namespace troupe
