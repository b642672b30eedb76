// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <filesystem>

#include "actors/security/certificates.hpp"
#include "apps/troupe/commands.hpp"

namespace troupe {

namespace {

exit_code exit_code_of(errc code) {
  if (code == errc::invalid_argument)
    return exit_code::usage;
  if (code == errc::invalid_config)
    return exit_code::config;
  return code == errc::resource ? exit_code::resource : exit_code::internal;
}

// For a configuration: a file's path from the root, since a node may be started anywhere.
std::string quoted(const std::filesystem::path& path) {
  std::string result = "\"";
  for (auto c : path.string()) {
    if (c == '"' || c == '\\')
      result += '\\';
    result += c;
  }
  return result + '"';
}

} // namespace

exit_code command_certs(const certs_options& options) {
  std::error_code code;
  auto folder = std::filesystem::absolute(options.folder, code);
  if (code) {
    std::fprintf(stderr, "%s: %s\n", options.folder.c_str(), code.message().c_str());
    return exit_code::resource;
  }
  const auto made = make_certificates(folder.lexically_normal(), options.nodes);
  if (!made) {
    std::fprintf(stderr, "%s\n", made.error().context.c_str());
    return exit_code_of(made.error().code);
  }
  const auto& ca = made->nodes.front().ca;
  if (made->ca == made_certificates::authority::made)
    std::printf("# made %s and its key, which signs nodes: keep %s off the nodes\n", ca.c_str(),
                ca.parent_path().append("ca.key").c_str());
  for (const auto& node : made->nodes)
    std::printf("# made %s and %s\n", node.certificate.c_str(), node.key.c_str());
  std::puts("# in the configuration of each node, inside of troupe { … }:");
  for (const auto& node : made->nodes)
    std::printf("cluster { certificate = %s, key = %s, ca = %s }\n", quoted(node.certificate).c_str(),
                quoted(node.key).c_str(), quoted(node.ca).c_str());
  return exit_code::ok;
}

} // namespace troupe
