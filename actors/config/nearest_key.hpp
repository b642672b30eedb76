// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace troupe {

/// The candidate that somebody who wrote `wrong` most likely meant: fewest insertions, deletions,
/// replacements and swaps of neighbours, at most a third of the key's length (at least two). Empty if
/// none is that near; the first of equals wins.
std::string_view nearest_key(std::string_view wrong, std::span<const std::string_view> candidates);

} // namespace troupe
