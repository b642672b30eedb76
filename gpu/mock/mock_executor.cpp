// SPDX-License-Identifier: Apache-2.0
#include "gpu/mock/mock_executor.hpp"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "gpu/mock/mock_kv.hpp"
#include "gpu/recent_tokens.hpp"
#include "gpu/sampling/generator.hpp"
#include "gpu/sampling/sampler.hpp"
#include "gpu/step_check.hpp"
#include "gpu/step_queue.hpp"

namespace troupe::gpu::mock {

namespace {

struct open_slot {
  sampling_options options;
  std::vector<token_id> tokens;
  /// prefixes[i]: hash of tokens 0 … i.
  std::vector<std::uint64_t> prefixes;

  void add(token_id token) {
    prefixes.push_back(extend(prefixes.empty() ? 0 : prefixes.back(), token));
    tokens.push_back(token);
  }
};

std::vector<mock_kv> make_kv(const mock_options& o) {
  std::vector<mock_kv> kv;
  cache_group shape;
  shape.layers = o.layers;
  shape.block_tokens = o.block_tokens;
  shape.blocks = o.kv_blocks;
  kv.emplace_back(shape, o.kv_memory);
  if (o.window_tokens != 0) {
    shape.kind = group_kind::sliding;
    shape.window_tokens = o.window_tokens;
    shape.layers = o.window_layers;
    shape.blocks = o.window_blocks;
    kv.emplace_back(shape, std::nullopt);
  }
  return kv;
}

executor_info info_of(const mock_options& o, const std::vector<mock_kv>& kv) {
  executor_info info;
  info.fingerprint.value = mix64(o.vocabulary ^ std::uint64_t{o.layers} << 32 ^ std::uint64_t{o.block_tokens} << 48);
  if (o.window_tokens != 0)
    info.fingerprint.value = mix64(info.fingerprint.value ^ o.window_tokens ^ std::uint64_t{o.window_layers} << 32);
  info.numerics.value = mix64(1);
  info.description = "mock";
  for (const auto& group : kv)
    info.groups.push_back(group.group());
  info.vocabulary = o.vocabulary;
  info.context_tokens = o.context_tokens;
  info.rows_max = o.rows_max;
  info.tokens_max = o.tokens_max;
  info.steps_in_flight_max = o.steps_in_flight_max;
  info.slots_max = o.slots_max;
  return info;
}

} // namespace

std::chrono::nanoseconds duration_of(const step& s, const time_model& time) {
  auto sum = time.base;
  for (const auto& r : s.rows)
    sum += r.from || (r.tokens_count == 1 && r.position > 0) ? time.decode_row : time.prefill_token * r.tokens_count;
  return std::chrono::nanoseconds{std::llround(static_cast<double>(sum.count()) * time.slowness)};
}

/// The queue, the sequences and the thread. One thread at a time runs steps; what it alone touches is
/// named below, the rest is under the mutex.
class mock_executor::device {
public:
  explicit device(mock_options options)
    : options_(std::move(options)), kv_(make_kv(options_)), info_(info_of(options_, kv_)),
      recent_(options_.steps_in_flight_max), queue_(options_.slots_max, options_.steps_in_flight_max) {}

  ~device() {
    {
      const std::lock_guard lock{mutex_};
      ending_ = lost_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable())
      thread_.join();
    while (run_next())
      ;
  }

  /// Throws std::system_error.
  void start() {
    if (options_.steps != pace::manual)
      thread_ = std::thread{[this] { work(); }};
  }

  const executor_info& info() const { return info_; }
  region_view memory(std::size_t group) { return group < kv_.size() ? kv_[group].memory() : region_view{}; }
  void on_done(std::function<void(step_result)> callback) { on_done_ = std::move(callback); }

  void change(slot_id slot, std::optional<open_slot> state) {
    const std::lock_guard lock{mutex_};
    queue_.change(slot, std::move(state));
  }

  errc enqueue(step s) {
    assert(on_done_ && "on_done is set before the first submit");
    strike_if_due();
    {
      const std::lock_guard lock{mutex_};
      if (auto code = queue_.push(std::move(s)); code != errc::none)
        return code;
    }
    changed_.notify_all();
    return errc::none;
  }

  void release(std::uint32_t steps) {
    {
      const std::lock_guard lock{mutex_};
      permits_ += steps;
    }
    changed_.notify_all();
  }

  void lose() {
    {
      const std::lock_guard lock{mutex_};
      lost_ = true;
    }
    changed_.notify_all();
  }

  std::uint32_t pending() const {
    const std::lock_guard lock{mutex_};
    return queue_.in_flight();
  }

  std::uint64_t completed() const {
    const std::lock_guard lock{mutex_};
    return completed_;
  }

  /// Runs and completes the oldest step.
  bool run_next() {
    std::unique_lock lock{mutex_};
    auto next = queue_.take();
    if (!next)
      return false;
    const bool lost = lost_;
    lock.unlock();
    auto result =
      lost ? step_result{.id = next->id, .code = errc::device_lost, .context = "the mock device is gone"} : run(*next);
    lock.lock();
    queue_.finish_one();
    completed_ += result.code == errc::none;
    lock.unlock();
    on_done_(std::move(result));
    return true;
  }

private:
  void strike_if_due() {
    if (options_.fault == mock_fault::none || submitted_++ < options_.fault_after_steps)
      return;
    if (options_.fault == mock_fault::crash)
      throw std::runtime_error{"the mock executor crashes as it was told to"};
    if (options_.fault == mock_fault::slow)
      is_slow_ = true;
    else
      lose();
  }

  std::chrono::nanoseconds time_of(const step& s) const {
    return duration_of(s, options_.time) * (is_slow_ ? slow_factor : 1);
  }

  void work() {
    auto free_at = std::chrono::steady_clock::now(); // when the last step ended
    std::unique_lock lock{mutex_};
    for (;;) {
      changed_.wait(lock, [this] { return ending_ || queue_.next() != nullptr; });
      if (ending_)
        return;
      if (options_.steps == pace::gate) {
        changed_.wait(lock, [this] { return lost_ || permits_ > 0; });
        permits_ -= !lost_;
      } else {
        free_at = std::max(free_at, std::chrono::steady_clock::now()) + time_of(*queue_.next());
        changed_.wait_until(lock, free_at, [this] { return lost_; });
      }
      if (ending_)
        return; // the destructor completes the rest
      lock.unlock();
      run_next();
      lock.lock();
    }
  }

  step_result run(const step& s) {
    step_result result{.id = s.id, .computed = time_of(s)};
    for (std::size_t i = 0; i < s.rows.size(); ++i) {
      auto fault = run_row(s, s.rows[i], result.rows.emplace_back());
      if (!fault)
        continue;
      result.rows.clear();
      result.code = errc::invalid_step;
      result.context = "row " + std::to_string(i) + ": " + *fault;
      return result;
    }
    recent_.add(s.id, result.rows);
    return result;
  }

  std::optional<std::string> run_row(const step& s, const row& r, row_result& result) {
    if (!queue_.slots()[r.slot.value])
      return "slot " + std::to_string(r.slot.value) + " is not open";
    auto& slot = *queue_.slots()[r.slot.value];
    std::vector<token_id> input(s.tokens_of(r).begin(), s.tokens_of(r).end());
    if (r.from) {
      const auto token = recent_.find(*r.from);
      if (!token)
        return "row " + std::to_string(r.from->row) + " of step " + std::to_string(r.from->step.value)
               + " drew no token that is still known";
      input.push_back(*token);
    }
    const std::uint32_t end = r.position + static_cast<std::uint32_t>(input.size());
    if (end > slot.tokens.size() || !std::equal(input.begin(), input.end(), slot.tokens.begin() + r.position))
      return "its tokens are not those of slot " + std::to_string(r.slot.value) + " from position "
             + std::to_string(r.position);
    for (std::size_t g = 0; g < kv_.size(); ++g)
      if (auto fault = run_group(g, s.blocks_of(r, g), r.position, end, slot))
        return fault;
    if (r.want == row_want::none)
      return std::nullopt;
    if (end != slot.tokens.size())
      return "it draws a token after position " + std::to_string(end - 1) + " of a sequence of "
             + std::to_string(slot.tokens.size());
    result.logits_hash = slot.prefixes[end - 1];
    result.token = draw(slot.options, result.logits_hash);
    slot.add(result.token->token);
    return std::nullopt;
  }

  /// Stores the positions from `begin` on, and looks at all that they see.
  std::optional<std::string> run_group(std::size_t index, std::span<const block_id> table, std::uint32_t begin,
                                       std::uint32_t end, const open_slot& slot) {
    auto& kv = kv_[index];
    const auto& group = kv.group();
    for (auto p = begin; p < end; ++p)
      kv.write(table, p, slot.prefixes[p]);
    const auto window = group.window_tokens;
    for (auto p = window != 0 && begin >= window ? begin + 1 - window : 0; p < end; ++p)
      if (!kv.holds(table, p, slot.prefixes[p]))
        return "KV of position " + std::to_string(p) + " in block " + std::to_string(table[p / group.block_tokens])
               + (index == 0 ? "" : " of group " + std::to_string(index)) + " is not of this sequence";
    return std::nullopt;
  }

  sampled_token draw(const sampling_options& o, std::uint64_t prefix) const {
    auto key = mix64(prefix ^ 0x746f6b656e); // apart from the stamps
    if (o.temperature > 0)
      key = mix64(key ^ mix64(o.seed) ^ o.choice);
    const auto& pool = options_.drawn_tokens;
    const auto pick = [&](std::uint64_t k) {
      return pool.empty() ? static_cast<token_id>(k % options_.vocabulary) : pool[k % pool.size()];
    };
    sampled_token result;
    result.token = pick(key);
    if (o.logprobs) {
      result.logprob = -0.5f;
      for (std::uint8_t i = 0; i < o.top_logprobs; ++i)
        result.top.push_back({pick(key + i), -0.5f - static_cast<float>(i)});
    }
    return result;
  }

  const mock_options options_;
  std::atomic<bool> is_slow_ = false;
  std::vector<mock_kv> kv_; // of the thread that runs steps, as recent_ is while a step runs
  const executor_info info_;
  std::function<void(step_result)> on_done_;
  std::uint64_t submitted_ = 0; // of the submitting thread alone
  recent_tokens recent_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  step_queue<open_slot> queue_;
  std::uint64_t completed_ = 0;
  std::uint64_t permits_ = 0;
  bool lost_ = false;
  bool ending_ = false;
  std::thread thread_;
};

expected<std::unique_ptr<mock_executor>, error> mock_executor::make(mock_options o) try {
  if (o.vocabulary == 0 || o.context_tokens == 0 || o.layers == 0 || o.kv_blocks == 0 || o.block_tokens == 0
      || (o.window_tokens != 0 && (o.window_blocks == 0 || o.window_layers == 0)) || o.slots_max == 0 || o.rows_max == 0
      || o.tokens_max == 0 || o.steps_in_flight_max < 2 || !(o.time.slowness >= 0)
      || std::ranges::any_of(o.drawn_tokens, [&](auto t) { return t >= o.vocabulary; }))
    return fail(errc::invalid_step,
                "a mock executor needs bounds above zero, two steps in flight and tokens of its vocabulary");
  auto device = std::make_unique<mock_executor::device>(std::move(o));
  device->start();
  return std::unique_ptr<mock_executor>{new mock_executor{std::move(device)}};
} catch (const std::bad_alloc&) {
  return fail(errc::resource, "not enough memory for a mock executor");
} catch (const std::system_error& e) {
  return fail(errc::resource, std::string{"cannot start a mock executor's thread: "} + e.what());
}

mock_executor::mock_executor(std::unique_ptr<device> d) : device_(std::move(d)) {}

mock_executor::~mock_executor() = default;

const executor_info& mock_executor::info() const { return device_->info(); }

void mock_executor::on_done(std::function<void(step_result)> callback) { device_->on_done(std::move(callback)); }

errc mock_executor::open(slot_id slot, const sampling_options& options, std::span<const token_id> history,
                         std::uint32_t prompt_tokens) {
  if (slot.value >= info().slots_max || history.size() > info().context_tokens || prompt_tokens > history.size()
      || !is_valid(options, info().vocabulary)
      || std::ranges::any_of(history, [&](auto token) { return token >= info().vocabulary; }))
    return errc::invalid_step;
  open_slot state{options, {}, {}};
  for (auto token : history)
    state.add(token);
  device_->change(slot, std::move(state));
  return errc::none;
}

void mock_executor::close(slot_id slot) {
  if (slot.value < info().slots_max)
    device_->change(slot, std::nullopt);
}

errc mock_executor::submit(step s) {
  if (find_fault(s, info()))
    return errc::invalid_step;
  return device_->enqueue(std::move(s));
}

region_view mock_executor::kv_memory(std::size_t group) { return device_->memory(group); }

void mock_executor::release(std::uint32_t steps) { device_->release(steps); }
bool mock_executor::run_one() { return device_->run_next(); }
std::uint32_t mock_executor::pending() const { return device_->pending(); }
std::uint64_t mock_executor::completed() const { return device_->completed(); }
void mock_executor::lose_device() { device_->lose(); }

} // namespace troupe::gpu::mock
