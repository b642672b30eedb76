// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "text/jinja/token.hpp"

namespace troupe::text::jinja {

/// The tokens of a template, with trim_blocks and lstrip_blocks on, the last one end_of_source. Line ends become
/// \n, and one at the very end is dropped. Throws fault (syntax).
std::vector<token> tokenize(std::string_view source);

/// The value of a string literal's inside. Throws fault (syntax) on an escape that is malformed or names a
/// surrogate.
std::string unescape(std::string_view literal, std::uint32_t line);

} // namespace troupe::text::jinja
