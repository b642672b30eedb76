// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace troupe {

/// An entry of a model's vocabulary. Plain, because kernels and hashes read arrays of it.
using token_id = std::uint32_t;

/// A KV block of one worker's pool. Plain, because kernels read tables of it.
using block_id = std::uint32_t;

/// In a block table: no block is there, and nobody reads one.
inline constexpr block_id no_block = UINT32_MAX;

/// An id that cannot be mistaken for another kind of id. On the wire it is its value.
template <class Tag, class Rep = std::uint64_t>
struct strong_id {
  Rep value = 0;
  friend auto operator<=>(const strong_id&, const strong_id&) = default;
};

template <class Inspector, class Tag, class Rep>
bool inspect(Inspector& f, strong_id<Tag, Rep>& x) {
  return f.apply(x.value);
}

/// One choice of one client request, unique within the node that admitted it.
using request_id = strong_id<struct request_id_tag>;
/// A worker actor, unique in the cluster; it survives a restart of the actor, its epoch does not.
using worker_id = strong_id<struct worker_id_tag>;
/// One life of a worker. Messages of an earlier epoch are dropped and counted.
using epoch = strong_id<struct epoch_tag>;
/// A sequence's place in an executor, chosen by the worker.
using slot_id = strong_id<struct slot_id_tag, std::uint32_t>;
/// A step of one executor, numbered from 1 in order of submission.
using step_id = strong_id<struct step_id_tag>;
/// A transport endpoint's life, as transport::peer_id.
using transport_peer = strong_id<struct transport_peer_tag>;
/// Hash of everything that must be equal for KV bytes of one worker to be valid in another: weights,
/// layout, dtype and arithmetic.
using model_fingerprint = strong_id<struct model_fingerprint_tag>;
/// Hash of a model's vocabulary. Equal ids: tokens of one are the same text in the other. 0: not known.
using vocabulary_id = strong_id<struct vocabulary_id_tag>;
/// Arithmetic path of an executor. Equal ids: equal tokens give equal bits.
using numerics_id = strong_id<struct numerics_id_tag>;

} // namespace troupe

template <class Tag, class Rep>
struct std::hash<troupe::strong_id<Tag, Rep>> {
  std::size_t operator()(const troupe::strong_id<Tag, Rep>& x) const noexcept { return std::hash<Rep>{}(x.value); }
};
