// SPDX-License-Identifier: Apache-2.0
#include "gpu/model/in_quotes.hpp"

namespace troupe::gpu {

std::string in_quotes(std::string_view name) {
  constexpr std::size_t shown_max = 64;
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result = "'";
  for (auto c : name.substr(0, shown_max)) {
    auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f)
      result += c;
    else
      result.append("\\x").append({digits[byte >> 4], digits[byte & 15]});
  }
  return result += name.size() > shown_max ? "…'" : "'";
}

} // namespace troupe::gpu
