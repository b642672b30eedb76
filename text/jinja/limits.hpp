// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace troupe::text {

/// What one template may cost. A template is a program that came with a model file, and its input came
/// with a request: neither is trusted to end or to stay small. Whatever passes a limit ends in
/// template_errc::limit_exceeded, with the limit's name in the message.
struct template_limits {
  /// Bytes of the template's source.
  std::uint64_t source_bytes_max = 1 << 20;
  /// Steps of one render: about one per evaluated node, one per item that a filter visits, and one per 64
  /// bytes that a string operation reads.
  std::uint64_t steps_max = 10'000'000;
  /// Nesting of expressions, blocks, macro calls and data together. A level takes up to 1 KiB of stack.
  std::uint32_t depth_max = 1'000;
  /// Bytes of the rendered text, counting what macros and blocks have written and not yet returned.
  std::uint64_t output_bytes_max = 32 << 20;
  /// Bytes of all values that one render makes (none is freed before its end).
  std::uint64_t value_bytes_max = 256 << 20;
};

} // namespace troupe::text
