// SPDX-License-Identifier: Apache-2.0
#include "gpu/model/json_file.hpp"

#include <string>

#include <nlohmann/json.hpp>

#include "gpu/model/mapped_file.hpp"

namespace troupe::gpu {

namespace {

constexpr int depth_max = 16;
constexpr std::size_t file_bytes_max = std::size_t{64} << 20;

struct too_deep {};

} // namespace

expected<nlohmann::json, error> parse_json(std::string_view text) try {
  // The library itself recurses without a limit where documents end; building stops here instead.
  auto limited = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > depth_max)
      throw too_deep{};
    return true;
  };
  return nlohmann::json::parse(text, limited);
} catch (const too_deep&) {
  return fail(errc::malformed_file, "has more than " + std::to_string(depth_max) + " levels");
} catch (const nlohmann::json::exception& e) {
  return fail(errc::malformed_file, std::string{"is not JSON: "} + e.what());
} catch (const std::bad_alloc&) {
  return fail(errc::resource, "does not fit into memory");
}

expected<nlohmann::json, error> read_json_file(const std::filesystem::path& path) {
  auto file = mapped_file::open(path);
  if (!file)
    return unexpected{file.error()};
  const auto bytes = file->bytes();
  if (bytes.size() > file_bytes_max)
    return fail(errc::malformed_file, path.string() + " has more than " + std::to_string(file_bytes_max) + " bytes");
  auto result = parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (!result)
    return fail(result.error().code, path.string() + " " + result.error().context);
  return result;
}

} // namespace troupe::gpu
