// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "messages/errc.hpp"
#include "messages/ids.hpp"

namespace troupe::test {

/// The reference's logits after one position of a prompt.
struct logit_position {
  /// Counted from 0; the logits are those that follow tokens[0..position].
  std::uint32_t position = 0;
  /// token_id[top + drawn]: the largest logits, largest first (the lower id first on a tie), then the
  /// drawn ones, which may repeat each other or the largest.
  std::vector<token_id> ids;
  /// float[top + drawn], of `ids`.
  std::vector<float> values;

  token_id argmax() const { return ids[0]; }
  /// Between the two largest logits; above 1e-4 everywhere.
  float gap() const { return values[0] - values[1]; }
};

struct logit_prompt {
  std::vector<token_id> tokens;
  /// Ascending; the last token's position is always the last of them.
  std::vector<logit_position> positions;
};

/// tests/goldens/logits/*.bin; the format is in tests/goldens/README.md.
struct logit_goldens {
  /// Length of a logit row; every id is below it.
  std::uint32_t vocabulary = 0;
  /// How many of each position's ids are the largest, and how many drawn.
  std::uint32_t top = 0;
  std::uint32_t drawn = 0;
  std::vector<logit_prompt> prompts;

  /// Trusts no number of the file: an id, position or count that cannot be is an error.
  static expected<logit_goldens, error> load(const std::filesystem::path&);
};

/// How far computed logits are off the reference, as logits/llama_cpp_errors.json counts it under
/// "compared".
class logit_comparison {
public:
  /// `row`: float[vocabulary], the logits computed for that position. REQUIRES: every id of `golden`
  /// is below row.size()
  void add(const logit_position& golden, std::span<const float> row);

  double mean_abs() const { return logits_ == 0 ? 0 : sum_ / static_cast<double>(logits_); }
  /// Infinite once a logit was not a number.
  double max_abs() const { return max_; }
  std::uint64_t argmax_differences() const { return argmax_differences_; }
  std::uint64_t positions() const { return positions_; }

private:
  double sum_ = 0;
  double max_ = 0;
  std::uint64_t logits_ = 0;
  std::uint64_t positions_ = 0;
  std::uint64_t argmax_differences_ = 0;
};

} // namespace troupe::test
