// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace troupe {

/// One thing that is wrong with a configuration, and where.
struct fault {
  std::string file;
  /// Counted from 1; 0 if the fault is that of no line (the file cannot be read).
  int line = 0;
  /// Full dotted key, e.g. "troupe.kv.memory"; empty where there is none (a syntax error between keys).
  std::string key;
  std::string message;

  friend bool operator==(const fault&, const fault&) = default;
};

/// "file:line:key: message", without the parts that are absent.
std::string to_string(const fault&);

/// One fault per line.
std::string to_string(const std::vector<fault>&);

} // namespace troupe
