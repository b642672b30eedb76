// SPDX-License-Identifier: Apache-2.0
#include "messages/errc.hpp"

namespace troupe {

namespace {

struct entry {
  errc code;
  std::string_view name;
  std::string_view sentence;
};

// A switch without default, so that the compiler names a code that is missing here.
constexpr entry entry_of(errc code) {
  switch (code) {
    case errc::none: return {code, "none", "no error"};
    case errc::invalid_argument:
      return {code, "invalid_argument", "the request is malformed or asks for something that is not offered"};
    case errc::model_not_found: return {code, "model_not_found", "no worker serves this model"};
    case errc::context_too_long:
      return {code, "context_too_long", "prompt and requested output do not fit the model's context"};
    case errc::no_chat_template: return {code, "no_chat_template", "the model has no usable chat template"};
    case errc::overloaded: return {code, "overloaded", "every eligible worker is at its limit; try again later"};
    case errc::deadline_exceeded: return {code, "deadline_exceeded", "the request's deadline passed"};
    case errc::cancelled: return {code, "cancelled", "the request was cancelled"};
    case errc::worker_lost: return {code, "worker_lost", "the worker ended and the request could not be continued"};
    case errc::draining: return {code, "draining", "the node is shutting down and takes no new requests"};
    case errc::unavailable: return {code, "unavailable", "no worker can take the request at the moment"};
    case errc::device_failed: return {code, "device_failed", "the device or its executor failed"};
    case errc::transfer_failed: return {code, "transfer_failed", "a transfer of KV blocks failed"};
    case errc::stale: return {code, "stale", "a message of an earlier epoch or of an unknown request"};
    case errc::slow_reader: return {code, "slow_reader", "the client reads too slowly"};
    case errc::invalid_config: return {code, "invalid_config", "the configuration is wrong"};
    case errc::resource: return {code, "resource", "a file, port or memory could not be had"};
    case errc::internal: return {code, "internal", "a broken invariant"};
  }
  return {errc::internal, "internal", "a broken invariant"};
}

constexpr std::uint8_t errc_last = static_cast<std::uint8_t>(errc::internal);

} // namespace

std::string to_string(errc code) { return std::string{entry_of(code).name}; }

std::string_view describe(errc code) { return entry_of(code).sentence; }

bool from_integer(std::uint8_t value, errc& out) {
  if (value > errc_last)
    return false;
  out = static_cast<errc>(value);
  return true;
}

} // namespace troupe
