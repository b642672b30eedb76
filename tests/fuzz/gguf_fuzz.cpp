// SPDX-License-Identifier: Apache-2.0
// Any bytes as a GGUF file: they are refused, or every byte that they promise can be read, a model is described or
// refused, and a vocabulary makes a tokenizer or is refused. With TROUPE_FUZZ_CANARY a model with a number other than
// the seeds' ends the process: mutations get through the walk over the header, the numbers and the tensors.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "actors/model/model_text.hpp"
#include "gpu/model/describe_model.hpp"
#include "gpu/model/gguf_parser.hpp"
#include "tests/fuzz/fuzzed_folder.hpp"
#include "text/tokenizer.hpp"

namespace {

using namespace troupe;

/// Reads a key as everything that it may be.
void ask(const gpu::gguf_file& file, std::string_view key) {
  (void)file.find_uint(key);
  (void)file.find_float(key);
  (void)file.find_bool(key);
  (void)file.find_string(key);
  (void)file.find_strings(key);
  (void)file.find_floats(key);
  (void)file.find_ints(key);
}

#ifdef TROUPE_FUZZ_CANARY
bool has_numbers_of_seeds(const gpu::model_config& c) {
  return c.context_tokens == 64 && c.rms_epsilon == 1e-5f && c.ropes[0].base == 10'000;
}
#endif

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // On the heap and exactly as long, where AddressSanitizer sees the first byte beyond; a mapping has whole pages.
  const auto* first = reinterpret_cast<const std::byte*>(data);
  const std::vector<std::byte> bytes(first, first + size);
  const auto parsed = gpu::parse_gguf(bytes, {});
  if (!parsed)
    return 0;
  for (const auto& tensor : parsed->tensors)
    test::read_all(tensor.data);
  static const test::fuzzed_folder folder;
  const auto file = gpu::gguf_file::open(folder.write("model.gguf", {data, size}));
  if (!file)
    std::abort(); // the same bytes
  for (const auto& [key, value] : parsed->keys)
    ask(*file, key);
  const auto model = gpu::describe_model(*file);
#ifdef TROUPE_FUZZ_CANARY
  if (model && !has_numbers_of_seeds(model->config))
    std::abort();
#endif
  const auto text = read_model_text(*file, model ? model->config.vocabulary : 0);
  if (text)
    if (const auto ids = text->tokenizer->encode("Hello, w\xC3\xB6rld! <s> 12", {}))
      (void)text->tokenizer->decode(*ids);
  return 0;
}
