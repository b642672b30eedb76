// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "messages/expected.hpp"
#include "text/pipeline/split_pattern.hpp"
#include "text/tokenizer_description.hpp"

namespace troupe::text {

/// A compiled regular expression; PCRE2 with limits on steps and memory. Immutable.
class regex_matcher {
public:
  struct range {
    std::size_t begin;
    std::size_t end;
  };

  static expected<regex_matcher, std::string> make(std::string_view oniguruma);

  /// The first match that begins at `from` or later and is not empty. A search that reaches a limit finds nothing.
  std::optional<range> find(std::string_view text, std::size_t from) const;

private:
  struct program;
  explicit regex_matcher(std::shared_ptr<const program>);
  std::shared_ptr<const program> program_;
};

/// Finds a pattern, by hand-compiled code where there is some for it.
class pattern_matcher {
public:
  using range = regex_matcher::range;

  /// The error says what is wrong with the pattern.
  static expected<pattern_matcher, std::string> make(const text_pattern&);

  std::optional<range> find(std::string_view text, std::size_t from) const;

  /// The hand-compiled pattern, if it is one.
  std::optional<split_pattern> known() const;

private:
  using content = std::variant<std::string, split_pattern, regex_matcher>;
  explicit pattern_matcher(content c) : content_(std::move(c)) {}
  content content_;
};

} // namespace troupe::text
