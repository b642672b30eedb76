// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "gpu/errc.hpp"
#include "messages/expected.hpp"

namespace troupe::gpu {

/// Parses a document of at most 16 levels; errc::malformed_file with where it is wrong.
expected<nlohmann::json, error> parse_json(std::string_view text);

/// Reads a file of at most 64 MiB. Errors name the file.
expected<nlohmann::json, error> read_json_file(const std::filesystem::path&);

} // namespace troupe::gpu
