// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <thread>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

#include "actors/node/actor_types.hpp"
#include "actors/worker/device.hpp"

using namespace troupe;

namespace {

constexpr std::chrono::seconds patience{30};

/// Computes nothing; tells which thread ended it.
class idle_executor final : public gpu::executor {
public:
  explicit idle_executor(std::promise<std::thread::id>& ended) : ended_(ended) {}
  ~idle_executor() override { ended_.set_value(std::this_thread::get_id()); }

  const gpu::executor_info& info() const override { return info_; }
  void on_done(std::function<void(gpu::step_result)>) override {}
  gpu::errc open(slot_id, const sampling_options&, std::span<const token_id>, std::uint32_t) override {
    return gpu::errc::none;
  }
  void close(slot_id) override {}
  gpu::errc submit(gpu::step) override { return gpu::errc::none; }
  region_view kv_memory(std::size_t) override { return {}; }

private:
  std::promise<std::thread::id>& ended_;
  gpu::executor_info info_;
};

struct story {
  std::promise<device_actor> spawned;
  std::promise<void> forgotten_by_owner;
  std::promise<void> forgotten_by_reporter;
  std::promise<std::thread::id> ended;
};

/// A worker that forgets its device before the reporting thread does, but is not gone itself.
struct owner_state {
  static inline const char* name = "troupe.test.owner";
  ~owner_state() {
    device = device_actor{};
    told->forgotten_by_owner.set_value();
    told->forgotten_by_reporter.get_future().wait_for(patience);
  }
  device_actor device;
  story* told = nullptr;
};

caf::behavior own_device(caf::stateful_actor<owner_state>* self, story* told) {
  self->state.told = told;
  self->state.device = spawn_device(*self, std::make_unique<idle_executor>(told->ended));
  told->spawned.set_value(self->state.device);
  return {[](int) {}};
}

} // namespace

// The reporting thread knows the device for a moment, and an executor waits in its destructor for the end of
// that report. Many times, since the device may still be busy with its own start.
TEST_CASE("an executor never ends on the thread that reports its steps, even if that is the last to know the device") {
  init_actor_types();
  caf::actor_system_config config;
  config.set("caf.scheduler.max-threads", 2);
  caf::actor_system system{config};
  for (int i = 0; i < 20; ++i) {
    story told;
    auto owner = system.spawn(own_device, &told);
    std::thread reporter{[&told] {
      {
        const auto device = told.spawned.get_future().get();
        told.forgotten_by_owner.get_future().wait_for(patience);
      }
      told.forgotten_by_reporter.set_value();
    }};
    const auto reporter_id = reporter.get_id();
    caf::anon_send_exit(owner, caf::exit_reason::user_shutdown);
    auto ended = told.ended.get_future();
    CHECK(ended.wait_for(patience) == std::future_status::ready);
    CHECK(ended.get() != reporter_id);
    reporter.join();
  }
}
