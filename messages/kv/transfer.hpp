// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "messages/ids.hpp"
#include "messages/kv/landing.hpp"
#include "messages/region.hpp"

// What workers say to their node's transport endpoint. Only ids and offsets: the bytes never pass here.
namespace troupe {

/// Registers memory for transfers. Local only: it carries a pointer.
struct register_region {
  region_view view;
};

/// Memory is registered: under which number, and at which endpoint.
struct region_registered {
  region_id region;
  transport_peer endpoint;

  friend bool operator==(const region_registered&, const region_registered&) = default;
};
template <class Inspector>
bool inspect(Inspector& f, region_registered& x) {
  return f.object(x).fields(f.field("region", x.region), f.field("endpoint", x.endpoint));
}

/// Asks for a description of a registered region, to be sent to the endpoint that shall write into it.
struct describe_region {
  region_id region;
  transport_peer writer;

  friend bool operator==(const describe_region&, const describe_region&) = default;
};
template <class Inspector>
bool inspect(Inspector& f, describe_region& x) {
  return f.object(x).fields(f.field("region", x.region), f.field("writer", x.writer));
}

/// One block to push.
struct block_copy {
  std::uint64_t source_offset = 0;
  std::uint64_t target_offset = 0;
  /// Beside it, seen by the owner of the target region.
  kv_block_arrived note;

  friend bool operator==(const block_copy&, const block_copy&) = default;
};
template <class Inspector>
bool inspect(Inspector& f, block_copy& x) {
  return f.object(x).fields(f.field("source_offset", x.source_offset), f.field("target_offset", x.target_offset),
                            f.field("note", x.note));
}

/// Writes blocks from a region of this node into a described region. The response comes when all are
/// there (or an error when any is not).
struct push_blocks {
  region_id source;
  transport_peer owner;
  std::string target;
  std::uint64_t block_bytes = 0;
  std::vector<block_copy> blocks;
  std::chrono::nanoseconds time_left{};

  friend bool operator==(const push_blocks&, const push_blocks&) = default;
};
template <class Inspector>
bool inspect(Inspector& f, push_blocks& x) {
  return f.object(x).fields(f.field("source", x.source), f.field("owner", x.owner), f.field("target", x.target),
                            f.field("block_bytes", x.block_bytes), f.field("blocks", x.blocks),
                            f.field("time_left", x.time_left));
}

/// The blocks of push_blocks are at their target.
struct blocks_pushed {
  std::uint32_t blocks = 0;

  friend bool operator==(const blocks_pushed&, const blocks_pushed&) = default;
};
template <class Inspector>
bool inspect(Inspector& f, blocks_pushed& x) {
  return f.object(x).fields(f.field("blocks", x.blocks));
}

/// Asks that nothing of this endpoint lands here any more: what it posts from now on is refused, and the response says
/// that what it posted earlier is over.
struct fence_writer {
  transport_peer writer;

  friend bool operator==(const fence_writer&, const fence_writer&) = default;
};
template <class Inspector>
bool inspect(Inspector& f, fence_writer& x) {
  return f.object(x).fields(f.field("writer", x.writer));
}

/// Blocks that arrived in a region, for its owner.
struct kv_blocks_arrived {
  std::vector<kv_block_arrived> blocks;

  friend bool operator==(const kv_blocks_arrived&, const kv_blocks_arrived&) = default;
};
template <class Inspector>
bool inspect(Inspector& f, kv_blocks_arrived& x) {
  return f.object(x).fields(f.field("blocks", x.blocks));
}

} // namespace troupe
