// SPDX-License-Identifier: Apache-2.0
#include "actors/config/fault.hpp"

namespace troupe {

std::string to_string(const fault& x) {
  std::string result = x.file;
  if (x.line > 0)
    result += ":" + std::to_string(x.line);
  if (!x.key.empty())
    result += ":" + x.key;
  return result + ": " + x.message;
}

std::string to_string(const std::vector<fault>& faults) {
  std::string result;
  for (const fault& x : faults)
    result += to_string(x) + "\n";
  return result;
}

} // namespace troupe
