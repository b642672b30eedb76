// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "transport/region_token.hpp"
#include "transport/transport.hpp"

// What goes over a connection of TCP back ends, little-endian. Pure. A connection belongs to one writer, who made it,
// and one owner of regions:
//
//   writer → owner: hello, then { write, runs, note, payload, trailer | fenced }…
//   owner → writer: hello, then { written | fence }…
//
// Decoders take what a stranger sent: they refuse every value that no encoder writes.
namespace troupe::transport {

constexpr std::uint32_t tcp_protocol_version = 1;
/// A hello, and the fixed part of every frame.
constexpr std::size_t frame_bytes = 48;
/// A run of a write.
constexpr std::size_t run_bytes = 28;
/// What follows the payload of a write.
constexpr std::size_t trailer_bytes = 8;
/// No payload is longer, so that sums of lengths do not overflow.
constexpr std::uint64_t payload_bytes_max = std::uint64_t{1} << 60;

using frame_buffer = std::array<std::byte, frame_bytes>;
using trailer_buffer = std::array<std::byte, trailer_bytes>;

/// What the writer has to do with what it posted before it got the owner's hello.
enum class backlog : std::uint8_t {
  /// Send it.
  keep = 0,
  /// End it: a fence has promised that it does not land.
  discard = 1,
};

/// The first frame in either direction.
struct hello {
  std::uint32_t version = tcp_protocol_version;
  peer_id from;
  peer_id to;
  /// Of the owner: its number for this connection. Of the writer: the last connection to this owner that the owner has
  /// ended, 0 if none.
  std::uint64_t connection = 0;
  /// Of the owner.
  backlog posted_before = backlog::keep;

  friend bool operator==(const hello&, const hello&) = default;
};

enum class frame_kind : std::uint8_t {
  /// number: of the write, drawn by the writer; region, token, runs, note_bytes, bytes: of the payload.
  write = 1,
  /// number: of the write; result; bytes: that landed.
  written = 2,
  /// number: of the fence, drawn by the owner.
  fence = 3,
  /// number: of the fence. Everything that was posted before it has been sent before it.
  fenced = 4,
};

/// The fixed part of everything after the hello. Fields that a kind does not name are zero.
struct frame {
  frame_kind kind = frame_kind::write;
  errc result = errc::none;
  std::uint8_t note_bytes = 0;
  std::uint32_t runs = 0;
  std::uint64_t number = 0;
  std::uint64_t bytes = 0;
  region_id region;
  region_token token{};

  friend bool operator==(const frame&, const frame&) = default;
};

frame_buffer encode(const hello&);
/// errc::invalid_argument for a wrong magic, another version, or a field that is not zero and should be.
expected<hello, error> decode_hello(std::span<const std::byte, frame_bytes>);

frame_buffer encode(const frame&);
/// errc::invalid_argument for an unknown kind or result, a write without runs or bytes or with too long a note or
/// payload, or a field that is not zero and should be.
expected<frame, error> decode_frame(std::span<const std::byte, frame_bytes>);

void append_runs(std::vector<std::byte>&, std::span<const run>);
/// As many as the bytes hold. They still need check_runs. REQUIRES: bytes.size() is a multiple of run_bytes
std::vector<run> decode_runs(std::span<const std::byte> bytes);

/// How the payload in front of it is to be taken: with another result than none it is padding.
trailer_buffer encode_trailer(errc result);
expected<errc, error> decode_trailer(std::span<const std::byte, trailer_bytes>);

} // namespace troupe::transport
