// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "messages/ids.hpp"
#include "messages/wire_version.hpp"

namespace troupe {

/// Stages that a worker offers; a bit set. An aggregated worker is a decode worker without a prefill peer.
enum role_bits : std::uint32_t { role_prefill = 1, role_decode = 2 };

/// What the directory knows of a worker.
struct worker_record {
  worker_id id;
  epoch worker_epoch;
  std::string model;
  vocabulary_id vocabulary;
  model_fingerprint fingerprint;
  numerics_id numerics;
  std::uint32_t roles = 0;
  std::uint32_t block_tokens = 0;
  /// Of each cache group.
  std::vector<std::uint64_t> block_bytes;
  /// Capacity in KV blocks of the full cache group.
  std::uint32_t blocks = 0;
  std::uint32_t context_tokens = 0;
  /// The endpoint of its node, to whom landings are opened; 0 while that is down.
  transport_peer endpoint;
  /// E.g. "host/avx2"; "mock" for the mock executor.
  std::string executor;
  std::uint16_t wire = wire_version;

  friend bool operator==(const worker_record&, const worker_record&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, worker_record& x) {
  return f.object(x).fields(f.field("id", x.id), f.field("worker_epoch", x.worker_epoch), f.field("model", x.model),
                            f.field("vocabulary", x.vocabulary), f.field("fingerprint", x.fingerprint),
                            f.field("numerics", x.numerics), f.field("roles", x.roles),
                            f.field("block_tokens", x.block_tokens), f.field("block_bytes", x.block_bytes),
                            f.field("blocks", x.blocks), f.field("context_tokens", x.context_tokens),
                            f.field("endpoint", x.endpoint), f.field("executor", x.executor), f.field("wire", x.wire));
}

} // namespace troupe
