// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace troupe {

/// Why a generation ended without an error.
enum class finish_reason : std::uint8_t {
  /// It goes on.
  none = 0,
  /// An end-of-generation token or a stop string.
  stop,
  /// The limit of output tokens, or the end of the context.
  length,
};

inline std::string to_string(finish_reason reason) {
  switch (reason) {
    case finish_reason::none: return "none";
    case finish_reason::stop: return "stop";
    case finish_reason::length: return "length";
  }
  return "none";
}

template <class Inspector>
bool inspect(Inspector& f, finish_reason& x) {
  auto get = [&x] { return static_cast<std::uint8_t>(x); };
  auto set = [&x](std::uint8_t value) {
    if (value > static_cast<std::uint8_t>(finish_reason::length))
      return false;
    x = static_cast<finish_reason>(value);
    return true;
  };
  return f.apply(get, set);
}

} // namespace troupe
