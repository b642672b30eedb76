// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "messages/errc.hpp"
#include "messages/expected.hpp"

namespace troupe::openai {

/// An error as a client sees it. Status, type and code follow from `reason`: http_status.hpp.
struct api_error {
  errc reason = errc::invalid_argument;
  std::string message;
  /// The field that is wrong; empty: null.
  std::string param;

  friend bool operator==(const api_error&, const api_error&) = default;
};

template <class T>
using result = expected<T, api_error>;

inline unexpected<api_error> refuse(std::string param, std::string message) {
  return {api_error{errc::invalid_argument, std::move(message), std::move(param)}};
}

/// The sentence of the code and what was known where the error was born.
api_error to_api_error(const error&);

/// {"error":{"message":…,"type":…,"param":…,"code":…}}
std::string error_body(const api_error&);

/// The same object as a server-sent event.
std::string error_event(const api_error&);

} // namespace troupe::openai
