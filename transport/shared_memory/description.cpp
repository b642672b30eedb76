// SPDX-License-Identifier: Apache-2.0
#include "transport/shared_memory/description.hpp"

#include <charconv>

namespace troupe::transport {

namespace {

constexpr std::string_view prefix = "shm:";

} // namespace

std::string to_text(const shared_description& d) {
  return std::string{prefix} + std::to_string(d.owner.value) + ":" + std::to_string(d.region.value) + ":"
         + to_hex(d.token);
}

expected<shared_description, error> shared_description_from_text(std::string_view text) {
  auto refused = fail(errc::unknown_region, "not a description of a region in shared memory");
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
  shared_description d;
  if (!number(d.owner.value) || !colon() || !number(d.region.value) || !colon()
      || !from_hex({at, static_cast<std::size_t>(end - at)}, d.token))
    return refused;
  return d;
}

} // namespace troupe::transport
