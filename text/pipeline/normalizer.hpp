// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "messages/errc.hpp"
#include "messages/expected.hpp"
#include "text/pipeline/charsmap.hpp"
#include "text/pipeline/pattern_matcher.hpp"
#include "text/pipeline/text_growth.hpp"
#include "text/tokenizer_description.hpp"

namespace troupe::text {

/// Changes a text before it is cut. Bytes that are not UTF-8 stay as they are.
class normalizer {
public:
  /// The error names the step by its index.
  static expected<normalizer, error> make(const std::vector<normalizer_step>&);

  /// The normalized text: `text` itself where nothing changes, else a view of `buffer`. Nothing, and
  /// growth.exceeded(), if it would be too long.
  std::optional<std::string_view> apply(std::string_view text, std::string& buffer, text_growth& growth) const;

private:
  struct replace {
    pattern_matcher pattern;
    std::string content;
  };
  using step = std::variant<normalize::unicode, normalize::lowercase, normalize::strip_accents, replace,
                            normalize::prepend, normalize::strip, normalize::nmt, charsmap>;

  std::vector<step> steps_;
};

/// `text` in a normal form of Unicode, without a copy where it is in that form already: see normalizer::apply.
std::string_view to_normal_form(std::string_view text, normal_form, std::string& buffer);

/// Every match of a pattern in `text` replaced; nothing if that has more than bytes_max bytes.
std::optional<std::string> replaced(std::string_view text, const pattern_matcher&, std::string_view content,
                                    std::size_t bytes_max);

} // namespace troupe::text
