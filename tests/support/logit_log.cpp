// SPDX-License-Identifier: Apache-2.0
#include "tests/support/logit_log.hpp"

#include <algorithm>
#include <utility>

namespace troupe::test {

namespace {

std::uint32_t tokens_of(const gpu::row& r) { return r.from ? 1 : r.tokens_count; }

} // namespace

logit_record logit_log::take() {
  const std::lock_guard lock{mutex_};
  return std::exchange(record_, {});
}

void logit_log::note_open(std::uint64_t seed, std::span<const token_id> history, std::uint32_t prompt_tokens) {
  const std::lock_guard lock{mutex_};
  const auto prompt = history.first(prompt_tokens);
  auto [i, is_new] = record_.sequences.try_emplace(seed);
  if (is_new)
    i->second.prompt.assign(prompt.begin(), prompt.end());
  record_.contradictions += !std::ranges::equal(i->second.prompt, prompt);
  if (history.size() > prompt_tokens)
    record_.resumed.insert(seed);
}

void logit_log::note_step(const gpu::step& s) {
  const std::lock_guard lock{mutex_};
  const auto draws = std::ranges::count(s.rows, gpu::row_want::sample, &gpu::row::want);
  record_.drawing_rows_max = std::max(record_.drawing_rows_max, static_cast<std::uint32_t>(draws));
  for (const auto& r : s.rows)
    record_.row_tokens_max = std::max(record_.row_tokens_max, tokens_of(r));
}

void logit_log::note_hash(std::uint64_t seed, std::uint32_t position, std::uint64_t hash) {
  const std::lock_guard lock{mutex_};
  const auto [i, is_new] = record_.sequences[seed].hashes.emplace(position, hash);
  record_.contradictions += !is_new && i->second != hash;
}

logged_executor::logged_executor(std::unique_ptr<gpu::executor> inner, std::shared_ptr<logit_log> log)
  : log_(std::move(log)), inner_(std::move(inner)) {}

void logged_executor::on_done(std::function<void(gpu::step_result)> callback) {
  inner_->on_done([this, callback = std::move(callback)](gpu::step_result result) {
    note_result(result);
    callback(std::move(result));
  });
}

gpu::errc logged_executor::open(slot_id slot, const sampling_options& options, std::span<const token_id> history,
                                std::uint32_t prompt_tokens) {
  log_->note_open(options.seed, history, prompt_tokens);
  seeds_[slot] = options.seed;
  return inner_->open(slot, options, history, prompt_tokens);
}

logged_executor::step_owners logged_executor::owners_of(const gpu::step& s) const {
  step_owners result;
  for (const auto& r : s.rows) {
    auto& owner = result.emplace_back();
    if (r.want == gpu::row_want::sample)
      owner = row_owner{seeds_.at(r.slot), r.position + tokens_of(r) - 1};
  }
  return result;
}

gpu::errc logged_executor::submit(gpu::step s) {
  log_->note_step(s);
  {
    const std::lock_guard lock{mutex_};
    in_flight_.push_back(owners_of(s));
  }
  const auto code = inner_->submit(std::move(s));
  if (code != gpu::errc::none) {
    const std::lock_guard lock{mutex_};
    in_flight_.pop_back();
  }
  return code;
}

void logged_executor::note_result(const gpu::step_result& result) {
  step_owners owners;
  {
    const std::lock_guard lock{mutex_};
    owners = std::move(in_flight_.front());
    in_flight_.pop_front();
  }
  for (std::size_t i = 0; i < std::min(owners.size(), result.rows.size()); ++i)
    if (owners[i])
      log_->note_hash(owners[i]->seed, owners[i]->position, result.rows[i].logits_hash);
}

} // namespace troupe::test
