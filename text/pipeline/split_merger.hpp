// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "text/tokenizer_description.hpp"

namespace troupe::text {

/// Makes pieces of a text's matches and of what lies between them, which come in their order and leave no gap.
/// Emit takes each piece as a view.
template <class Emit>
class split_merger {
public:
  split_merger(std::string_view text, split_behavior behavior, Emit emit)
    : text_(text), behavior_(behavior), emit_(std::move(emit)) {}

  void add(std::size_t begin, std::size_t end, bool is_match) {
    if (begin == end)
      return;
    switch (behavior_) {
      case split_behavior::isolated: return put(begin, end);
      case split_behavior::removed: return is_match ? void() : put(begin, end);
      case split_behavior::contiguous: return add_joining(begin, end, is_match, is_match == was_match_);
      case split_behavior::merged_with_previous: return add_joining(begin, end, is_match, is_match && !was_match_);
      case split_behavior::merged_with_next: return add_to_next(begin, end, is_match);
    }
  }

  void finish() {
    if (open_)
      put(open_->begin, open_->end);
    open_.reset();
  }

private:
  struct range {
    std::size_t begin;
    std::size_t end;
  };

  void put(std::size_t begin, std::size_t end) { emit_(text_.substr(begin, end - begin)); }

  void add_joining(std::size_t begin, std::size_t end, bool is_match, bool joins) {
    if (joins && open_) {
      open_->end = end;
    } else {
      finish();
      open_ = range{begin, end};
    }
    was_match_ = is_match;
  }

  /// Of several matches side by side the last joins what follows; the others stand alone.
  void add_to_next(std::size_t begin, std::size_t end, bool is_match) {
    if (!is_match && open_ && was_match_) {
      put(open_->begin, end);
      open_.reset();
    } else {
      finish();
      open_ = range{begin, end};
    }
    was_match_ = is_match;
  }

  std::string_view text_;
  split_behavior behavior_;
  Emit emit_;
  std::optional<range> open_;
  bool was_match_ = false;
};

} // namespace troupe::text
