// SPDX-License-Identifier: Apache-2.0
// Any bytes as a directory of transformers': config.json, a NUL, model.safetensors.index.json (nothing: there is none),
// a NUL, model.safetensors. It is refused, or a model is described whose tensors can be read. With TROUPE_FUZZ_CANARY a
// model with a number other than the seeds' ends the process: mutations get through all three files.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string_view>

#include "gpu/model/describe_model.hpp"
#include "gpu/model/transformers_directory.hpp"
#include "tests/fuzz/fuzzed_folder.hpp"

namespace {

/// Cuts off what is before the first NUL, if there is one.
std::string_view take_text(std::string_view& rest) {
  const auto end = rest.find('\0');
  const auto text = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  return text;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace troupe;
  static const test::fuzzed_folder folder;
  std::string_view rest{reinterpret_cast<const char*>(data), size};
  folder.write("config.json", take_text(rest));
  const auto index = take_text(rest);
  if (index.empty())
    folder.remove("model.safetensors.index.json");
  else
    folder.write("model.safetensors.index.json", index);
  folder.write("model.safetensors", rest);
  const auto directory = gpu::transformers_directory::open(folder.path());
  if (!directory)
    return 0;
  const auto model = gpu::describe_model(*directory);
  if (!model)
    return 0;
  test::read_all(model->tensors.embedding.data);
  for (const auto& layer : model->tensors.layers)
    for (const auto& part : layer.ffn)
      test::read_all(part.down.data);
#ifdef TROUPE_FUZZ_CANARY
  constexpr double bases[] = {1e4, 5e5, 1e6, 2e6};
  const auto& c = model->config;
  if (c.context_tokens != 64 || c.rms_epsilon != 1e-5f || std::ranges::find(bases, c.ropes[0].base) == std::end(bases))
    std::abort();
#endif
  return 0;
}
