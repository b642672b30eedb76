// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include "text/jinja/ast.hpp"
#include "text/jinja/limits.hpp"

namespace troupe::text::jinja {

/// Throws fault (syntax, limit_exceeded).
std::unique_ptr<const program> parse(std::string_view source, const template_limits&);

} // namespace troupe::text::jinja
