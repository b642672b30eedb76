// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "actors/frontend/http/http_message.hpp"
#include "actors/frontend/http_status.hpp"
#include "actors/frontend/openai/api_error.hpp"

namespace troupe::openai {

/// An error as an HTTP answer: status and Retry-After by the table.
inline http_response error_response(const api_error& e) {
  const auto shape = http_shape_of(e.reason);
  http_response out;
  out.status = shape.status;
  out.body = error_body(e);
  if (shape.retry_after_seconds > 0)
    out.headers.emplace_back("Retry-After", std::to_string(shape.retry_after_seconds));
  return out;
}

/// An error of the HTTP side, which no errc stands for: unknown path, wrong method or media type.
inline http_response error_response(std::uint16_t status, std::string message) {
  http_response out;
  out.body = error_body({errc::invalid_argument, std::move(message), {}});
  out.status = status;
  return out;
}

} // namespace troupe::openai
