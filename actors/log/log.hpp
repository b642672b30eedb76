// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <string_view>

#include "actors/log/log_config.hpp"
#include "actors/log/log_line.hpp"

namespace troupe {

/// While it lives, lines of at least the configured level are written to standard error by a thread of
/// its own, from a queue of 8,192 lines that drops the oldest when it is full, so that a caller never
/// waits for a slow terminal. Its end writes what is queued, and how many lines were dropped. One at a time.
///
/// Outside of a session lines from level info are written at once by the caller.
class log_session {
public:
  /// A `process` with a name has it in each of its lines, as a field.
  explicit log_session(log_config, std::string_view process = {});
  ~log_session();
  log_session(const log_session&) = delete;
  log_session& operator=(const log_session&) = delete;
};

/// Writes what is queued, and from now on each line at once by its caller: for the last words of a process.
void write_log_at_once();

/// Writes one line: `time level component message key=value …`. Thread-safe. The message is a fixed
/// text; what varies goes into fields. Never log prompts or answers.
void log_at(log_level, std::string_view component, std::string_view message, std::initializer_list<log_field> = {});

inline void log_debug(std::string_view component, std::string_view message,
                      std::initializer_list<log_field> fields = {}) {
  log_at(log_level::debug, component, message, fields);
}
inline void log_info(std::string_view component, std::string_view message,
                     std::initializer_list<log_field> fields = {}) {
  log_at(log_level::info, component, message, fields);
}
inline void log_warning(std::string_view component, std::string_view message,
                        std::initializer_list<log_field> fields = {}) {
  log_at(log_level::warning, component, message, fields);
}
inline void log_error(std::string_view component, std::string_view message,
                      std::initializer_list<log_field> fields = {}) {
  log_at(log_level::error, component, message, fields);
}

} // namespace troupe
