// SPDX-License-Identifier: Apache-2.0
#include "transport/memory/description.hpp"

#include <charconv>

namespace troupe::transport {

namespace {

constexpr std::string_view prefix = "memory:";

} // namespace

std::string to_text(const description& d) {
  return std::string{prefix} + std::to_string(d.owner.value) + ":" + std::to_string(d.region.value) + ":"
         + std::to_string(d.reader.value) + ":" + std::to_string(d.permission);
}

expected<description, error> description_from_text(std::string_view text) {
  auto refused = fail(errc::unknown_region, "not a description of a memory region");
  if (!text.starts_with(prefix))
    return refused;
  auto at = text.data() + prefix.size();
  auto end = text.data() + text.size();
  auto number = [&](auto& value) {
    auto [next, code] = std::from_chars(at, end, value);
    at = next;
    return code == std::errc{};
  };
  auto colon = [&] { return at != end && *at++ == ':'; };
  description d;
  if (!number(d.owner.value) || !colon() || !number(d.region.value) || !colon() || !number(d.reader.value) || !colon()
      || !number(d.permission) || at != end)
    return refused;
  return d;
}

} // namespace troupe::transport
