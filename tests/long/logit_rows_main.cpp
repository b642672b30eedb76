// SPDX-License-Identifier: Apache-2.0
// The host executor's side of all_logits.py: every logit of the golden positions, float32 as it lies in memory.
//
//   logit_rows paths                     the SIMD paths of this CPU, one a line
//   logit_rows MODEL.gguf GOLDENS PATH   float[1280][vocabulary] on stdout, prompt by prompt
#include <cstdio>
#include <string>

#include "tests/support/load_weights.hpp"
#include "tests/support/prompt_logits.hpp"

using namespace troupe;
using namespace troupe::gpu;

namespace {

int fail(const std::string& why) {
  std::fprintf(stderr, "logit_rows: %s\n", why.c_str());
  return 1;
}

int list_paths() {
  for (auto path : host::supported_simd_paths())
    std::puts(std::string{host::to_string(path)}.c_str());
  return 0;
}

int write_rows(const char* model_path, const char* goldens_path, const char* path_name) {
  const auto path = host::simd_path_from_string(path_name);
  const auto goldens = test::logit_goldens::load(goldens_path);
  if (!path || !goldens)
    return fail(path ? goldens.error().context : std::string{"unknown path "} + path_name);
  auto file = gguf_file::open(model_path);
  if (!file)
    return fail(file.error().context);
  const auto weights = test::load_weights(*file);
  if (!weights)
    return fail(weights.error().context);
  const auto pool = host::compute_pool::make();
  if (!pool)
    return fail(pool.error().context);
  auto model = host::host_model::make(*weights, **pool, *path, 64, test::prompt_logits_block_tokens);
  if (!model)
    return fail(model.error().context);
  const auto vocabulary = (*model)->config().vocabulary;
  for (const auto& prompt : goldens->prompts) {
    const auto logits = test::prompt_logits(**model, prompt);
    for (std::size_t i = 0; i < prompt.positions.size(); ++i)
      if (std::fwrite(logits.data() + i * (*model)->logits_stride(), sizeof(float), vocabulary, stdout) != vocabulary)
        return fail("the reader is gone");
  }
  return std::fflush(stdout) == 0 ? 0 : fail("the reader is gone");
}

} // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string{argv[1]} == "paths")
    return list_paths();
  if (argc != 4)
    return fail("see the source for its arguments");
  return write_rows(argv[1], argv[2], argv[3]);
}
