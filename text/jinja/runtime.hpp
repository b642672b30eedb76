// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "text/jinja/arena.hpp"
#include "text/jinja/error.hpp"
#include "text/jinja/limits.hpp"

namespace troupe::text::jinja {

/// What everything that runs on behalf of one render shares: its memory, its budgets and the line it is at.
class runtime {
public:
  explicit runtime(const template_limits& l) : limits(l), memory(l.value_bytes_max) {}

  /// Spends steps. Every loop over outside input calls this.
  void charge(std::uint64_t steps = 1) {
    steps_ += steps;
    if (steps_ > limits.steps_max)
      fail_limit("steps_max", limits.steps_max);
  }
  /// Spends steps for reading that many bytes.
  void charge_bytes(std::uint64_t bytes) { charge(bytes / 64); }

  [[noreturn]] void fail(template_errc code, std::string message) const {
    throw fault{{code, std::move(message), line}};
  }
  [[noreturn]] void fail(std::string message) const { fail(template_errc::invalid_operation, std::move(message)); }
  [[noreturn]] void fail_limit(std::string_view name, std::uint64_t bound) const {
    fail(template_errc::limit_exceeded, std::string{name} + " (" + std::to_string(bound) + ") is exceeded");
  }

  const template_limits& limits;
  arena memory;
  std::uint32_t line = 1;
  std::uint32_t depth = 0;

private:
  std::uint64_t steps_ = 0;
};

/// Counts nesting for as long as it lives.
class depth_guard {
public:
  explicit depth_guard(runtime& rt) : rt_(rt) {
    if (rt_.depth >= rt_.limits.depth_max)
      rt_.fail_limit("depth_max", rt_.limits.depth_max);
    ++rt_.depth;
  }
  ~depth_guard() { --rt_.depth; }
  depth_guard(const depth_guard&) = delete;
  depth_guard& operator=(const depth_guard&) = delete;

private:
  runtime& rt_;
};

} // namespace troupe::text::jinja
