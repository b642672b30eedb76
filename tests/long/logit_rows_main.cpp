// SPDX-License-Identifier: Apache-2.0
// The host executor's side of all_logits.py and live_logits.py: logits as they lie in memory.
//
//   logit_rows paths         the SIMD paths of this machine, one a line
//   logit_rows MODEL PATH    of each prompt on stdin (u32 tokens n, u32 positions m, u32 ids[n], u32 positions[m]) the
//                            rows float[m][vocabulary] on stdout, before the next prompt is read
#include <cstdio>
#include <string>
#include <vector>

#include "gpu/model/checkpoint.hpp"
#include "tests/support/load_weights.hpp"
#include "tests/support/prompt_logits.hpp"

using namespace troupe;
using namespace troupe::gpu;

namespace {

/// Of 16 tokens each; enough for every prompt of the two scripts.
constexpr std::uint32_t kv_blocks = 64;

int fail(const std::string& why) {
  std::fprintf(stderr, "logit_rows: %s\n", why.c_str());
  return 1;
}

int list_paths() {
  for (auto path : host::supported_simd_paths())
    std::puts(std::string{host::to_string(path)}.c_str());
  return 0;
}

bool read(std::vector<std::uint32_t>& numbers) {
  return std::fread(numbers.data(), sizeof(std::uint32_t), numbers.size(), stdin) == numbers.size();
}

int answer(host::host_model& model) {
  const auto vocabulary = model.config().vocabulary;
  for (std::vector<std::uint32_t> counts(2); read(counts);) {
    std::vector<std::uint32_t> tokens(counts[0]);
    std::vector<std::uint32_t> positions(counts[1]);
    if (!read(tokens) || !read(positions))
      return fail("a prompt ends early");
    if (tokens.size() >= kv_blocks * test::prompt_logits_block_tokens)
      return fail("a prompt is too long");
    const auto logits = test::prompt_logits(model, tokens, positions);
    for (std::size_t i = 0; i < positions.size(); ++i)
      if (std::fwrite(logits.data() + i * model.logits_stride(), sizeof(float), vocabulary, stdout) != vocabulary)
        return fail("the reader is gone");
    if (std::fflush(stdout) != 0)
      return fail("the reader is gone");
  }
  return 0;
}

int write_rows(const char* model_path, const char* path_name) {
  const auto path = host::simd_path_from_string(path_name);
  if (!path)
    return fail(std::string{"unknown path "} + path_name);
  const auto files = checkpoint::open(model_path);
  if (!files)
    return fail(files.error().context);
  const auto description = files->describe();
  if (!description)
    return fail(description.error().context);
  const auto weights = host::host_weights::load(*description, host::weight_format::as_stored);
  if (!weights)
    return fail(weights.error().context);
  const auto pool = host::compute_pool::make();
  if (!pool)
    return fail(pool.error().context);
  const auto model =
    host::host_model::make(*weights, **pool, *path, {kv_blocks, kv_blocks}, test::prompt_logits_block_tokens);
  return model ? answer(**model) : fail(model.error().context);
}

} // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string{argv[1]} == "paths")
    return list_paths();
  if (argc != 3)
    return fail("see the source for its arguments");
  return write_rows(argv[1], argv[2]);
}
