// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "messages/errc.hpp"

namespace troupe {

/// What a client sees of an error: the status line, and `type` and `code` of OpenAI's error object.
struct http_error_shape {
  std::uint16_t status;
  std::string_view type;
  /// Empty: null.
  std::string_view code;
  /// Value of Retry-After; 0: the header is absent, because trying again does not help.
  std::uint16_t retry_after_seconds = 0;
};

/// The one table of errors and HTTP statuses.
constexpr http_error_shape http_shape_of(errc code) {
  switch (code) {
    case errc::none: return {200, "", ""};
    case errc::invalid_argument: return {400, "invalid_request_error", ""};
    case errc::model_not_found: return {404, "invalid_request_error", "model_not_found"};
    case errc::context_too_long: return {400, "invalid_request_error", "context_length_exceeded"};
    case errc::no_chat_template: return {400, "invalid_request_error", "no_chat_template"};
    case errc::overloaded: return {503, "server_error", "overloaded", 1};
    case errc::deadline_exceeded: return {504, "server_error", "deadline_exceeded"};
    case errc::cancelled: return {499, "server_error", "cancelled"};
    case errc::worker_lost: return {502, "server_error", "worker_lost"};
    case errc::draining: return {503, "server_error", "draining", 1};
    case errc::unavailable: return {503, "server_error", "unavailable", 1};
    case errc::device_failed: return {500, "server_error", "device_failed"};
    case errc::transfer_failed: return {500, "server_error", "transfer_failed"};
    case errc::stale: return {500, "server_error", "stale"};
    case errc::slow_reader: return {408, "server_error", "slow_reader"};
    case errc::invalid_config: return {500, "server_error", "invalid_config"};
    case errc::resource: return {500, "server_error", "resource"};
    case errc::internal: return {500, "server_error", "internal"};
  }
  return {500, "server_error", "internal"};
}

/// The words of a status line.
constexpr std::string_view http_reason(std::uint16_t status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Payload Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 431: return "Request Header Fields Too Large";
    case 499: return "Client Closed Request";
    case 500: return "Internal Server Error";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Status";
  }
}

} // namespace troupe
