// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace troupe {

enum class http_method : std::uint8_t { get, head, post, other };

struct http_request {
  http_method method = http_method::other;
  /// Without the query.
  std::string path;
  /// Lower case, without parameters; empty if there was none.
  std::string content_type;
  /// A script or form of a web page sent it: browsers then add an Origin, which a page cannot leave out.
  bool from_page = false;
  /// The client's x-request-id if it is short and plain, else made here.
  std::string id;
  std::string body;
  /// When its last byte was read.
  std::chrono::steady_clock::time_point arrival;
};

using http_headers = std::vector<std::pair<std::string, std::string>>;

struct http_response {
  std::uint16_t status = 200;
  std::string content_type = "application/json";
  std::string body;
  http_headers headers;
};

} // namespace troupe
