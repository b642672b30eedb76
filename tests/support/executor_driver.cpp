// SPDX-License-Identifier: Apache-2.0
#include "tests/support/executor_driver.hpp"

#include <algorithm>
#include <stdexcept>

namespace troupe::test {

namespace {

/// A test that asks for what cannot be ends here, with the reason.
void require(bool ok, const std::string& what) {
  if (!ok)
    throw std::runtime_error{what};
}

} // namespace

executor_driver::executor_driver(gpu::executor& executor) : executor_(executor) {
  executor.on_done([this](gpu::step_result r) { done_.set_value(std::move(r)); });
  const auto& info = executor.info();
  for (std::uint32_t i = info.slots_max; i-- > 0;)
    free_slots_.push_back({i});
  const auto blocks = info.groups.at(0).blocks;
  for (std::uint32_t i = 0; i < blocks; ++i)
    free_blocks_.push_back(i);
  std::uint64_t state = 1; // any fixed order but the natural one
  for (std::uint32_t i = blocks; i > 1; --i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::swap(free_blocks_[i - 1], free_blocks_[(state >> 33) % i]);
  }
}

driven_sequence executor_driver::start(std::vector<token_id> prompt, const sampling_options& options) {
  require(!free_slots_.empty(), "no free slot");
  driven_sequence s{.slot = free_slots_.back(), .options = options, .tokens = std::move(prompt)};
  free_slots_.pop_back();
  s.prompt_tokens = static_cast<std::uint32_t>(s.tokens.size());
  require(executor_.open(s.slot, options, s.tokens, s.prompt_tokens) == gpu::errc::none, "open was refused");
  return s;
}

void executor_driver::restart(driven_sequence& s) {
  free_blocks_.insert(free_blocks_.begin(), s.blocks.begin(), s.blocks.end());
  s.blocks.clear();
  s.computed = 0;
  require(executor_.open(s.slot, s.options, s.tokens, s.prompt_tokens) == gpu::errc::none, "open was refused");
}

driven_sequence executor_driver::adopt(const driven_sequence& other) {
  require(!free_slots_.empty(), "no free slot");
  auto s = other;
  s.slot = free_slots_.back();
  free_slots_.pop_back();
  for (auto& block : s.blocks)
    block = take_block();
  require(executor_.open(s.slot, s.options, s.tokens, s.prompt_tokens) == gpu::errc::none, "open was refused");
  return s;
}

void executor_driver::finish(driven_sequence& s) {
  executor_.close(s.slot);
  free_slots_.push_back(s.slot);
  free_blocks_.insert(free_blocks_.begin(), s.blocks.begin(), s.blocks.end());
  s.blocks.clear();
}

block_id executor_driver::take_block() {
  require(!free_blocks_.empty(), "no free block");
  const auto block = free_blocks_.back();
  free_blocks_.pop_back();
  return block;
}

void executor_driver::add_row(gpu::step& step, driven_sequence& s, std::uint32_t count) {
  const auto block_tokens = executor_.info().groups.at(0).block_tokens;
  const auto end = s.computed + count;
  while (s.blocks.size() * block_tokens < end)
    s.blocks.push_back(take_block());
  gpu::row r{.slot = s.slot,
             .position = s.computed,
             .tokens_begin = static_cast<std::uint32_t>(step.tokens.size()),
             .tokens_count = count,
             .tables = {},
             .want = end == s.tokens.size() ? gpu::row_want::sample : gpu::row_want::none};
  // The same in each cache group.
  r.tables.fill({static_cast<std::uint32_t>(step.blocks.size()), static_cast<std::uint32_t>(s.blocks.size())});
  step.tokens.insert(step.tokens.end(), s.tokens.begin() + s.computed, s.tokens.begin() + end);
  step.blocks.insert(step.blocks.end(), s.blocks.begin(), s.blocks.end());
  step.rows.push_back(r);
}

gpu::step_result executor_driver::run(gpu::step step) {
  step.id.value = ++last_step_;
  done_ = {};
  auto result = done_.get_future();
  require(executor_.submit(std::move(step)) == gpu::errc::none, "submit was refused");
  return result.get();
}

void executor_driver::advance(std::span<driven_sequence* const> sequences, std::uint32_t chunk) {
  gpu::step step;
  for (auto* s : sequences)
    add_row(step, *s, std::min(chunk, static_cast<std::uint32_t>(s->tokens.size()) - s->computed));
  const auto rows = step.rows;
  const auto result = run(std::move(step));
  require(result.code == gpu::errc::none, result.context);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto& s = *sequences[i];
    s.computed += rows[i].tokens_count;
    require(result.rows.at(i).token.has_value() == (rows[i].want == gpu::row_want::sample),
            "a token too many or too few");
    if (result.rows[i].token) {
      s.tokens.push_back(result.rows[i].token->token);
      s.hashes.push_back(result.rows[i].logits_hash);
    }
  }
}

void executor_driver::generate(std::span<driven_sequence* const> sequences, std::uint32_t count, std::uint32_t chunk) {
  for (;;) {
    std::vector<driven_sequence*> unfinished;
    std::ranges::copy_if(sequences, std::back_inserter(unfinished),
                         [&](auto* s) { return s->output().size() < count; });
    if (unfinished.empty())
      return;
    advance(unfinished, chunk);
  }
}

sampling_options greedy() {
  sampling_options options;
  options.temperature = 0;
  return options;
}

} // namespace troupe::test
