// SPDX-License-Identifier: Apache-2.0
#include "transport/errc.hpp"

namespace troupe::transport {

std::string to_string(errc code) {
  switch (code) {
    case errc::none: return "none";
    case errc::invalid_argument: return "invalid_argument";
    case errc::out_of_range: return "out_of_range";
    case errc::unknown_region: return "unknown_region";
    case errc::revoked: return "revoked";
    case errc::no_credit: return "no_credit";
    case errc::timed_out: return "timed_out";
    case errc::cancelled: return "cancelled";
    case errc::peer_gone: return "peer_gone";
    case errc::closed: return "closed";
    case errc::resource: return "resource";
  }
  return "unknown";
}

std::string_view describe(errc code) {
  switch (code) {
    case errc::none: return "no error";
    case errc::invalid_argument: return "the runs or the note of a transfer are malformed";
    case errc::out_of_range: return "a run reaches beyond its region";
    case errc::unknown_region: return "the region is unknown or was removed";
    case errc::revoked: return "the region was withdrawn from this peer";
    case errc::no_credit: return "too many transfers are outstanding";
    case errc::timed_out: return "the deadline passed before the transfer began";
    case errc::cancelled: return "the transfer was cancelled";
    case errc::peer_gone: return "the peer has ended";
    case errc::closed: return "the transport is closed";
    case errc::resource: return "a thread, descriptor or table entry could not be had";
  }
  return "unknown error";
}

} // namespace troupe::transport
