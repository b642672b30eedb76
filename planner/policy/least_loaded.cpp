// SPDX-License-Identifier: Apache-2.0
#include "planner/policy/least_loaded.hpp"

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
  auto decode = best(what, candidates, [](auto& c) { return (c.roles & role_decode) != 0; });
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
