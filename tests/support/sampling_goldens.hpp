// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "messages/errc.hpp"
#include "messages/ids.hpp"
#include "messages/request/sampling_options.hpp"

namespace troupe::test {

/// One row of tests/goldens/sampling/rows.bin: inputs, drawn anew, and what numpy made of them.
struct sampling_row {
  sampling_options options;
  std::vector<token_id> prompt;
  std::vector<token_id> output;
  /// float[vocabulary], raw.
  std::vector<float> logits;

  /// How many tokens are kept, and kept_hash() of them.
  std::uint32_t kept = 0;
  std::uint32_t hash = 0;
  /// Probabilities after all cuts, of the most and the least probable kept token (on a tie the lower
  /// and the higher id), and of the one in the middle of the kept ids in ascending order (index kept / 2).
  float most = 0;
  float least = 0;
  float middle = 0;
  /// Sum over the kept tokens of probability × (id + 1) / vocabulary: feels every probability.
  float moment = 0;
};

/// FNV-1a, 32 bits, over the ids in ascending order, each as two bytes, low byte first.
std::uint32_t kept_hash(std::span<const token_id> ascending);

/// The golden file. Its format and the meaning of every option are in tests/goldens/README.md.
class sampling_goldens {
public:
  /// Names of the options, in the file's order.
  static constexpr std::string_view names[] = {
    "temperature",        "top_p",      "top_k",   "min_p", "presence_penalty", "frequency_penalty",
    "repetition_penalty", "logit_bias", "combined"};
  static constexpr std::uint32_t rows = 1000;
  static constexpr std::uint32_t vocabulary = 512;

  static expected<sampling_goldens, error> load(const std::filesystem::path&);

  /// REQUIRES: option < std::size(names), index < rows
  sampling_row row(std::uint32_t option, std::uint32_t index) const;

private:
  struct record {
    std::uint16_t kept;
    std::uint8_t attempt;
    std::uint8_t unused;
    std::uint32_t hash;
    float most;
    float least;
    float middle;
    float moment;
  };
  static_assert(sizeof(record) == 24);

  std::vector<record> records_;
};

} // namespace troupe::test
