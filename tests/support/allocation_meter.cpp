// SPDX-License-Identifier: Apache-2.0
#include "tests/support/allocation_meter.hpp"

#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t allocated = 0;

} // namespace

// The default array and nothrow forms call these. Aligned ones are not counted.
void* operator new(std::size_t bytes) {
  allocated += bytes;
  if (auto* result = std::malloc(bytes == 0 ? 1 : bytes))
    return result;
  throw std::bad_alloc{};
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace troupe::test {

std::size_t allocated_bytes() { return allocated; }

} // namespace troupe::test
