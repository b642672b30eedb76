// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sampling_goldens.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>

#include "tests/support/byte_reader.hpp"
#include "tests/support/splitmix64.hpp"

namespace troupe::test {

namespace {

constexpr std::uint32_t combined = std::size(sampling_goldens::names) - 1;

enum : std::uint32_t { temperature, top_p, top_k, min_p, presence, frequency, repetition, bias };

/// Draws every number, then keeps those that the option asks for: each option sees the same stream.
sampling_options draw_options(splitmix64& rng, std::uint32_t option) {
  const auto on = [option](std::uint32_t wanted) { return option == wanted || option == combined; };
  std::uint32_t drawn[7];
  constexpr std::uint32_t bounds[7] = {33, 127, 64, 128, 65, 65, 25};
  for (int i = 0; i < 7; ++i)
    drawn[i] = rng.below(bounds[i]);
  // Together the cuts are milder, so that each of them still has something to cut.
  const auto mild = option == combined;
  sampling_options x;
  if (on(temperature))
    x.temperature = float(drawn[0]) / 16;
  if (on(top_p))
    x.top_p = mild ? 1 - float(1 + drawn[1]) / 512 : float(1 + drawn[1]) / 128;
  if (on(top_k))
    x.top_k = 1 + drawn[2];
  if (on(min_p))
    x.min_p = float(1 + drawn[3]) / (mild ? 4096 : 256);
  if (on(presence))
    x.presence_penalty = (float(drawn[4]) - 32) / 16;
  if (on(frequency))
    x.frequency_penalty = (float(drawn[5]) - 32) / 16;
  if (on(repetition))
    x.repetition_penalty = (float(drawn[6]) + 8) / 16;

  const auto start = rng.below(sampling_goldens::vocabulary);
  const auto stride = 2 * rng.below(sampling_goldens::vocabulary / 2) + 1;
  const auto biases = rng.below(17);
  for (std::uint32_t i = 0; i < biases; ++i) {
    const auto value = i % 4 == 0 ? (float(rng.below(205)) - 200) / 2 : (float(rng.below(41)) - 20) / 4;
    if (on(bias))
      x.logit_bias.push_back({(start + i * stride) % sampling_goldens::vocabulary, value});
  }
  return x;
}

std::vector<token_id> draw_tokens(splitmix64& rng, std::uint32_t count, std::uint32_t row) {
  std::vector<token_id> tokens(count);
  for (auto& token : tokens)
    token = rng.below(64) * 8 + row % 8;
  return tokens;
}

/// Kinds: 0 and 1 flat, 2 with sixteen levels (ties), 3 peaked (a cube).
std::vector<float> draw_logits(splitmix64& rng, std::uint32_t kind) {
  std::vector<float> logits(sampling_goldens::vocabulary);
  for (auto& logit : logits) {
    auto drawn = rng.next() >> 40;
    if (kind == 2)
      drawn = (drawn >> 20) << 20;
    const float half = float(drawn) * 0x1p-24f - 0.5f;
    logit = kind == 3 ? (half * half * half) * 160 : half * 20;
  }
  return logits;
}

} // namespace

std::uint32_t kept_hash(std::span<const token_id> ascending) {
  std::uint32_t h = 0x811C9DC5;
  for (const auto id : ascending) {
    h = (h ^ (id & 0xFF)) * 0x01000193;
    h = (h ^ ((id >> 8) & 0xFF)) * 0x01000193;
  }
  return h;
}

expected<sampling_goldens, error> sampling_goldens::load(const std::filesystem::path& path) {
  auto bytes = read_golden_file(path);
  if (!bytes)
    return unexpected{bytes.error()};
  byte_reader in(*bytes);
  if (!in.take_magic("TRSAMPL1") || in.take<std::uint32_t>() != std::size(names) || in.take<std::uint32_t>() != rows
      || in.take<std::uint32_t>() != vocabulary)
    return fail(errc::invalid_argument, path.string() + " is not the sampling goldens of this reader");
  sampling_goldens result;
  result.records_ = in.take_many<record>(std::size(names) * rows);
  if (in.failed() || in.remaining() != 0)
    return fail(errc::invalid_argument, path.string() + " has the wrong size");
  const auto possible = [](const record& r) { return r.kept >= 1 && r.kept <= vocabulary; };
  if (!std::ranges::all_of(result.records_, possible))
    return fail(errc::invalid_argument, path.string() + " holds an impossible kept count");
  return result;
}

sampling_row sampling_goldens::row(std::uint32_t option, std::uint32_t index) const {
  assert(option < std::size(names) && index < rows);
  const auto& golden = records_[option * rows + index];
  splitmix64 rng((std::uint64_t{option} << 32) | (index << 8) | golden.attempt);
  sampling_row x;
  x.options = draw_options(rng, option);
  const auto prompt = rng.below(33);
  const auto output = rng.below(33);
  x.prompt = draw_tokens(rng, prompt, index);
  x.output = draw_tokens(rng, output, index);
  x.logits = draw_logits(rng, index % 4);
  x.kept = golden.kept;
  x.hash = golden.hash;
  x.most = golden.most;
  x.least = golden.least;
  x.middle = golden.middle;
  x.moment = golden.moment;
  return x;
}

} // namespace troupe::test
