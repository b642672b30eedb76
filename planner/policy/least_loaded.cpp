// SPDX-License-Identifier: Apache-2.0
#include "planner/policy/least_loaded.hpp"

#include <algorithm>
#include <tuple>

#include "messages/worker_record.hpp"

namespace troupe::planner {

namespace {

/// Lower is better. A worker that just failed the request comes after all others, then one that would go on with other
/// bits.
auto cost(const demand& what, const candidate& c) {
  bool avoided = what.avoid == c.id;
  bool unlike = what.like && *what.like != c.fingerprint;
  return std::tuple{avoided, unlike, c.active_requests, c.active_tokens, c.last_placed, c.id};
}

/// As its scheduler sees it: the output is cut to the context, and the last token needs no KV.
bool can_hold(const demand& what, const candidate& c) {
  const auto asked = std::uint64_t{what.prompt_tokens} + what.output_tokens_expected;
  const auto length_max = std::min<std::uint64_t>(asked, c.context_tokens);
  return what.prompt_tokens < c.context_tokens && length_max <= std::uint64_t{c.blocks} * c.block_tokens + 1;
}

template <class Predicate>
const candidate* best(const demand& what, std::span<const candidate> candidates, Predicate eligible) {
  const candidate* result = nullptr;
  for (auto& c : candidates)
    if (eligible(c) && (!result || cost(what, c) < cost(what, *result)))
      result = &c;
  return result;
}

} // namespace

verdict least_loaded::place(const demand& what, std::span<const candidate> candidates) const {
  const auto decodes = [](auto& c) { return (c.roles & role_decode) != 0; };
  auto decode = best(what, candidates, [&](auto& c) { return decodes(c) && can_hold(what, c); });
  if (!decode && std::ranges::any_of(candidates, decodes))
    return refusal{errc::context_too_long, "no worker of this model can hold so many tokens"};
  if (!decode)
    return refusal{errc::unavailable, "no decode worker is registered for this model"};
  placement result{decode->id, std::nullopt};
  if (what.prompt_tokens > disaggregate_over_) {
    auto prefill = best(what, candidates, [decode](auto& c) {
      return (c.roles & role_prefill) != 0 && c.fingerprint == decode->fingerprint && c.numerics == decode->numerics
             && c.block_tokens == decode->block_tokens;
    });
    if (prefill)
      result.prefill = prefill->id;
  }
  return result;
}

} // namespace troupe::planner
