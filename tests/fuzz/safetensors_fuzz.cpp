// SPDX-License-Identifier: Apache-2.0
// Any bytes as a safetensors file: they are refused, or every byte of every tensor can be read, and no byte of the data
// is in two. With TROUPE_FUZZ_CANARY a tensor whose name has a character that none of the seeds' has ends the process:
// mutations get through the header.
#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "gpu/model/safetensors.hpp"
#include "tests/fuzz/fuzzed_folder.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace troupe;
  // On the heap and exactly as long, where AddressSanitizer sees the first byte beyond.
  const auto* first = reinterpret_cast<const std::byte*>(data);
  const std::vector<std::byte> bytes(first, first + size);
  const auto tensors = gpu::parse_safetensors(bytes);
  if (!tensors)
    return 0;
  std::size_t total = 0;
  for (const auto& tensor : *tensors) {
    test::read_all(tensor.data);
    total += tensor.data.size();
#ifdef TROUPE_FUZZ_CANARY
    if (!std::ranges::all_of(tensor.name, [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '_'; }))
      std::abort();
#endif
  }
  if (total > size)
    std::abort();
  return 0;
}
