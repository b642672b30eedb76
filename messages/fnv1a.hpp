// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace troupe {

/// FNV-1a, 64 bits: for ids that are made of names.
class fnv1a {
public:
  fnv1a& add(unsigned char byte) {
    value_ = (value_ ^ byte) * 0x100000001b3;
    return *this;
  }
  fnv1a& add(std::string_view text) {
    for (char c : text)
      add(static_cast<unsigned char>(c));
    return *this;
  }
  std::uint64_t value() const { return value_; }

private:
  std::uint64_t value_ = 0xcbf29ce484222325;
};

} // namespace troupe
