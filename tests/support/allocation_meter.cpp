// SPDX-License-Identifier: Apache-2.0
#include "tests/support/allocation_meter.hpp"

#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t allocated = 0;

void* allocate(std::size_t bytes) noexcept {
  allocated += bytes;
  return std::malloc(bytes == 0 ? 1 : bytes);
}

void* allocate_or_throw(std::size_t bytes) {
  if (auto* result = allocate(bytes))
    return result;
  throw std::bad_alloc{};
}

} // namespace

// All forms but the aligned ones: AddressSanitizer has each of them, and minds if another one frees.
void* operator new(std::size_t bytes) { return allocate_or_throw(bytes); }
void* operator new[](std::size_t bytes) { return allocate_or_throw(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace troupe::test {

std::size_t allocated_bytes() { return allocated; }

} // namespace troupe::test
