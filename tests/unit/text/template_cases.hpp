// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "text/chat_template.hpp"

namespace troupe::text::test {

using json = nlohmann::ordered_json;

/// The clock of every golden.
inline std::chrono::local_seconds golden_now() {
  return std::chrono::local_days{std::chrono::year{2024} / 7 / 26} + std::chrono::hours{12};
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// Parses and renders; an error of either.
inline expected<std::string, template_error> render(std::string_view source, const json& context = json::object(),
                                                    const template_limits& limits = {}) {
  const auto parsed = chat_template::parse(std::string{source}, limits);
  if (!parsed)
    return unexpected{parsed.error()};
  return parsed->render(context, golden_now());
}

} // namespace troupe::text::test
