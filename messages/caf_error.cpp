// SPDX-License-Identifier: Apache-2.0
#include "messages/caf_error.hpp"

#include <caf/message.hpp>
#include <caf/sec.hpp>

#include "messages/type_ids.hpp"

namespace troupe {

namespace {

std::string context_of(const caf::error& e) {
  if (auto& message = e.context(); message.match_elements<std::string>())
    return message.get_as<std::string>(0);
  return caf::to_string(e);
}

errc code_of(caf::sec code) {
  switch (code) {
    case caf::sec::request_timeout: return errc::deadline_exceeded;
    case caf::sec::request_receiver_down:
    case caf::sec::broken_promise: return errc::worker_lost;
    default: return errc::internal;
  }
}

} // namespace

caf::error to_caf_error(const error& e) { return caf::error{e.code, caf::make_message(e.context)}; }

error from_caf_error(const caf::error& e) {
  if (!e)
    return {errc::none, {}};
  if (e.category() == caf::type_id_v<errc>) {
    errc code = errc::internal;
    from_integer(e.code(), code);
    return {code, context_of(e)};
  }
  if (e.category() == caf::type_id_v<caf::sec>)
    return {code_of(static_cast<caf::sec>(e.code())), caf::to_string(e)};
  return {e.category() == caf::type_id_v<caf::exit_reason> ? errc::worker_lost : errc::internal, caf::to_string(e)};
}

} // namespace troupe
