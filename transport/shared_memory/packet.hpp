// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "transport/shared_memory/socket.hpp"
#include "transport/transport.hpp"

namespace troupe::transport {

/// What passes between a writer (W) and the owner (O) of the regions that it writes.
enum class packet_kind : std::uint8_t {
  /// W → O, first: `first` is the writer, `second` the owner.
  hello = 1,
  /// O → W, the answer: writes posted up to `first` (ns of the machine's steady clock) must not begin any more.
  welcome,
  /// W → O: asks for `region`; the token is in `note`. One at a time.
  request,
  /// O → W: `region` begins at `first` of the file that comes along and has `second` bytes.
  granted,
  /// O → W: `region` cannot be had: `result`.
  refused,
  /// W → O: a write with `note` has landed in `region`.
  arrived,
  /// O → W: answer with `fenced` once all that is posted so far is over. One at a time.
  fence,
  /// W → O: the answer, `first` as it came.
  fenced,
  /// O → W: `region` is withdrawn: `result`.
  revoke,
};

/// One packet, always whole. Both ends are one machine and one build, so this is its layout there, too.
struct packet {
  std::uint32_t magic = 0x6d687374; // "tshm"
  std::uint16_t version = 1;
  packet_kind kind = packet_kind::hello;
  std::uint8_t note_bytes = 0;
  std::uint32_t region = 0;
  errc result = errc::none;
  std::array<std::uint8_t, 3> unused{};
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  std::array<std::byte, note_bytes_max> note{};
};
static_assert(sizeof(packet) == 96);

enum class sent : std::uint8_t {
  done,
  /// The other end must read first.
  full,
  /// It is closed.
  gone,
};

/// Sends without waiting; `file` goes along unless it is -1.
sent send_packet(const descriptor& to, const packet&, int file = -1);

struct received {
  enum class outcome : std::uint8_t {
    packet,
    nothing,
    /// Of wrong length or version, with a value that is none, or with a file where none belongs.
    malformed,
    /// The other end is closed, and all it sent was read.
    ended,
  };
  outcome how = outcome::nothing;
  packet what;
  descriptor file; // with packet_kind::granted, only and always
};

/// Takes the next packet without waiting.
received receive_packet(const descriptor& from);

} // namespace troupe::transport
