// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/messages/message_samples.hpp"

#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/init_global_meta_objects.hpp>
#include <caf/scoped_execution_unit.hpp>

#include "messages/init_messages.hpp"
#include "messages/interfaces.hpp"
#include "tests/unit/messages/field_checks.hpp"

namespace troupe::test {

namespace {

using namespace std::chrono_literals;

// Reading a handle asks for a system, even if it is null. Not a static one: CAF's thread-local variables would
// be gone before it.
struct caf_context {
  caf::actor_system_config config;
  caf::actor_system system{config.set("caf.scheduler.max-threads", 1)};
  caf::scoped_execution_unit unit{&system};
};

std::shared_ptr<caf_context> make_context() {
  static std::once_flag once;
  std::call_once(once, [] {
    init_messages();
    caf::core::init_global_meta_objects();
  });
  return std::make_shared<caf_context>();
}

template <class T>
std::vector<caf::byte> write(caf::execution_unit& context, const T& value) {
  caf::byte_buffer bytes;
  caf::binary_serializer sink{&context, bytes};
  if (!sink.apply(value))
    return {};
  return bytes;
}

template <class T>
reading read(caf::execution_unit& context, const T& expected, std::span<const caf::byte> bytes) {
  caf::binary_deserializer source{&context, bytes.data(), bytes.size()};
  T value{};
  if (!source.apply(value))
    return reading::refused;
  if (source.remaining() > 0)
    return reading::bytes_left;
  return value == expected ? reading::same_value : reading::another_value;
}

/// Collects samples.
class sample_list {
public:
  template <class T>
  void add(const T& value, const std::string& special = {}) {
    auto name = std::string{caf::type_name_v<T>.data(), caf::type_name_v<T>.size()};
    auto faults = [value, special] {
      std::vector<std::string> found;
      if constexpr (std::is_aggregate_v<T>)
        if (special.empty())
          find_unfilled(value, T{}, "", found);
      return found;
    };
    samples_.push_back({caf::type_id_v<T>, special.empty() ? name : name + "/" + special,
                        [c = context_, value] { return write(c->unit, value); },
                        [c = context_, value](std::span<const caf::byte> bytes) { return read(c->unit, value, bytes); },
                        faults});
  }

  std::vector<message_sample> take() { return std::move(samples_); }

private:
  std::shared_ptr<caf_context> context_ = make_context();
  std::vector<message_sample> samples_;
};

// Within a message no two numbers of one type are equal, so that two fields that change places show.

sampling_options filled_sampling() {
  return {.temperature = 0.75F,
          .top_p = 0.5F,
          .min_p = 0.25F,
          .top_k = 40,
          .presence_penalty = 1.5F,
          .frequency_penalty = -0.5F,
          .repetition_penalty = 1.25F,
          .seed = 0x0123456789abcdef,
          .choice = 3,
          .logit_bias = {{.token = 11, .bias = 2.5F}, {.token = 12, .bias = -100}},
          .logprobs = true,
          .top_logprobs = 5};
}

inference_request filled_request() {
  return {.id = {0x1122334455667788},
          .model = "smollm2",
          .prompt = {1, 49'151},
          .output_tokens_max = 256,
          .sampling = filled_sampling(),
          .stop_tokens = {2, 300},
          .priority = -7,
          .time_left = 30s,
          .queue_time_left = 5s};
}

sampled_token filled_token(token_id token) {
  return {.token = token,
          .logprob = -0.125F,
          .top = {{.token = token + 1, .logprob = -0.25F}, {.token = token + 2, .logprob = -4}}};
}

stream_tokens filled_stream(request_id request, finish_reason finish) {
  return {.request = request,
          .attempt = 2,
          .first_index = 17,
          .tokens = {filled_token(500), filled_token(600)},
          .finish = finish,
          .usage = {.prompt_tokens = 1000, .cached_tokens = 992, .output_tokens = 19, .mixed_workers = true},
          .sampled_at = 123'456'789ns};
}

worker_record filled_record(worker_id id) {
  return {.id = id,
          .worker_epoch = {3},
          .model = "smollm2",
          .vocabulary = {0x2233445566778899},
          .fingerprint = {0xfedcba9876543210},
          .numerics = {0x0011223344556677},
          .roles = role_prefill | role_decode,
          .block_tokens = 16,
          .block_bytes = {368'640, 70'000},
          .blocks = 2048,
          .context_tokens = 8192,
          .endpoint = {0x8877665544332211},
          .executor = "host/avx2",
          .wire = 513}; // of its own, so that a new version changes no bytes
}

load_report filled_load(worker_id worker) {
  return {.worker = worker,
          .worker_epoch = {62},
          .blocks = 2048,
          .free_blocks = 1024,
          .quarantined_blocks = 6,
          .running = 5,
          .queued = 4,
          .prefill_tokens = 300,
          .landing = 2,
          .steps = 1'000'000,
          .draining = true};
}

kv_landing filled_landing() {
  return {.endpoint = {0x8877665544332211},
          .groups = {{.region = "memory:1:2:3", .block_bytes = 368'640, .first_block = 4, .blocks = {70'000, 9}},
                     {.region = "memory:1:2:4", .block_bytes = 500, .first_block = 5, .blocks = {8, 90}}},
          .fingerprint = {0xfedcba9876543210},
          .numerics = {0x0011223344556677},
          .owner = {12},
          .owner_epoch = {5},
          .number = 95,
          .lease = std::chrono::seconds{30}};
}

kv_block_arrived filled_arrival(std::uint32_t block_index) {
  return {.request = {0x1122334455667788}, .owner_epoch = {5}, .landing = 96, .group = 1, .block_index = block_index};
}

placement filled_placement() { return {.decode = {21}, .prefill = worker_id{22}}; }
placement decode_only() { return {.decode = {21}, .prefill = std::nullopt}; }

void for_each_errc(auto visit) {
  errc code{};
  for (std::uint8_t i = 0; from_integer(i, code); ++i)
    visit(code);
}

void add_requests(sample_list& list) {
  list.add(filled_request());
  generate_request generate{.request = filled_request(),
                            .emitted = {77, 88},
                            .where = filled_placement(),
                            .worker_epoch = {6},
                            .attempt = 2,
                            .mixed_workers = true};
  list.add(generate);
  generate.where = decode_only();
  list.add(generate, "where.prefill-unset");
  list.add(generation_failed{.request = {31}, .attempt = 32, .code = errc::worker_lost, .context = "worker 3 is gone"});
  for_each_errc([&](errc code) { list.add(generation_failed{{31}, 32, code, "why"}, to_string(code)); });
  list.add(cancel_request{.request = {32}});

  token_batch batch{.worker = {41},
                    .worker_epoch = {42},
                    .streams = {filled_stream({43}, finish_reason::stop), filled_stream({44}, finish_reason::length)}};
  list.add(batch);
  batch.streams = {filled_stream({45}, finish_reason::none)};
  batch.streams[0].sampled_at.reset();
  list.add(batch, "going-on,sampled_at-unset");
  list.add(find_stream_progress{.request = {33}, .attempt = 3});
  list.add(stream_progress{.request = {34}, .emitted = {8, 90'000}, .ended = true});
}

void add_fleet(sample_list& list) {
  demand d{.request = {51},
           .model = "smollm2",
           .prompt_tokens = 1000,
           .output_tokens_expected = 200,
           .priority = -3,
           .avoid = worker_id{52},
           .like = model_fingerprint{58},
           .attempt = 4};
  list.add(d);
  d.avoid.reset();
  d.like.reset();
  list.add(d, "avoid-unset,like-unset");
  list.add(routed{.where = filled_placement(), .worker_epoch = {7}, .fingerprint = {59}, .decode = nullptr});
  list.add(routed{.where = decode_only(), .worker_epoch = {7}, .fingerprint = {59}, .decode = nullptr},
           "where.prefill-unset");
  list.add(release_placement{.request = {53}});
  list.add(fleet_member{.record = filled_record({54}), .handle = nullptr});
  list.add(fleet_snapshot{
    .members = {{.record = filled_record({56}), .handle = nullptr}, {.record = filled_record({57}), .handle = nullptr}},
    .hung = {{60}, {62}}});
  list.add(find_load{});
  list.add(filled_load({61}));
  list.add(find_health{});
  list.add(node_health{.problems = {"no decode worker", "no model"}, .workers = 3});
  list.add(drain_request{.time_left = 45s});
}

void add_transfers(sample_list& list) {
  list.add(prefill_request{.request = {71},
                           .tokens = {5, 6, 70'000},
                           .prompt_tokens = 2,
                           .sampling = filled_sampling(),
                           .priority = -9,
                           .time_left = 20s,
                           .landing = filled_landing()});
  list.add(prefill_completed{.request = {72},
                             .owner_epoch = {73},
                             .fingerprint = {74},
                             .checksums = {{0x1020304050607080, 75}, {76, 93}},
                             .first = filled_token(700),
                             .cached_tokens = 32});
  list.add(region_id{76});
  list.add(describe_region{.region = {77}, .writer = {91}});
  list.add(push_blocks{.source = {78},
                       .owner = {92},
                       .target = "memory:1:2:3",
                       .block_bytes = 368'640,
                       .blocks = {{.source_offset = 79, .target_offset = 80, .note = filled_arrival(81)},
                                  {.source_offset = 82, .target_offset = 83, .note = filled_arrival(84)}},
                       .time_left = 10s});
  list.add(blocks_pushed{.blocks = 85});
  list.add(fence_writer{.writer = {86}});
  list.add(kv_blocks_arrived{.blocks = {filled_arrival(87), filled_arrival(88)}});
}

void add_handles(sample_list& list) {
  list.add(stream_hub_actor{});
  list.add(request_session_actor{});
  list.add(fleet_sink_actor{});
  list.add(kv_sink_actor{});
  list.add(transport_endpoint_actor{});
  list.add(node_gate_actor{});
  list.add(share_sink_actor{});
}

void add_nodes(sample_list& list) {
  list.add(node_hello{.node = "worker-a",
                      .life = 1'790'000'000'000'000,
                      .cluster = "lab",
                      .wire = 514, // of its own, so that a new version changes no bytes
                      .address = "127.0.0.1:7000",
                      .gate = {}});
  list.add(fleet_share{.node = "worker-b",
                       .life = 1'790'000'000'000'001,
                       .members = {{.record = filled_record({101}), .handle = nullptr},
                                   {.record = filled_record({102}), .handle = nullptr}},
                       .loads = {filled_load({103}), filled_load({104})},
                       .neighbours = {"127.0.0.1:7001", "127.0.0.1:7002"}});
  list.add(node_left{.node = "worker-c", .life = 105});
}

void add_later_transfers(sample_list& list) {
  list.add(region_registered{.region = {111}, .endpoint = {112}});
  list.add(abandon_landing{.request = {113}, .owner = {114}, .owner_epoch = {115}});
}

} // namespace

std::vector<message_sample> message_samples() {
  sample_list list;
  for_each_errc([&](errc code) { list.add(code, to_string(code)); });
  add_requests(list);
  add_fleet(list);
  add_transfers(list);
  add_handles(list);
  add_nodes(list);
  add_later_transfers(list);
  return list.take();
}

} // namespace troupe::test
