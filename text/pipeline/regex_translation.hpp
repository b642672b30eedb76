// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "messages/expected.hpp"

namespace troupe::text {

/// A regular expression in Oniguruma's syntax (Ruby's, which tokenizer.json is written in) as PCRE2 with UTF and
/// multi-line mode has to read it: \s, \d and \w mean Unicode's properties, classes inside classes are
/// dissolved. The error says what cannot be translated.
expected<std::string, std::string> translate_regex(std::string_view oniguruma);

} // namespace troupe::text
