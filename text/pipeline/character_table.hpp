// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstddef>
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

  static const character_table& get() {
    static const character_table instance;
    return instance;
  }

  /// REQUIRES: code_point <= 0x10FFFF
  flags of(char32_t code_point) const {
    return pages_[static_cast<std::size_t>(page_of_[code_point >> 8]) << 8 | (code_point & 0xFF)];
  }

  /// of() has the flag `letter`, in one load. REQUIRES: code_point <= 0xFFFF
  bool is_letter(char32_t code_point) const { return (letters_[code_point >> 6] >> (code_point & 63) & 1) != 0; }

  /// For each byte 1 if it is the first of several in UTF-8 of a character that has the flag, else 0.
  /// REQUIRES: one of the flags nfc_unsafe to nfkd_unsafe
  using leads = std::array<std::uint8_t, 256>;
  const leads& unsafe_leads(flags unsafe) const { return unsafe_leads_[index_of(unsafe)]; }

private:
  character_table();

  static std::size_t index_of(flags unsafe) {
    return static_cast<std::size_t>(std::countr_zero(unsafe) - std::countr_zero(nfc_unsafe));
  }

  std::array<std::uint16_t, 0x1100> page_of_{};
  std::vector<flags> pages_;
  /// A bit for each character below U+10000.
  std::array<std::uint64_t, 1024> letters_{};
  std::array<leads, 4> unsafe_leads_{};
};

} // namespace troupe::text
