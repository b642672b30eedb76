// SPDX-License-Identifier: Apache-2.0
#include "actors/worker/worker_metrics.hpp"

#include <caf/actor_system.hpp>
#include <caf/telemetry/metric_registry.hpp>

namespace troupe {

worker_metrics::worker_metrics(caf::actor_system& system, worker_id id, const std::string& role)
  : registry_(&system.metrics()), worker_(std::to_string(id.value)), role_(role) {
  auto& registry = *registry_;
  auto& worker = worker_;
  auto gauge = [&](std::string_view name, std::string_view help) {
    return registry.gauge_family("troupe.worker", std::string{name}, {"worker", "role"}, std::string{help})
      ->get_or_add({{"worker", worker}, {"role", role}});
  };
  auto counter = [&](std::string_view name, std::string_view help) {
    return registry
      .counter_family("troupe.worker", std::string{name}, {"worker", "role"}, std::string{help}, "1", true)
      ->get_or_add({{"worker", worker}, {"role", role}});
  };
  running_ = gauge("sequences-running", "Sequences that hold KV blocks.");
  queued_ = gauge("sequences-queued", "Sequences that wait.");
  steps_ = counter("steps", "Steps computed.");
  decode_steps_ = counter("decode-steps", "Steps with at least one decode row.");
  prompt_tokens_computed_ = counter("prompt-tokens-computed", "Prompt tokens whose KV was computed here.");
  prompt_tokens_cached_ = counter("prompt-tokens-cached", "Prompt tokens whose KV was found here.");
  output_tokens_ = counter("output-tokens", "Tokens generated.");
  preemptions_ = counter("preemptions", "Sequences preempted for want of KV blocks.");
  refused_ = counter("refused", "Requests refused at the admission limit.");
  blocks_received = counter("kv-blocks-received", "KV blocks that arrived from prefill workers.");
  landings_completed = counter("kv-landings-completed", "Landings whose blocks were all verified.");
  landings_broken = counter("kv-landings-broken", "Landings given up: peer, transport or checksum.");
  checksum_misses = counter("kv-checksum-misses", "Landed KV blocks that did not verify.");
  stale_messages = counter("stale-messages", "Messages of an earlier epoch or for unknown requests.");
}

worker_metrics::block_gauges worker_metrics::register_blocks(std::size_t group) const {
  auto gauge = [&](std::string_view name, std::string_view help) {
    return registry_->gauge_family("troupe.worker", std::string{name}, {"worker", "role", "group"}, std::string{help})
      ->get_or_add({{"worker", worker_}, {"role", role_}, {"group", group == 0 ? "full" : "sliding"}});
  };
  return {gauge("kv-blocks", "KV blocks of the cache group."),
          gauge("kv-blocks-free", "KV blocks that no sequence references; cached ones count as free."),
          gauge("kv-blocks-quarantined", "KV blocks that a broken landing may still write.")};
}

void worker_metrics::update(const scheduler_load& load, const scheduler_counters& now) {
  for (std::size_t g = 0; g < blocks_.size(); ++g) {
    const auto& group = load.groups[g];
    if (group.blocks == 0)
      continue;
    if (!blocks_[g])
      blocks_[g] = register_blocks(g);
    blocks_[g]->all->value(group.blocks);
    blocks_[g]->free->value(group.free_blocks);
    blocks_[g]->quarantined->value(group.quarantined_blocks);
  }
  running_->value(load.running + load.landing);
  queued_->value(load.queued);
  auto add = [](caf::telemetry::int_counter* c, std::uint64_t before, std::uint64_t after) {
    if (after > before)
      c->inc(static_cast<std::int64_t>(after - before));
  };
  add(steps_, reported_.steps, now.steps);
  add(decode_steps_, reported_.decode_steps, now.decode_steps);
  add(prompt_tokens_computed_, reported_.prompt_tokens_computed, now.prompt_tokens_computed);
  add(prompt_tokens_cached_, reported_.prompt_tokens_cached, now.prompt_tokens_cached);
  add(output_tokens_, reported_.output_tokens, now.output_tokens);
  add(preemptions_, reported_.preemptions, now.preemptions);
  add(refused_, reported_.refused, now.refused);
  reported_ = now;
}

} // namespace troupe
