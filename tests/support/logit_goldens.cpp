// SPDX-License-Identifier: Apache-2.0
#include "tests/support/logit_goldens.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <optional>

#include "tests/support/byte_reader.hpp"
#include "tests/support/splitmix64.hpp"

namespace troupe::test {

namespace {

struct layout {
  std::uint64_t seed = 0;
  std::uint32_t vocabulary = 0;
  std::uint32_t top = 0;
  std::uint32_t drawn = 0;
};

logit_position take_position(byte_reader& in, const layout& file, std::uint32_t prompt, std::uint32_t position) {
  logit_position x;
  x.position = position;
  const auto largest = in.take_many<std::uint16_t>(file.top);
  x.ids.assign(largest.begin(), largest.end());
  splitmix64 rng(file.seed << 32 | std::uint64_t{prompt} << 16 | position);
  for (std::uint32_t i = 0; i < file.drawn; ++i)
    x.ids.push_back(rng.below(file.vocabulary));
  x.values = in.take_many<float>(std::size_t{file.top} + file.drawn);
  return x;
}

/// What a prompt that was read in full may still have wrong.
bool is_sane(const logit_prompt& prompt, const layout& file) {
  const auto known = [&file](token_id id) { return id < file.vocabulary; };
  if (!std::ranges::all_of(prompt.tokens, known))
    return false;
  for (const auto& x : prompt.positions) {
    const auto largest = std::span(x.values).first(file.top);
    if (!std::ranges::all_of(x.ids, known) || !std::ranges::is_sorted(largest, std::greater<>{})
        || !std::ranges::all_of(x.values, [](float v) { return std::isfinite(v); }))
      return false;
  }
  return true;
}

std::optional<logit_prompt> take_prompt(byte_reader& in, const layout& file, std::uint32_t index) {
  const auto tokens = in.take<std::uint32_t>();
  const auto positions = in.take<std::uint32_t>();
  if (in.failed() || tokens == 0 || positions == 0 || positions > tokens)
    return std::nullopt;
  logit_prompt prompt;
  const auto ids = in.take_many<std::uint16_t>(tokens);
  prompt.tokens.assign(ids.begin(), ids.end());
  const auto chosen = in.take_many<std::uint16_t>(positions);
  const auto ascending = std::ranges::adjacent_find(chosen, std::greater_equal<>{}) == chosen.end();
  if (in.failed() || !ascending || chosen.back() != tokens - 1)
    return std::nullopt;
  for (const auto position : chosen) {
    prompt.positions.push_back(take_position(in, file, index, position));
    if (in.failed())
      return std::nullopt;
  }
  return is_sane(prompt, file) ? std::optional(std::move(prompt)) : std::nullopt;
}

} // namespace

expected<logit_goldens, error> logit_goldens::load(const std::filesystem::path& path) {
  auto bytes = read_golden_file(path);
  if (!bytes)
    return unexpected{bytes.error()};
  byte_reader in(*bytes);
  if (!in.take_magic("TRLOGIT1"))
    return fail(errc::invalid_argument, path.string() + " is not a file of logit goldens");
  layout file;
  file.seed = in.take<std::uint64_t>();
  const auto prompts = in.take<std::uint32_t>();
  file.vocabulary = in.take<std::uint32_t>();
  file.top = in.take<std::uint32_t>();
  file.drawn = in.take<std::uint32_t>();
  if (in.failed() || prompts > 1024 || file.vocabulary < 2 || file.vocabulary > 65'536 || file.top < 2
      || file.top > file.vocabulary || file.drawn > file.vocabulary)
    return fail(errc::invalid_argument, path.string() + " has an impossible header");

  logit_goldens result{file.vocabulary, file.top, file.drawn, {}};
  for (std::uint32_t i = 0; i < prompts; ++i) {
    auto prompt = take_prompt(in, file, i);
    if (!prompt)
      return fail(errc::invalid_argument, path.string() + ": prompt " + std::to_string(i) + " is malformed");
    result.prompts.push_back(std::move(*prompt));
  }
  if (in.remaining() != 0)
    return fail(errc::invalid_argument, path.string() + " has bytes left over");
  return result;
}

void logit_comparison::add(const logit_position& golden, std::span<const float> row) {
  for (std::size_t i = 0; i < golden.ids.size(); ++i) {
    assert(golden.ids[i] < row.size());
    auto difference = std::abs(static_cast<double>(row[golden.ids[i]]) - golden.values[i]);
    if (std::isnan(difference))
      difference = std::numeric_limits<double>::infinity();
    sum_ += difference;
    max_ = std::max(max_, difference);
  }
  logits_ += golden.ids.size();
  ++positions_;
  const auto largest = std::ranges::max_element(row) - row.begin();
  if (static_cast<token_id>(largest) != golden.argmax())
    ++argmax_differences_;
}

} // namespace troupe::test
