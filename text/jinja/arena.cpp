// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/arena.hpp"

#include <algorithm>

namespace troupe::text::jinja {

void* arena::allocate(std::size_t bytes) {
  constexpr std::size_t chunk_bytes = 64 << 10;
  if (bytes > bytes_max_ || used_ > bytes_max_ - bytes)
    throw std::bad_alloc{};
  bytes = (bytes + alignment - 1) / alignment * alignment;
  used_ += bytes;
  if (bytes > left_) {
    const std::size_t size = std::max(bytes, chunk_bytes);
    std::unique_ptr<std::byte[]> chunk{new std::byte[size]};
    std::byte* start = chunk.get();
    chunks_.push_back(std::move(chunk));
    if (size > chunk_bytes)
      return start; // a large object has its own chunk; go on filling the current one
    next_ = start;
    left_ = size;
  }
  void* result = next_;
  next_ += bytes;
  left_ -= bytes;
  return result;
}

} // namespace troupe::text::jinja
