// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace troupe::text {

/// What Unicode says of characters, as far as tokenizers ask, in tables that are made once: a look-up is two loads.
class character_table {
public:
  using flags = std::uint16_t;

  static constexpr flags letter = 1;       // \p{L}
  static constexpr flags number = 2;       // \p{N}
  static constexpr flags space = 4;        // White_Space
  static constexpr flags mark = 8;         // \p{M}
  static constexpr flags upper = 16;       // \p{Lu} and \p{Lt}
  static constexpr flags lower = 32;       // \p{Ll}
  static constexpr flags punctuation = 64; // \p{P}
  static constexpr flags symbol = 128;     // \p{S}
  static constexpr flags word = 256;       // \w as Unicode's UTS 18 defines it
  /// No boundary of normalization: the character changes, moves or joins the one before it.
  static constexpr flags nfc_unsafe = 512;
  static constexpr flags nfd_unsafe = 1024;
  static constexpr flags nfkc_unsafe = 2048;
  static constexpr flags nfkd_unsafe = 4096;

  static const character_table& get();

  /// REQUIRES: code_point <= 0x10FFFF
  flags of(char32_t code_point) const {
    return pages_[static_cast<std::size_t>(page_of_[code_point >> 8]) << 8 | (code_point & 0xFF)];
  }

private:
  character_table();

  std::array<std::uint16_t, 0x1100> page_of_{};
  std::vector<flags> pages_;
};

} // namespace troupe::text
