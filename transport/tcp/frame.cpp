// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp/frame.hpp"

#include <algorithm>
#include <cassert>
#include <concepts>

namespace troupe::transport {

namespace {

constexpr std::uint64_t magic = 0x31'50'43'54'50'52'54'54; // "TTRPTCP1"
constexpr auto last_errc = errc::resource;

template <std::unsigned_integral T>
void put(std::span<std::byte> to, std::size_t at, T value) {
  for (std::size_t i = 0; i < sizeof value; ++i)
    to[at + i] = static_cast<std::byte>(value >> (8 * i));
}

template <std::unsigned_integral T>
T get(std::span<const std::byte> from, std::size_t at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i)
    value = static_cast<T>(value | static_cast<T>(std::to_integer<T>(from[at + i]) << (8 * i)));
  return value;
}

bool is_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

bool is_errc(std::uint8_t value) { return value <= static_cast<std::uint8_t>(last_errc); }

bool is_write(const frame& f) {
  return f.result == errc::none && f.runs != 0 && f.bytes != 0 && f.bytes <= payload_bytes_max
         && f.note_bytes <= note_bytes_max;
}

bool is_written(const frame& f) {
  return f == frame{.kind = frame_kind::written, .result = f.result, .number = f.number, .bytes = f.bytes};
}

// Whether only the fields of its kind are set, to values that an encoder writes.
bool is_sound(const frame& f) {
  switch (f.kind) {
    case frame_kind::write: return is_write(f);
    case frame_kind::written: return is_written(f);
    case frame_kind::fence:
    case frame_kind::fenced: return f == frame{.kind = f.kind, .number = f.number};
  }
  return false;
}

} // namespace

frame_buffer encode(const hello& h) {
  frame_buffer out{};
  put(out, 0, magic);
  put(out, 8, h.version);
  put(out, 12, static_cast<std::uint8_t>(h.posted_before));
  put(out, 16, h.from.value);
  put(out, 24, h.to.value);
  put(out, 32, h.connection);
  return out;
}

expected<hello, error> decode_hello(std::span<const std::byte, frame_bytes> in) {
  if (get<std::uint64_t>(in, 0) != magic)
    return fail(errc::invalid_argument, "not a hello of a troupe TCP transport");
  hello h;
  h.version = get<std::uint32_t>(in, 8);
  if (h.version != tcp_protocol_version)
    return fail(errc::invalid_argument, "transport protocol version " + std::to_string(h.version) + ", must be "
                                          + std::to_string(tcp_protocol_version));
  auto posted_before = get<std::uint8_t>(in, 12);
  if (posted_before > 1 || !is_zero(in.subspan(13, 3)) || !is_zero(in.subspan(40)))
    return fail(errc::invalid_argument, "a malformed hello");
  h.posted_before = static_cast<backlog>(posted_before);
  h.from.value = get<std::uint64_t>(in, 16);
  h.to.value = get<std::uint64_t>(in, 24);
  h.connection = get<std::uint64_t>(in, 32);
  return h;
}

frame_buffer encode(const frame& f) {
  frame_buffer out{};
  put(out, 0, static_cast<std::uint8_t>(f.kind));
  put(out, 1, static_cast<std::uint8_t>(f.result));
  put(out, 2, f.note_bytes);
  put(out, 4, f.runs);
  put(out, 8, f.number);
  put(out, 16, f.bytes);
  put(out, 24, f.region.value);
  std::copy(f.token.begin(), f.token.end(), out.begin() + 28);
  return out;
}

expected<frame, error> decode_frame(std::span<const std::byte, frame_bytes> in) {
  auto kind = get<std::uint8_t>(in, 0);
  auto result = get<std::uint8_t>(in, 1);
  if (kind < 1 || kind > 4 || !is_errc(result) || !is_zero(in.subspan(3, 1)) || !is_zero(in.subspan(44)))
    return fail(errc::invalid_argument, "a malformed frame of kind " + std::to_string(kind));
  frame f;
  f.kind = static_cast<frame_kind>(kind);
  f.result = static_cast<errc>(result);
  f.note_bytes = get<std::uint8_t>(in, 2);
  f.runs = get<std::uint32_t>(in, 4);
  f.number = get<std::uint64_t>(in, 8);
  f.bytes = get<std::uint64_t>(in, 16);
  f.region.value = get<std::uint32_t>(in, 24);
  std::copy_n(in.begin() + 28, f.token.size(), f.token.begin());
  if (!is_sound(f))
    return fail(errc::invalid_argument, "a frame of kind " + std::to_string(kind) + " with fields that it cannot have");
  return f;
}

void append_runs(std::vector<std::byte>& out, std::span<const run> runs) {
  auto at = out.size();
  out.resize(at + runs.size() * run_bytes);
  for (auto& r : runs) {
    put(out, at, r.offset);
    put(out, at + 8, r.bytes);
    put(out, at + 16, r.stride);
    put(out, at + 24, r.count);
    at += run_bytes;
  }
}

std::vector<run> decode_runs(std::span<const std::byte> in) {
  assert(in.size() % run_bytes == 0);
  std::vector<run> runs(in.size() / run_bytes);
  std::size_t at = 0;
  for (auto& r : runs) {
    r = {get<std::uint64_t>(in, at), get<std::uint64_t>(in, at + 8), get<std::uint64_t>(in, at + 16),
         get<std::uint32_t>(in, at + 24)};
    at += run_bytes;
  }
  return runs;
}

trailer_buffer encode_trailer(errc result) {
  trailer_buffer out{};
  put(out, 0, static_cast<std::uint8_t>(result));
  return out;
}

expected<errc, error> decode_trailer(std::span<const std::byte, trailer_bytes> in) {
  auto result = get<std::uint8_t>(in, 0);
  if (!is_errc(result) || !is_zero(in.subspan(1)))
    return fail(errc::invalid_argument, "a malformed trailer of a write");
  return static_cast<errc>(result);
}

} // namespace troupe::transport
