// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "gpu/executor.hpp"

namespace troupe::gpu::mock {

/// How long a step takes: slowness × (base + Σ over rows). A row of one token that is not a sequence's first
/// counts as decode, any other by its tokens.
struct time_model {
  std::chrono::nanoseconds base{};
  std::chrono::nanoseconds prefill_token{};
  std::chrono::nanoseconds decode_row{};
  /// 2 is a device of half the speed.
  double slowness = 1;
};

/// Who lets a step complete.
enum class pace : std::uint8_t {
  /// A thread of the executor, after the modelled time.
  timer,
  /// A thread of the executor, for each step that release() lets through.
  gate,
  /// run_one(), on the caller's thread: for virtual time.
  manual,
};

/// What goes wrong by design, to rehearse it.
enum class mock_fault : std::uint8_t {
  none,
  /// As lose_device().
  device_lost,
  /// submit() throws std::runtime_error, as a defect might.
  crash,
  /// Steps take slow_factor times as long.
  slow,
};
constexpr std::uint32_t slow_factor = 5;

struct mock_options {
  pace steps = pace::timer;
  time_model time;
  std::uint32_t vocabulary = 512;
  std::uint32_t context_tokens = 8192;
  /// Tokens are drawn from these, so that a test can keep to printable ones; empty: the whole vocabulary.
  std::vector<token_id> drawn_tokens;
  std::uint16_t layers = 2;
  std::uint32_t kv_blocks = 64;
  /// KV goes here, if it is large enough, e.g. so that other processes can write it; else into memory of its own.
  std::optional<region_view> kv_memory;
  std::uint16_t block_tokens = 16;
  /// 0: no sliding group beside the full one.
  std::uint32_t window_tokens = 0;
  std::uint16_t window_layers = 1;
  std::uint32_t window_blocks = 64;
  std::uint32_t slots_max = 64;
  std::uint32_t rows_max = 64;
  std::uint32_t tokens_max = 4096;
  std::uint32_t steps_in_flight_max = 2;
  mock_fault fault = mock_fault::none;
  /// Steps that are taken before the fault strikes.
  std::uint64_t fault_after_steps = 0;
};

/// An executor without a model, for scenarios and benchmarks. info().description is "mock", and
/// everything that prints results says so.
///
/// The next token is a hash of all earlier ones (and, unless greedy, of seed and choice), so a replayed
/// sequence writes the same text. KV is real bytes: position p of a sequence gets a stamp made from its
/// tokens 0 … p, and a step whose rows find any other stamp among their earlier positions, in a sliding group among
/// those that they see, fails with invalid_step naming position and block. So does a row whose tokens are not those of
/// its slot. A block table, transfer, prefix share or preemption that goes wrong therefore cannot go unnoticed.
class mock_executor final : public executor {
public:
  /// errc::resource if memory or a thread is refused, errc::invalid_step for impossible options.
  static expected<std::unique_ptr<mock_executor>, error> make(mock_options);
  ~mock_executor() override;

  const executor_info& info() const override;
  void on_done(std::function<void(step_result)>) override;
  errc open(slot_id, const sampling_options&, std::span<const token_id> history, std::uint32_t prompt_tokens) override;
  void close(slot_id) override;
  errc submit(step) override;
  region_view kv_memory(std::size_t group) override;

  /// Gate: lets `steps` more steps complete.
  void release(std::uint32_t steps);
  /// Manual: completes the oldest step on this thread; false if there is none.
  bool run_one();
  /// Steps submitted and not completed.
  std::uint32_t pending() const;
  /// Steps that have completed without error.
  std::uint64_t completed() const;
  /// The device is gone: every step from now on, and those in flight, complete with device_lost.
  void lose_device();

private:
  class device;
  explicit mock_executor(std::unique_ptr<device>);
  std::unique_ptr<device> device_;
};

/// The modelled duration of a step.
std::chrono::nanoseconds duration_of(const step&, const time_model&);

} // namespace troupe::gpu::mock
