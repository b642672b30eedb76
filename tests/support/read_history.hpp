// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <istream>
#include <string>

#include "messages/expected.hpp"
#include "tests/support/history.hpp"

namespace troupe::test {

/// One JSON object per line, as tests/integration/history.py writes them: its "event" is accepted, output, ended,
/// excused, at_rest or defect, the other members are named as in history. The error names the line.
expected<history, std::string> read_history(std::istream&);

} // namespace troupe::test
