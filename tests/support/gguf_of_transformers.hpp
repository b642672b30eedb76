// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "gpu/host/convert_matrix.hpp"
#include "gpu/model/transformers_directory.hpp"

namespace troupe::test {

/// A model as llama.cpp's converter writes it: names, keys, the order of Llama's query and key rows, whole norms,
/// stacked experts; matrices in `format`. Without a tokenizer. REQUIRES: one of the checkpoints of
/// tests/goldens/architectures, and no window but Gemma's, which is all that GGUF knows.
std::vector<std::byte> gguf_of_transformers(const gpu::transformers_directory&,
                                            gpu::host::weight_format format = gpu::host::weight_format::as_stored);

} // namespace troupe::test
