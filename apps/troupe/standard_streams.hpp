// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "actors/node/exit_code.hpp"

namespace troupe {

/// More than any prompt; what filters like `troupe tokenize` take.
constexpr std::size_t standard_input_bytes_max = std::size_t{64} << 20;

/// Prints "troupe: what" on standard error and returns the code.
exit_code complain(const std::string& what, exit_code);

/// All of standard input. nullopt, and a line on standard error, if it is larger than the bound or
/// cannot be read.
std::optional<std::string> read_standard_input();

/// Whether everything that was written to standard output so far has arrived; if not, a line on standard error.
bool flush_standard_output();

} // namespace troupe
