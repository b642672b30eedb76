// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace troupe::test {

/// Bytes that this thread has asked operator new for so far. Whoever links allocation_meter.cpp has it counted.
std::size_t allocated_bytes();

} // namespace troupe::test
