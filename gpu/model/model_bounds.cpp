// SPDX-License-Identifier: Apache-2.0
#include "gpu/model/model_bounds.hpp"

#include <string>

namespace troupe::gpu {

expected<void, error> check_together(const model_config& c) {
  if (c.heads % c.kv_heads != 0)
    return fail(errc::malformed_file, std::to_string(c.heads) + " heads are not a multiple of "
                                        + std::to_string(c.kv_heads) + " key/value heads");
  if (c.head_width == 0 || c.head_width > bounds::head_width_max)
    return fail(errc::malformed_file, "a width of " + std::to_string(c.width) + " over " + std::to_string(c.heads)
                                        + " heads gives heads of unusual width");
  if (c.head_width % 2 != 0)
    return fail(errc::malformed_file, "heads are " + std::to_string(c.head_width) + " wide: rope needs an even width");
  if (c.experts.used > c.experts.count)
    return fail(errc::malformed_file,
                std::to_string(c.experts.used) + " experts a token of " + std::to_string(c.experts.count));
  for (const auto& rope : c.ropes)
    if (!rope.divisors.empty() && rope.divisors.size() != c.head_width / 2)
      return fail(errc::malformed_file,
                  std::to_string(rope.divisors.size()) + " rope divisors for heads of " + std::to_string(c.head_width));
  return {};
}

} // namespace troupe::gpu
