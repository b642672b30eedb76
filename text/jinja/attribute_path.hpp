// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "text/jinja/arena.hpp"
#include "text/jinja/interpreter.hpp"

namespace troupe::text::jinja {

/// The "a.b.0" that filters take as `attribute`: numbers are indices, the rest names.
class attribute_path {
public:
  /// nullptr or none: the item itself.
  attribute_path(runtime&, const value* path);

  /// otherwise: nullptr, or what stands in for what is undefined on the way.
  value of(interpreter&, value item, const value* otherwise = nullptr) const;

private:
  growing<value> parts_;
};

enum class fold_case : bool { no, yes };
/// The item, lowered if it is a string and case is folded: what filters compare by.
value comparison_key(runtime&, const value&, fold_case);

} // namespace troupe::text::jinja
