// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <variant>

#include "gpu/model/describe_model.hpp"
#include "gpu/model/gguf.hpp"
#include "gpu/model/synthetic_model.hpp"
#include "gpu/model/transformers_directory.hpp"

namespace troupe::gpu {

/// A model's files, opened, whatever their format.
class checkpoint {
public:
  /// A GGUF file, a directory of transformers', or "synthetic:NAME". Errors as those of the three.
  static expected<checkpoint, error> open(const std::string& path);

  /// nullptr if it is of another format.
  const gguf_file* gguf() const { return std::get_if<gguf_file>(&files_); }
  const transformers_directory* directory() const { return std::get_if<transformers_directory>(&files_); }

  expected<model_config, error> config() const;
  expected<model_description, error> describe() const;

private:
  using files = std::variant<gguf_file, transformers_directory, synthetic_model>;
  explicit checkpoint(files f) : files_(std::move(f)) {}
  files files_;
};

} // namespace troupe::gpu
