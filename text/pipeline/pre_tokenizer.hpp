// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "messages/errc.hpp"
#include "messages/expected.hpp"
#include "text/pipeline/pattern_matcher.hpp"
#include "text/pipeline/text_growth.hpp"
#include "text/pipeline/word_batch.hpp"
#include "text/tokenizer_description.hpp"

namespace troupe::text {

/// Cuts a normalized text into words, which the model encodes each by itself.
class pre_tokenizer {
public:
  /// The error names the step by its index.
  static expected<pre_tokenizer, error> make(const std::vector<pre_tokenizer_step>&);

  /// Words end, as a last step, before each `mark` that follows a byte other than those in `joined`.
  struct cut {
    std::string mark;
    std::array<bool, 256> joined{};
  };

  void append(cut c) { steps_.emplace_back(std::move(c)); }

  /// Takes back what was left to the model.
  void append_byte_alphabet() {
    steps_.emplace_back(to_byte_alphabet{});
    words_are_bytes_ = false;
  }

  /// Where a text stands in the one that is encoded: Metaspace's scheme "first" asks.
  enum class place : std::uint8_t { beginning, behind };

  /// Adds the words of `text` to `batch` and flushes it. The batch has entered the buffer in which `text` lies.
  /// With growth.exceeded() words that would have become too long are left out.
  void split(std::string_view text, place, word_batch& batch, text_growth& growth) const;

  /// The last step writes bytes in GPT-2's alphabet, and has been left to the model.
  bool words_are_bytes() const { return words_are_bytes_; }

private:
  struct split_known {
    split_pattern pattern;
  };
  struct split_found {
    pattern_matcher pattern;
    split_behavior behavior;
    bool invert;
  };
  /// Splits by single characters that have one of the flags, or are ASCII punctuation.
  struct split_characters {
    std::uint16_t flags;
    bool ascii_punctuation;
    split_behavior behavior;
  };
  struct prefix_space {};
  struct to_byte_alphabet {};
  using step = std::variant<split_known, split_found, split_characters, pre_tokenize::whitespace,
                            pre_tokenize::metaspace, prefix_space, to_byte_alphabet, cut>;

  class run;

  expected<void, error> add(const pre_tokenizer_step&, std::size_t index);

  std::vector<step> steps_;
  bool words_are_bytes_ = false;
};

} // namespace troupe::text
