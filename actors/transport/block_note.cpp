// SPDX-License-Identifier: Apache-2.0
#include "actors/transport/block_note.hpp"

namespace troupe {

namespace {

template <class T>
std::byte* put(std::byte* out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    *out++ = static_cast<std::byte>(value >> (8 * i));
  return out;
}

template <class T>
const std::byte* get(const std::byte* in, T& value) {
  value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value |= static_cast<T>(std::to_integer<T>(*in++) << (8 * i));
  return in;
}

} // namespace

std::array<std::byte, block_note_bytes> encode_block_note(const kv_block_arrived& note) {
  std::array<std::byte, block_note_bytes> result;
  auto out = put(result.data(), note.request.value);
  out = put(out, note.owner_epoch.value);
  out = put(out, note.landing);
  out = put(out, note.group);
  put(out, note.block_index);
  return result;
}

std::optional<kv_block_arrived> decode_block_note(std::span<const std::byte> bytes) {
  if (bytes.size() != block_note_bytes)
    return std::nullopt;
  kv_block_arrived result;
  auto in = get(bytes.data(), result.request.value);
  in = get(in, result.owner_epoch.value);
  in = get(in, result.landing);
  in = get(in, result.group);
  get(in, result.block_index);
  return result;
}

} // namespace troupe
