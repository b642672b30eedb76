// SPDX-License-Identifier: Apache-2.0
// A prefill worker's process is stopped in the middle of a 64 MB copy into a decode worker's KV blocks, which are then
// wanted by others. Real processes, shared memory, actors and threads; the mock executor checks every byte that it
// reads. TROUPE_LATE_WRITES=N: so many rounds instead of 20.
#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include "actors/log/log.hpp"
#include "actors/node/actor_types.hpp"
#include "actors/transport/transport_endpoint.hpp"
#include "actors/worker/decode_worker.hpp"
#include "gpu/mock/mock_executor.hpp"
#include "tests/support/writer_process.hpp"

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t block_tokens = 16;
constexpr std::uint32_t blocks_per_landing = 64;
constexpr std::uint32_t pool_blocks = 96;
constexpr std::uint16_t layers = 2048;
constexpr std::size_t block_bytes = std::size_t{1} << 20;

/// What one stream got.
struct stream {
  std::vector<token_id> tokens;
  finish_reason finish = finish_reason::none;
  std::string failure;
  bool ended() const { return finish != finish_reason::none || !failure.empty(); }
};

/// Streams by request, and landings that were offered to a prefill worker which does nothing with them.
struct seen {
  std::mutex mutex;
  std::map<std::uint64_t, stream> streams;
  std::vector<kv_landing> landings;
  /// Never kept, but a promise that is dropped is answered with an error.
  std::vector<caf::typed_response_promise<prefill_completed>> promises;

  template <class F>
  auto with(F f) {
    std::lock_guard lock{mutex};
    return f(*this);
  }
};

stream_hub_actor::behavior_type recording_hub(stream_hub_actor::pointer, std::shared_ptr<seen> to) {
  return {
    [to](const token_batch& batch) {
      to->with([&](seen& s) {
        for (auto& part : batch.streams) {
          auto& stream = s.streams[part.request.value];
          for (auto& t : part.tokens)
            stream.tokens.push_back(t.token);
          stream.finish = part.finish;
        }
      });
    },
    [](const generation_failed&) {},
    [](const find_stream_progress& what) { return stream_progress{what.request, {}, false}; },
  };
}

request_session_actor::behavior_type recording_session(request_session_actor::pointer, std::shared_ptr<seen> to) {
  return {
    [to](const generation_failed& what) {
      to->with([&](seen& s) { s.streams[what.request.value].failure = to_string(what.code) + ": " + what.context; });
    },
    [](const cancel_request&) {},
  };
}

/// Its process writes, without it.
prefill_worker_actor::behavior_type silent_prefill_worker(prefill_worker_actor::pointer self,
                                                          std::shared_ptr<seen> to) {
  return {
    [](const cancel_request&) {},
    [](find_load) { return load_report{}; },
    [](const drain_request&) {},
    [](transport_endpoint_actor&) {},
    [self, to](prefill_request& what) -> caf::result<prefill_completed> {
      return to->with([&](seen& s) {
        s.landings.push_back(std::move(what.landing));
        return s.promises.emplace_back(self->make_response_promise<prefill_completed>());
      });
    },
    // Of a dead worker.
    [](const abandon_landing&) -> caf::result<void> { return caf::exit_reason::remote_link_unreachable; },
    [](const kv_blocks_arrived&) {},
  };
}

class decode_node {
public:
  decode_node() : system_((init_actor_types(), config_)) {
    auto backend = transport::shared_memory_backend::make(random_peer());
    REQUIRE(backend);
    self_ = (*backend)->self();
    endpoint_ = spawn_transport_endpoint(
      system_, {std::shared_ptr<transport::backend>{std::move(*backend)}, transport_endpoint_config::polling::thread});
    worker_config worker;
    worker.id = worker_id{1};
    worker.worker_epoch = epoch{1};
    worker.model = "mock";
    worker.limits.chunk_tokens_max = 512;
    worker.limits.running_max = 8;
    worker.limits.queued_max = 64;
    worker.make_executor = [this]() -> expected<std::unique_ptr<gpu::executor>, gpu::error> {
      gpu::mock::mock_options options;
      options.layers = layers;
      options.kv_blocks = pool_blocks;
      options.kv_memory = memory_.view();
      auto made = gpu::mock::mock_executor::make(options);
      if (!made)
        return unexpected{made.error()};
      info_ = (*made)->info();
      return std::unique_ptr<gpu::executor>{std::move(*made)};
    };
    worker_ = spawn_decode_worker(system_, std::move(worker), endpoint_);
    hub_ = system_.spawn(recording_hub, seen_);
    session_ = system_.spawn(recording_session, seen_);
    REQUIRE(wait_until([this] { return load().blocks == pool_blocks; }));
    REQUIRE(info_.groups[0].block_bytes == block_bytes);
  }

  ~decode_node() {
    for (auto& actor : {caf::actor_cast<caf::actor>(worker_), caf::actor_cast<caf::actor>(hub_),
                        caf::actor_cast<caf::actor>(session_), caf::actor_cast<caf::actor>(prefill_),
                        caf::actor_cast<caf::actor>(endpoint_)})
      caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    // Their end is a message, for which the system has to be there.
    auto promises = seen_->with([](seen& s) { return std::move(s.promises); });
  }

  /// A prefill worker whose endpoint is `writer`.
  void introduce(transport::peer_id writer) {
    prefill_ = system_.spawn(silent_prefill_worker, seen_);
    worker_record record;
    record.id = worker_id{2};
    record.worker_epoch = epoch{++introductions_};
    record.model = "mock";
    record.fingerprint = info_.fingerprint;
    record.numerics = info_.numerics;
    record.roles = role_prefill;
    record.block_tokens = block_tokens;
    record.block_bytes = {block_bytes};
    record.endpoint = {writer.value};
    caf::anon_send(worker_, fleet_snapshot{{{record, caf::actor_cast<caf::strong_actor_ptr>(prefill_)}}, {}});
  }
  /// As its link's end would: nothing is heard of it any more.
  void lose_prefill_worker() { caf::anon_send_exit(prefill_, caf::exit_reason::kill); }

  /// Asks for a text; nobody else's prompt begins as this one.
  std::uint64_t ask(std::uint32_t prompt_tokens, std::uint32_t output_tokens, bool hand_over, std::uint64_t text) {
    generate_request what;
    auto id = ++requests_;
    what.request.id = request_id{id};
    what.request.model = "mock";
    for (std::uint32_t i = 0; i < prompt_tokens; ++i)
      what.request.prompt.push_back(static_cast<token_id>((text * 31 + i * i + i * text) % 500));
    what.request.output_tokens_max = output_tokens;
    what.request.sampling.temperature = 0;
    what.request.time_left = what.request.queue_time_left = 60s;
    what.where.decode = worker_id{1};
    if (hand_over)
      what.where.prefill = worker_id{2};
    what.worker_epoch = epoch{1};
    what.attempt = 1;
    caf::scoped_actor self{system_};
    std::string refusal;
    self->request(worker_, 10s, std::move(what), hub_, session_)
      .receive([] {}, [&](const caf::error& e) { refusal = caf::to_string(e); });
    REQUIRE(refusal == "");
    return id;
  }

  kv_landing offered() {
    REQUIRE(wait_until([this] { return seen_->with([](seen& s) { return !s.landings.empty(); }); }));
    return seen_->with([](seen& s) {
      auto result = std::move(s.landings.back());
      s.landings.clear();
      return result;
    });
  }
  stream result_of(std::uint64_t id) {
    REQUIRE(wait_until([&] { return seen_->with([&](seen& s) { return s.streams[id].ended(); }); }));
    return seen_->with([&](seen& s) { return s.streams[id]; });
  }
  bool has_ended(std::uint64_t id) {
    return seen_->with([&](seen& s) { return s.streams[id].ended(); });
  }

  load_report load() {
    load_report result;
    caf::scoped_actor self{system_};
    self->request(worker_, 10s, find_load{}).receive([&](const load_report& r) { result = r; }, [](caf::error&) {});
    return result;
  }
  std::span<std::byte> memory() const { return memory_.bytes(); }
  transport::peer_id self() const { return self_; }

  template <class Condition>
  static bool wait_until(Condition holds) {
    for (auto patience = std::chrono::steady_clock::now() + 20s; std::chrono::steady_clock::now() < patience;) {
      if (holds())
        return true;
      std::this_thread::sleep_for(1ms);
    }
    return false;
  }

private:
  memory_file memory_{block_bytes * pool_blocks};
  std::shared_ptr<seen> seen_ = std::make_shared<seen>();
  gpu::executor_info info_;
  transport::peer_id self_;
  std::uint64_t introductions_ = 0;
  std::uint64_t requests_ = 0;
  caf::actor_system_config config_;
  caf::actor_system system_;
  transport_endpoint_actor endpoint_;
  decode_worker_actor worker_;
  stream_hub_actor hub_;
  request_session_actor session_;
  prefill_worker_actor prefill_;
};

std::uint32_t rounds() {
  const char* text = std::getenv("TROUPE_LATE_WRITES");
  return text ? static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10)) : 20;
}

} // namespace

TEST_CASE("what a stopped writer lands late changes no block that belongs to another") {
  log_session silence{{log_level::off}};
  decode_node node;
  for (std::uint32_t round = 0; round < rounds(); ++round) {
    CAPTURE(round);
    auto other = node.ask(20 * block_tokens, 3, false, 3 * round + 2);
    auto undisturbed = node.result_of(other);
    CHECK(undisturbed.failure == "");
    writer_process writer;
    node.introduce(writer.self());
    // Its landing takes two thirds of all blocks.
    auto victim = node.ask(blocks_per_landing * block_tokens, 2, true, 3 * round + 1);
    auto landing = node.offered();
    REQUIRE(landing.groups.at(0).blocks.size() == blocks_per_landing);
    std::vector<std::uint64_t> offsets;
    for (auto block : landing.groups[0].blocks)
      offsets.push_back(block * block_bytes);
    // Blocks may hold what an earlier writer left.
    auto& first = node.memory()[offsets.front()];
    auto& last = node.memory()[offsets.back() + block_bytes - 1];
    first = last = std::byte{0};
    writer.begin(node.self(), landing.groups[0].region, blocks_per_landing * block_bytes, offsets);
    writer.stop_in_the_middle_of_a_copy(first, last);
    node.lose_prefill_worker();
    REQUIRE(node.wait_until([&] { return node.load().quarantined_blocks == blocks_per_landing; }));
    // It waits for as many blocks as it had, and another waits behind it: what is free is too little.
    auto greedy = node.ask(40 * block_tokens, 3, false, 3 * round + 3);
    std::this_thread::sleep_for(20ms);
    CHECK_FALSE(node.has_ended(victim));
    CHECK_FALSE(node.has_ended(greedy));
    CHECK(node.load().quarantined_blocks == blocks_per_landing);
    writer.send(SIGCONT);
    // Now the late bytes land, and only then others get the blocks. The mock reads each byte of what they wrote.
    CHECK(node.result_of(victim).failure == "");
    CHECK(node.result_of(greedy).failure == "");
    CHECK(node.result_of(greedy).tokens.size() == 3);
    CHECK(writer.refusal() == "revoked");
    CHECK(node.result_of(node.ask(20 * block_tokens, 3, false, 3 * round + 2)).tokens == undisturbed.tokens);
    auto load = node.load();
    CHECK(load.quarantined_blocks == 0);
    CHECK(load.free_blocks == pool_blocks);
  }
}
