// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::text {

/// Looks for stop strings in a growing text. Text that may turn out to be the beginning of a stop string is
/// held back, everything before it is given out at once. The stop string that is complete first wins,
/// of several that end at the same byte the longest, so the result does not depend on how the text was cut.
class stop_matcher {
public:
  struct output {
    /// Certain text: it is before any stop string.
    std::string text;
    /// Index of the stop string that was found; `text` then ends where it began.
    std::optional<std::size_t> matched;
  };

  /// REQUIRES: no stop string is empty. Callers bound number and length; a byte costs one step per stop string.
  explicit stop_matcher(std::vector<std::string> stops);

  /// REQUIRES: nothing has matched yet
  output feed(std::string_view text);

  /// What was held back, at the end of the text.
  std::string finish();

private:
  struct pattern {
    std::string text;
    /// Length of the longest proper prefix of the first i + 1 bytes that is also their suffix
    /// (Knuth, Morris and Pratt 1977).
    std::vector<std::size_t> borders;
    /// How many bytes of the pattern the text ends with.
    std::size_t matched = 0;

    void step(char);
  };

  std::vector<pattern> patterns_;
  /// The end of the text, as long as the longest partial match.
  std::string held_;
  bool has_matched_ = false;
};

} // namespace troupe::text
