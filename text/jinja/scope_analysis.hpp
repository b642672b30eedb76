// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "text/jinja/ast.hpp"

namespace troupe::text::jinja {

/// Fills program::hidden. Jinja decides where a name belongs before it runs: if the first thing that a block does
/// with a name is to assign it, then the name is the block's own from the block's start, and an inner block that
/// runs before the assignment sees it undefined, even if the context has a variable of that name. Names of an outer
/// block, names read before, and assignments under `if` are not affected.
void find_hidden_names(program&);

} // namespace troupe::text::jinja
