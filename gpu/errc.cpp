// SPDX-License-Identifier: Apache-2.0
#include "gpu/errc.hpp"

namespace troupe::gpu {

std::string to_string(errc code) {
  switch (code) {
    case errc::none: return "none";
    case errc::malformed_file: return "malformed_file";
    case errc::unsupported: return "unsupported";
    case errc::missing: return "missing";
    case errc::resource: return "resource";
    case errc::full: return "full";
    case errc::invalid_step: return "invalid_step";
    case errc::device_lost: return "device_lost";
  }
  return "unknown";
}

std::string_view describe(errc code) {
  switch (code) {
    case errc::none: return "no error";
    case errc::malformed_file: return "the file is truncated, or a length, offset or count in it is impossible";
    case errc::unsupported: return "the file's architecture, tensor type or version is not supported";
    case errc::missing: return "a tensor or metadata key is missing or has the wrong shape";
    case errc::resource: return "memory, a file or a thread could not be had";
    case errc::full: return "too many steps in flight";
    case errc::invalid_step: return "the step names what does not exist or exceeds a limit";
    case errc::device_lost: return "the device is gone";
  }
  return "unknown error";
}

} // namespace troupe::gpu
