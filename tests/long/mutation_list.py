# SPDX-License-Identifier: Apache-2.0
"""The mutations of mutations.py. Each says what a careless change could do to one line; `old` occurs once in its file."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Mutation:
    name: str
    file: str
    old: str
    new: str
    #: ctest tests, one of which must fail.
    tests: list[str]


LANDING, WORKER = "actors/worker/decode_worker_landing.cpp", "actors/worker/decode_worker.cpp"
ADMISSION, PLANNING = "actors/worker/scheduler_admission.cpp", "actors/worker/scheduler_planning.cpp"
ENDING, POOL = "actors/worker/scheduler_ending.cpp", "actors/worker/block_pool.cpp"
HUB, TABLE = "actors/frontend/stream_hub.cpp", "actors/frontend/stream/stream_table.cpp"
STOP = "text/stop_matcher.cpp"

MUTATIONS = [
    Mutation("landing is read when its record comes, arrived or not", LANDING,
             "  if (i->second.arrived_count == i->second.arrived.size())",
             "  if (i->second.arrived_count <= i->second.arrived.size())", ["scenario_test"]),
    Mutation("landed blocks are not verified", LANDING,
             "if (kv_checksum(content) != l.record->checksums[i])",
             "if (kv_checksum(content) != l.record->checksums[i] && content.empty())", ["scenario_test"]),
    Mutation("blocks of a failed landing are given back without a fence", WORKER,
             "    fence(failed.id, std::move(peer));", "    core_.sequences().release_landing(failed.id);", ["scenario_test"]),
    Mutation("blocks of a cancelled landing are given back without a fence", WORKER,
             "    fence(request, std::move(peer));", "    core_.sequences().release_landing(request);", ["scenario_test"]),
    Mutation("an ended landing's blocks skip quarantine", ENDING,
             "  if (s.state == sequence_state::landing)\n", "  if (s.state == sequence_state::ended)\n",
             ["scheduler_test", "scenario_test"]),
    Mutation("a request for an earlier life of the worker is taken", WORKER,
             "if (what.worker_epoch != core_.config().worker_epoch)",
             "if (what.worker_epoch.value > core_.config().worker_epoch.value + 1000000)", ["scenario_test"]),
    Mutation("an arrival of an earlier life of the worker counts", LANDING,
             "block.owner_epoch != core_.config().worker_epoch", "block.request != i->first", ["scenario_test"]),
    Mutation("position + 1 after preemption", ADMISSION,
             "s.done = s.computed = found_blocks * config.block_tokens;",
             "s.done = s.computed = found_blocks * config.block_tokens + (s.started ? 1 : 0);",
             ["scheduler_test", "scenario_test"]),
    Mutation("a preempted sequence's blocks are given away while steps use them", PLANNING,
             "  if (s.steps_out > 0)\n", "  if (s.steps_out > 1000)\n", ["scheduler_test"]),
    Mutation("the prefix cache covers the last token too", ADMISSION,
             "const auto whole = (s.length() - 1) / config.block_tokens;",
             "const auto whole = s.length() / config.block_tokens;", ["scheduler_test"]),
    Mutation("a cached block is shared by its hash alone", POOL,
             "return blocks_[b].parent == parent && std::ranges::equal(stored(b), tokens);",
             "return blocks_[b].parent == parent && stored(b).size() == tokens.size();", ["block_pool_test", "scheduler_test"]),
    Mutation("blocks of a cancelled sequence are lost if a step used them", ENDING,
             "  drop_table(s);\n  std::erase_if", "  std::erase_if", ["scheduler_test", "scenario_test"]),
    Mutation("deadlines are ignored", ENDING, "if (s.request.deadline <= now)",
             "if (s.request.deadline <= now && s.started && !s.started)", ["scheduler_test", "scenario_test"]),
    Mutation("a higher priority number comes first", "actors/worker/sequence.hpp",
             "std::tie(a->request.priority, a->arrival) < std::tie(b->request.priority, b->arrival)",
             "std::tie(b->request.priority, a->arrival) < std::tie(a->request.priority, b->arrival)",
             ["scheduler_test", "scenario_test"]),
    Mutation("one request too many may wait", ADMISSION, "if (queued_count >= config.queued_max)",
             "if (queued_count > config.queued_max)", ["scheduler_test", "scenario_test"]),
    Mutation("a token is sent twice", WORKER, "  entry.tokens.push_back(token.sampled);",
             "  entry.tokens.insert(entry.tokens.end(), 2, token.sampled);", ["scenario_test"]),
    Mutation("tokens that a stream has already are not dropped", HUB,
             "std::min(emitted.size() - in.first_index, in.tokens.size());",
             "std::min(emitted.size() - in.first_index, in.tokens.size()) * 0;", ["frontend_hub_test"]),
    Mutation("tokens after a gap are passed on", HUB, "if (in.first_index > emitted.size()) {",
             "if (in.first_index > emitted.size() + 1000) {", ["frontend_hub_test"]),
    Mutation("tokens of a worker that was given up are taken", HUB, "if (in.attempt != found->second.attempt) {",
             "if (in.attempt > found->second.attempt) {", ["frontend_hub_test"]),
    Mutation("a landing counts as abandoned while it is written", "actors/worker/prefill_worker.cpp",
             "  auto i = writing_.find(what.request);\n  if (i == writing_.end())\n    return caf::unit;",
             "  auto i = writing_.find(what.request);\n  if (i != writing_.end() || i == writing_.end())\n    return caf::unit;",
             ["scenario_test"]),
    Mutation("a node that is left keeps its workers in the directory", "actors/node/directory.cpp",
             "m.node == gone.node; }))", "m.node == gone.node + \"x\"; }))", ["cluster_test", "directory_test"]),
    Mutation("an ended session is kept by the hub", "actors/frontend/request_session.cpp",
             "  self_->demonitor(hub_);\n", "", ["failing_node_test"]),
    Mutation("a session keeps its placement", "actors/frontend/request_session.cpp",
             "    self_->send(router, release_placement{request_.id});", "    (void) router;", ["scenario_test"]),
    Mutation("the router keeps the load of a released request", "actors/router/router.cpp",
             "  unbook(i->second);\n  ledger_.erase(i);", "  ledger_.erase(i);", ["scenario_test"]),
    Mutation("the worker is not told that a client left", TABLE,
             "    callbacks_.on_unwanted(std::move(unwanted));", "    unwanted.clear();",
             ["frontend_stream_test", "frontend_gateway_test"]),
    Mutation("503 without Retry-After", "actors/frontend/openai/http_answers.hpp", "if (shape.retry_after_seconds > 0)",
             "if (shape.retry_after_seconds > 1)", ["frontend_openai_test", "frontend_gateway_test"]),
    Mutation("a stop string's border is forgotten", STOP, "    matched = borders[matched - 1];", "    matched = 0;",
             ["tokenizer_test"]),
    Mutation("the beginning of a stop string is not held back", STOP,
             "held_bytes = std::max(held_bytes, pattern.matched);", "held_bytes = std::min(held_bytes, pattern.matched);",
             ["tokenizer_test", "frontend_stream_test"]),
    Mutation("an unfinished character is not held back", "text/unicode.cpp",
             "    if (c.state == utf8_state::incomplete)\n", "    if (c.state == utf8_state::incomplete && c.bytes == 0)\n",
             ["tokenizer_test", "frontend_stream_test"]),
    Mutation("the seed is ignored", "gpu/sampling/generator.hpp", "mix64(mix64(seed) ^", "mix64(mix64(seed & 0) ^",
             ["sampler_test"]),
    Mutation("a chain of blocks is hashed without the seed", "messages/kv/block_hash.cpp",
             "XXH3_64bits_withSeed(pair.data(), sizeof pair, block_hash_seed)",
             "XXH3_64bits_withSeed(pair.data(), sizeof pair, 0)", ["kv_hash_test"]),
    Mutation("a fence overtakes writes that wait for credit", "actors/transport/transport_endpoint.cpp",
             "waiting_fences_.front().after <= posted_", "waiting_fences_.front().after <= posted_ + 1000000", ["scenario_test", "transport_test"]),
    Mutation("a step has room for 64 sequences, whatever may run", "actors/node/node_children.cpp",
             "result.running_max = result.rows_max = section.running_max;", "result.running_max = section.running_max;",
             ["scenario_test"]),
    Mutation("the clock keeps a session until its deadline", "actors/frontend/request_session.cpp",
             "{ deadline_timer_.dispose(); }", "{}", ["live_node_test"]),
]
