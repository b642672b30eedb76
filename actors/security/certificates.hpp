// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "messages/errc.hpp"

// Certificates of a cluster: one authority, of which every node trusts what it signed, and a certificate with its key
// for each node.
namespace troupe {

/// The files that a node needs, PEM.
struct certificate_files {
  std::filesystem::path certificate;
  std::filesystem::path key;
  /// Certificates that are trusted.
  std::filesystem::path ca;
};

/// What make_certificates did.
struct made_certificates {
  enum class authority : std::uint8_t { made, found } ca = authority::made;
  /// One per node, in the order of their names.
  std::vector<certificate_files> nodes;
};

/// Makes NAME.pem and NAME.key in the folder for each node: EC P-256, valid for two years as server and client, CN and
/// SAN are the name. They are signed by ca.pem and ca.key of the folder, which are made if there are none (ten years).
/// Keys have mode 0600. The folder is made if it is missing. errc::invalid_argument: names that are no host names,
/// "ca", or twice the same; invalid_config: a file of a node is there already (then nothing is made), or the
/// authority's files are broken; resource: a file cannot be written.
expected<made_certificates, error> make_certificates(const std::filesystem::path& folder,
                                                     std::span<const std::string> nodes);

/// Whether a node can use these files: they can be read, the key is that of the certificate, and the certificate is in
/// date and signed by the CA, for server and client. The certificate's file may hold intermediate ones after it.
/// errc::resource: a file cannot be read; invalid_config: what is in it is wrong. The context is a sentence that names
/// the file.
expected<void, error>
check_certificate_files(const certificate_files&,
                        std::chrono::system_clock::time_point now = std::chrono::system_clock::now());

} // namespace troupe
