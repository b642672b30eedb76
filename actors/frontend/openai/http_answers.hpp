// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <utility>

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

inline http_response nothing_there() { return error_response(404, "there is nothing at this path"); }

/// Why a request to a path that serves this method is not heard; nullopt: it is.
inline std::optional<http_response> refusal_of(const http_request& request, http_method served) {
  const bool reads = served == http_method::get;
  if (request.method != served && !(reads && request.method == http_method::head)) {
    auto answer = error_response(405, "this path does not support the method");
    answer.headers.emplace_back("Allow", reads ? "GET, HEAD" : "POST");
    return answer;
  }
  // Anything else could be a form of some web page: only JSON is asked for by scripts alone.
  if (!reads && !request.content_type.empty() && request.content_type != "application/json")
    return error_response(415, "the Content-Type must be application/json");
  return std::nullopt;
}

inline http_response json_answer(std::string body) {
  http_response out;
  out.body = std::move(body);
  return out;
}

} // namespace troupe::openai
