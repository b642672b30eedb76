// SPDX-License-Identifier: Apache-2.0
// write_gguf DIRECTORY FILE: a directory of transformers' as llama.cpp's converter writes it, in f32; for
// llama_cpp_architectures.py.
#include <cstdio>
#include <fstream>

#include "tests/support/gguf_of_transformers.hpp"

using namespace troupe;

int main(int argc, char** argv) {
  if (argc != 3)
    return 2;
  const auto from = gpu::transformers_directory::open(argv[1]);
  if (!from)
    return std::fprintf(stderr, "%s\n", from.error().context.c_str()), 1;
  const auto bytes = test::gguf_of_transformers(*from, gpu::host::weight_format::f32);
  std::ofstream file{argv[2], std::ios::binary};
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return file.flush() ? 0 : 1;
}
