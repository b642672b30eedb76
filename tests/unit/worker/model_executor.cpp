// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/worker/model_executor.hpp"

#include <algorithm>

namespace troupe::test {

token_id toy_model::next(const std::vector<token_id>& history) const {
  auto h = 0x9e3779b97f4a7c15u ^ salt;
  for (const auto t : history)
    h = (h ^ t) * 0x100000001b3u + (h >> 29);
  return static_cast<token_id>((h ^ (h >> 32)) % vocabulary);
}

model_executor::model_executor(const scheduler_config& c, toy_model model)
  : block_tokens_{c.block_tokens}, window_tokens_{c.window_tokens}, model_{model}, slots_(c.slots) {
  cells_.emplace_back(std::size_t{c.blocks} * block_tokens_);
  if (window_tokens_ != 0)
    cells_.emplace_back(std::size_t{c.window_blocks} * block_tokens_);
}

std::uint32_t model_executor::first_block(std::size_t group, std::uint32_t position) const {
  return gpu::first_visible_block(position, group == 0 ? 0 : window_tokens_, block_tokens_);
}

void model_executor::fail(std::string what) {
  if (!fault)
    fault = std::move(what);
}

void model_executor::write(std::size_t group, block_id b, std::uint32_t offset, token_id token,
                           std::uint32_t position) {
  cells_.at(group).at(std::size_t{b} * block_tokens_ + offset) = {token, position, true};
}

const model_executor::cell& model_executor::at(std::size_t group, block_id b, std::uint32_t offset) const {
  return cells_.at(group).at(std::size_t{b} * block_tokens_ + offset);
}

bool model_executor::is_used(std::size_t group, block_id b) const {
  return std::ranges::any_of(queue_, [&](const queued& q) {
    return std::ranges::any_of(q.step.rows, [&](const gpu::row& r) {
      return std::ranges::count(q.step.blocks_of(r, group).subspan(first_block(group, r.position)), b) > 0;
    });
  });
}

void model_executor::lose() {
  queue_.clear();
  histories_.clear();
  drawn_.clear();
  for (auto& s : slots_)
    s = {};
  for (auto& group : cells_)
    std::ranges::fill(group, cell{});
}

void model_executor::submit(const planned_step& planned) {
  for (const auto slot : planned.closes) {
    auto& s = slots_.at(slot.value);
    if (!s.is_open)
      fail("a closed slot is closed");
    s.is_open = false;
  }
  for (const auto& o : planned.opens) {
    auto& s = slots_.at(o.slot.value);
    if (s.is_open)
      fail("an open slot is opened");
    s.is_open = true;
    s.opening = ++openings_;
    histories_[{o.slot.value, s.opening}] = o.history;
    if (o.prompt_tokens == 0 || o.prompt_tokens > o.history.size())
      fail("a slot is opened without a prompt");
  }
  queued q{planned.step, {}};
  std::set<std::uint32_t> seen;
  for (const auto& r : q.step.rows) {
    const auto& s = slots_.at(r.slot.value);
    if (!s.is_open)
      fail("a row names a slot that is not open");
    if (!seen.insert(r.slot.value).second)
      fail("two rows of a step name the same slot");
    q.openings.push_back(s.opening);
    check_row(q.step, r, {r.slot.value, s.opening});
  }
  queue_.push_back(std::move(q));
}

/// What can be said of a row when it is submitted.
void model_executor::check_row(const gpu::step& step, const gpu::row& r, owner own) {
  const auto count = r.from ? 1 : r.tokens_count;
  if (count == 0)
    return fail("a row computes nothing");
  if (r.from) {
    const auto in_flight = std::ranges::find(queue_, r.from->step, [](const queued& q) { return q.step.id; });
    if (in_flight == queue_.end() || r.from->row >= in_flight->step.rows.size()
        || in_flight->step.rows[r.from->row].want != gpu::row_want::sample
        || in_flight->step.rows[r.from->row].slot != r.slot || in_flight->openings[r.from->row] != own.second)
      return fail("a row's input is drawn by no row in flight of its sequence");
  }
  for (std::size_t group = 0; group < groups(); ++group)
    check_table(group, step, r, own);
}

void model_executor::check_table(std::size_t group, const gpu::step& step, const gpu::row& r, owner own) {
  const auto count = r.from ? 1 : r.tokens_count;
  const auto table = step.blocks_of(r, group);
  if (table.size() != (r.position + count + block_tokens_ - 1) / block_tokens_)
    return fail("a row's block table is not as long as its positions");
  const auto first = first_block(group, r.position);
  if (std::ranges::count(table.subspan(first), no_block) > 0)
    return fail("a row's block table lacks a block that it sees");
  for (auto p = r.position; p < r.position + count; p += block_tokens_ - p % block_tokens_)
    for (const auto& q : queue_)
      for (std::size_t i = 0; i < q.step.rows.size(); ++i) {
        const auto& other = q.step.rows[i];
        if (owner{other.slot.value, q.openings[i]} == own)
          continue;
        const auto blocks = q.step.blocks_of(other, group).subspan(first_block(group, other.position));
        if (std::ranges::find(blocks, table[p / block_tokens_]) != blocks.end())
          return fail("a row writes into a block that another sequence's step in flight uses");
      }
}

gpu::step_result model_executor::run() {
  const auto q = std::move(queue_.front());
  queue_.pop_front();
  gpu::step_result result;
  result.id = q.step.id;
  for (std::uint32_t i = 0; i < q.step.rows.size(); ++i) {
    const auto& r = q.step.rows[i];
    auto& history = histories_[{r.slot.value, q.openings[i]}];
    const auto token = compute(q.step, r, history);
    ++rows_computed;
    auto& out = result.rows.emplace_back();
    if (r.want != gpu::row_want::sample)
      continue;
    out.token = sampled_token{token, -0.5f, {}};
    history.push_back(token);
    drawn_[{q.step.id.value, i}] = token;
  }
  // No step refers further back than the steps that may be in flight.
  std::erase_if(drawn_, [&](const auto& x) { return x.first.first + 8 < q.step.id.value; });
  return result;
}

token_id model_executor::compute(const gpu::step& step, const gpu::row& r, std::vector<token_id>& history) {
  std::vector<token_id> input;
  if (r.from) {
    const auto drawn = drawn_.find({r.from->step.value, r.from->row});
    if (drawn == drawn_.end())
      return fail("a row's input was never drawn"), 0;
    input.push_back(drawn->second);
  } else {
    input.assign(step.tokens_of(r).begin(), step.tokens_of(r).end());
  }
  const auto end = r.position + static_cast<std::uint32_t>(input.size());
  if (end > history.size())
    return fail("a row computes beyond its history"), 0;
  if (r.want == gpu::row_want::sample && end != history.size())
    return fail("a row draws from a position that is not the last"), 0;
  std::vector<token_id> read;
  for (std::size_t group = 0; group < groups(); ++group) {
    const auto table = step.blocks_of(r, group);
    for (std::uint32_t i = 0; i < input.size(); ++i) {
      const auto p = r.position + i;
      write(group, table[p / block_tokens_], p % block_tokens_, input[i], p);
    }
    const auto unseen = group == 0 || r.position < window_tokens_ ? 0 : r.position + 1 - window_tokens_;
    for (std::uint32_t p = unseen; p < end; ++p) {
      const auto& c = at(group, table[p / block_tokens_], p % block_tokens_);
      if (!c.is_written || c.position != p || c.token != history[p])
        fail("slot " + std::to_string(r.slot.value) + " reads a wrong KV at position " + std::to_string(p)
             + " in block " + std::to_string(table[p / block_tokens_]) + " of group " + std::to_string(group));
      if (group == 0)
        read.push_back(c.token);
    }
  }
  return model_.next(read);
}

} // namespace troupe::test
