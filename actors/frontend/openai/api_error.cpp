// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/openai/api_error.hpp"

#include "actors/frontend/http_status.hpp"
#include "actors/frontend/openai/json_writer.hpp"

namespace troupe::openai {

namespace {

void append_or_null(std::string& out, std::string_view text) {
  if (text.empty())
    out += "null";
  else
    append_string(out, text);
}

} // namespace

api_error to_api_error(const error& e) {
  std::string message{describe(e.code)};
  if (!e.context.empty()) {
    message += ": ";
    message += e.context;
  }
  return {e.code, std::move(message), {}};
}

std::string error_body(const api_error& e) {
  const auto shape = http_shape_of(e.reason);
  std::string out = R"({"error":{"message":)";
  append_string(out, e.message);
  out += R"(,"type":)";
  append_or_null(out, shape.type);
  out += R"(,"param":)";
  append_or_null(out, e.param);
  out += R"(,"code":)";
  append_or_null(out, shape.code);
  out += "}}";
  return out;
}

std::string error_event(const api_error& e) { return "data: " + error_body(e) + "\n\n"; }

} // namespace troupe::openai
