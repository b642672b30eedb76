// SPDX-License-Identifier: Apache-2.0
#include "gpu/host/host_executor.hpp"

#include <xxhash.h>

#include <array>
#include <cassert>
#include <condition_variable>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "gpu/host/host_model.hpp"
#include "gpu/recent_tokens.hpp"
#include "gpu/sampling/sampler.hpp"
#include "gpu/step_check.hpp"
#include "gpu/step_queue.hpp"

namespace troupe::gpu::host {

namespace {

/// A sequence that an executor knows.
struct open_slot {
  sampling_options options;
  token_counts counts;
};

/// What the executor and its jobs in the pool share. Jobs may outlive the executor by a moment.
///
/// A job takes the queue's next step and the slot changes before it. Slots, tokens and the model belong to
/// the job that runs; everything else is under the mutex.
class step_runner {
public:
  step_runner(std::unique_ptr<host_model> model, executor_info info, const host_executor_options& options,
              mapped_memory logits)
    : info(std::move(info)), model_(std::move(model)), hash_logits_(options.hash_logits), logits_(std::move(logits)),
      recent_(options.steps_in_flight_max), samplers_(model_->pool().threads()),
      queue_(options.slots_max, options.steps_in_flight_max) {}

  const executor_info info;
  std::function<void(step_result)> on_done;

  host_model& model() { return *model_; }

  void change(slot_id slot, std::optional<open_slot> state) {
    const std::lock_guard lock{mutex_};
    queue_.change(slot, std::move(state));
  }

  errc enqueue(step s) {
    const std::lock_guard lock{mutex_};
    return queue_.push(std::move(s));
  }

  /// A job of the pool: one per enqueued step.
  void run_next() {
    std::unique_lock lock{mutex_};
    auto next = queue_.take();
    if (!next)
      return; // the executor ended
    running_ = true;
    lock.unlock();
    auto result = run(*next);
    lock.lock();
    queue_.finish_one();
    lock.unlock();
    on_done(std::move(result));
    lock.lock();
    running_ = false;
    lock.unlock();
    idle_.notify_all();
  }

  /// Waits for the step that runs; the others complete here.
  void end() {
    std::unique_lock lock{mutex_};
    const auto rest = queue_.abandon();
    idle_.wait(lock, [this] { return !running_; });
    lock.unlock();
    for (auto id : rest)
      on_done({.id = id, .code = errc::device_lost, .context = "the executor ended"});
  }

private:
  step_result run(const step& s) {
    const auto begin = std::chrono::steady_clock::now();
    step_result result{.id = s.id};
    try {
      if (auto fault = lay_out(s)) {
        result.code = errc::invalid_step;
        result.context = std::move(*fault);
      } else {
        model_->forward(tokens_, wanted_, {logits_.floats(), wanted_.size() * model_->logits_stride()});
        result.rows.resize(s.rows.size());
        sample_rows(s, result.rows);
        recent_.add(s.id, result.rows);
      }
    } catch (const std::bad_alloc&) {
      result.rows.clear();
      result.code = errc::resource;
      result.context = "no memory for step " + std::to_string(s.id.value);
    }
    result.computed = std::chrono::steady_clock::now() - begin;
    return result;
  }

  /// Flattens the rows to tokens_ and wanted_; a sentence if one names what does not exist.
  std::optional<std::string> lay_out(const step& s) {
    tokens_.clear();
    wanted_.clear();
    sampled_rows_.clear();
    for (std::uint32_t i = 0; i < s.rows.size(); ++i) {
      const auto& r = s.rows[i];
      if (!queue_.slots()[r.slot.value])
        return "row " + std::to_string(i) + ": slot " + std::to_string(r.slot.value) + " is not open";
      std::array<const block_id*, groups_max> tables{};
      for (std::size_t g = 0; g < info.groups.size(); ++g)
        tables[g] = s.blocks.data() + r.tables[g].begin;
      if (r.from) {
        const auto token = recent_.find(*r.from);
        if (!token)
          return "row " + std::to_string(i) + ": row " + std::to_string(r.from->row) + " of step "
                 + std::to_string(r.from->step.value) + " drew no token that is still known";
        tokens_.push_back({*token, r.position, tables});
      }
      for (std::uint32_t t = 0; t < r.tokens_count; ++t)
        tokens_.push_back({s.tokens[r.tokens_begin + t], r.position + t, tables});
      if (r.want == row_want::sample) {
        wanted_.push_back(static_cast<std::uint32_t>(tokens_.size() - 1));
        sampled_rows_.push_back(i);
      }
    }
    return std::nullopt;
  }

  void sample_rows(const step& s, std::vector<row_result>& results) {
    model_->pool().parallel_for(static_cast<std::uint32_t>(wanted_.size()), 1, [&](auto begin, auto end, auto thread) {
      for (auto i = begin; i < end; ++i) {
        const std::span<const float> logits{logits_.floats() + std::size_t{i} * model_->logits_stride(),
                                            info.vocabulary};
        auto& slot = *queue_.slots()[s.rows[sampled_rows_[i]].slot.value];
        auto& result = results[sampled_rows_[i]];
        result.token = samplers_[thread].sample(logits, slot.options, slot.counts, tokens_[wanted_[i]].position + 1);
        if (has_penalties(slot.options))
          slot.counts.add_output(result.token->token);
        if (hash_logits_)
          result.logits_hash = XXH3_64bits(logits.data(), logits.size_bytes());
      }
    });
  }

  std::unique_ptr<host_model> model_;
  bool hash_logits_;
  mapped_memory logits_; // [rows_max][logits_stride]
  recent_tokens recent_;
  std::vector<sampler> samplers_; // one per thread
  // The step that runs, flattened.
  std::vector<forward_token> tokens_;
  std::vector<std::uint32_t> wanted_;       // indices into tokens_
  std::vector<std::uint32_t> sampled_rows_; // the rows that they are of

  std::mutex mutex_;
  std::condition_variable idle_;
  step_queue<open_slot> queue_;
  bool running_ = false;
};

class host_executor final : public executor {
public:
  host_executor(std::shared_ptr<step_runner> runner, std::shared_ptr<compute_pool> pool)
    : runner_(std::move(runner)), pool_(std::move(pool)) {}
  ~host_executor() override { runner_->end(); }

  const executor_info& info() const override { return runner_->info; }

  void on_done(std::function<void(step_result)> callback) override { runner_->on_done = std::move(callback); }

  errc open(slot_id slot, const sampling_options& options, std::span<const token_id> history,
            std::uint32_t prompt_tokens) override {
    if (slot.value >= info().slots_max || history.size() > info().context_tokens || prompt_tokens > history.size()
        || !is_valid(options, info().vocabulary))
      return errc::invalid_step;
    open_slot state{options, {}};
    for (std::size_t i = 0; i < history.size(); ++i) {
      if (history[i] >= info().vocabulary)
        return errc::invalid_step;
      if (has_penalties(options))
        i < prompt_tokens ? state.counts.add_prompt(history[i]) : state.counts.add_output(history[i]);
    }
    runner_->change(slot, std::move(state));
    return errc::none;
  }

  void close(slot_id slot) override {
    if (slot.value < info().slots_max)
      runner_->change(slot, std::nullopt);
  }

  errc submit(step s) override {
    assert(runner_->on_done && "on_done is set before the first submit");
    if (find_fault(s, info()))
      return errc::invalid_step;
    if (auto code = runner_->enqueue(std::move(s)); code != errc::none)
      return code;
    pool_->post([runner = runner_] { runner->run_next(); });
    return errc::none;
  }

  region_view kv_memory(std::size_t group) override {
    auto view = runner_->model().kv_memory(group);
    if (view.data == nullptr)
      return {};
    view.keep_alive = runner_;
    return view;
  }

private:
  std::shared_ptr<step_runner> runner_;
  /// Jobs hold the runner, never the pool: the pool must not end on its own thread.
  std::shared_ptr<compute_pool> pool_;
};

executor_info info_of(const host_model& model, const host_executor_options& options) {
  executor_info info;
  info.fingerprint = model.fingerprint();
  info.numerics = model.numerics();
  info.description = "host/" + std::string{to_string(model.path())};
  info.groups = model.groups();
  info.vocabulary = model.config().vocabulary;
  info.context_tokens = model.config().context_tokens;
  info.rows_max = options.rows_max;
  info.tokens_max = options.tokens_max;
  info.steps_in_flight_max = options.steps_in_flight_max;
  info.slots_max = options.slots_max;
  return info;
}

} // namespace

expected<std::unique_ptr<executor>, error> make_host_executor(std::shared_ptr<const host_weights> weights,
                                                              std::shared_ptr<compute_pool> pool,
                                                              const host_executor_options& options) try {
  for (const auto& [name, value, least] :
       {std::tuple{"slots_max", options.slots_max, 1u}, std::tuple{"rows_max", options.rows_max, 1u},
        std::tuple{"tokens_max", options.tokens_max, 1u},
        std::tuple{"steps_in_flight_max", options.steps_in_flight_max, 2u}})
    if (value < least)
      return fail(errc::invalid_step, std::string{name} + " is " + std::to_string(value) + ", at least "
                                        + std::to_string(least) + " is needed");
  const auto path = choose_simd_path(options.simd);
  if (!path)
    return unexpected{path.error()};
  const std::array kv_blocks{options.kv_blocks, options.window_blocks == 0 ? options.kv_blocks : options.window_blocks};
  auto model = host_model::make(std::move(weights), *pool, *path, kv_blocks, options.block_tokens);
  if (!model)
    return unexpected{model.error()};
  auto logits = mapped_memory::make(std::uint64_t{options.rows_max} * (*model)->logits_stride() * sizeof(float));
  if (!logits)
    return unexpected{logits.error()};
  auto info = info_of(**model, options);
  auto runner = std::make_shared<step_runner>(std::move(*model), std::move(info), options, std::move(*logits));
  return std::unique_ptr<executor>{std::make_unique<host_executor>(std::move(runner), std::move(pool))};
} catch (const std::bad_alloc&) {
  return fail(errc::resource, "not enough memory for an executor");
}

} // namespace troupe::gpu::host
