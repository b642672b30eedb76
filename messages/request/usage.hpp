// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace troupe {

/// What one choice of a request used.
struct usage {
  std::uint32_t prompt_tokens = 0;
  /// Prompt tokens whose KV was found in a cache instead of computed.
  std::uint32_t cached_tokens = 0;
  std::uint32_t output_tokens = 0;
  /// It went on at a worker of another model file or arithmetic than the one before: another run may give another text.
  bool mixed_workers = false;

  friend bool operator==(const usage&, const usage&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, usage& x) {
  return f.object(x).fields(f.field("prompt_tokens", x.prompt_tokens), f.field("cached_tokens", x.cached_tokens),
                            f.field("output_tokens", x.output_tokens), f.field("mixed_workers", x.mixed_workers));
}

} // namespace troupe
