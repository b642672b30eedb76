// SPDX-License-Identifier: Apache-2.0
#include "gpu/model/llama_config.hpp"

#include <cmath>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::gpu {

namespace {

// Bounds on what a file may ask for: far above any real Llama, low enough that no product of two of
// them overflows 64 bits.
constexpr std::uint64_t vocabulary_max = 1u << 24;
constexpr std::uint64_t context_max = 1u << 20;
constexpr std::uint64_t width_max = 1u << 17;
constexpr std::uint64_t layers_max = 1u << 10;
constexpr std::uint64_t heads_max = 1u << 10;
constexpr std::uint64_t head_width_max = 1u << 10;
constexpr std::uint64_t hidden_max = 1u << 20;

/// Reads keys and keeps the first error, so that the list of keys reads as one.
class key_reader {
public:
  explicit key_reader(const gguf_file& file) : file_(file) {}

  std::uint32_t uint(std::string_view key, std::uint64_t max, std::optional<std::uint64_t> fallback = std::nullopt) {
    if (error_)
      return 0;
    if (fallback && !file_.has(key))
      return static_cast<std::uint32_t>(*fallback);
    auto value = file_.find_uint(key);
    if (!value)
      return error_ = value.error(), 0;
    if (*value == 0 || *value > max) {
      error_ = error{errc::malformed_file,
                     std::string{key} + " is " + std::to_string(*value) + ", not within 1 and " + std::to_string(max)};
      return 0;
    }
    return static_cast<std::uint32_t>(*value);
  }

  double positive(std::string_view key, double max, std::optional<double> fallback = std::nullopt) {
    if (error_)
      return 0;
    if (fallback && !file_.has(key))
      return *fallback;
    auto value = file_.find_float(key);
    if (!value)
      return error_ = value.error(), 0;
    if (!(std::isfinite(*value) && *value > 0 && *value <= max)) {
      error_ = error{errc::malformed_file,
                     std::string{key} + " is " + std::to_string(*value) + ", not a positive number of usual size"};
      return 0;
    }
    return *value;
  }

  const std::optional<error>& first_error() const { return error_; }

private:
  const gguf_file& file_;
  std::optional<error> error_;
};

/// Features that change the arithmetic and that this architecture does not have yet.
expected<void, error> refuse_unsupported(const gguf_file& file) {
  auto architecture = file.find_string("general.architecture");
  if (!architecture)
    return unexpected{architecture.error()};
  if (*architecture != "llama")
    return fail(errc::unsupported,
                "general.architecture is '" + std::string{*architecture} + "', only 'llama' is supported");
  if (file.has("llama.rope.scaling.type")) {
    auto type = file.find_string("llama.rope.scaling.type");
    if (!type)
      return unexpected{type.error()};
    if (*type != "none")
      return fail(errc::unsupported,
                  "llama.rope.scaling.type is '" + std::string{*type} + "', only 'none' is supported");
  }
  for (std::string_view key : {"llama.expert_count", "llama.attention.sliding_window"})
    if (file.has(key)) {
      auto count = file.find_uint(key);
      if (!count)
        return unexpected{count.error()};
      if (*count != 0)
        return fail(errc::unsupported, std::string{key} + " is " + std::to_string(*count) + ", only 0 is supported");
    }
  return {};
}

expected<void, error> check_together(const llama_config& config, std::uint32_t rope_dimensions,
                                     std::uint32_t key_length, std::uint32_t value_length) {
  if (config.heads % config.kv_heads != 0)
    return fail(errc::malformed_file, "llama.attention.head_count " + std::to_string(config.heads)
                                        + " is not a multiple of llama.attention.head_count_kv "
                                        + std::to_string(config.kv_heads));
  if (key_length != value_length)
    return fail(errc::unsupported, "llama.attention.key_length " + std::to_string(key_length)
                                     + " differs from llama.attention.value_length " + std::to_string(value_length));
  if (config.head_width % 2 != 0)
    return fail(errc::malformed_file,
                "heads are " + std::to_string(config.head_width) + " wide: rope needs an even width");
  if (rope_dimensions != config.head_width)
    return fail(errc::unsupported, "llama.rope.dimension_count " + std::to_string(rope_dimensions)
                                     + " is not the head width " + std::to_string(config.head_width));
  return {};
}

} // namespace

expected<llama_config, error> read_llama_config(const gguf_file& file) {
  if (auto ok = refuse_unsupported(file); !ok)
    return unexpected{ok.error()};
  const auto* embedding = file.find_tensor("token_embd.weight");
  if (embedding == nullptr)
    return fail(errc::missing, "there is no tensor token_embd.weight");

  key_reader keys{file};
  llama_config config;
  config.vocabulary = keys.uint("llama.vocab_size", vocabulary_max, embedding->dims[1]);
  config.context_tokens = keys.uint("llama.context_length", context_max);
  config.width = keys.uint("llama.embedding_length", width_max);
  config.layers = keys.uint("llama.block_count", layers_max);
  config.hidden = keys.uint("llama.feed_forward_length", hidden_max);
  config.heads = keys.uint("llama.attention.head_count", heads_max);
  config.kv_heads = keys.uint("llama.attention.head_count_kv", heads_max, config.heads);
  config.rms_epsilon = static_cast<float>(keys.positive("llama.attention.layer_norm_rms_epsilon", 1.0));
  config.rope_base = keys.positive("llama.rope.freq_base", 1e12, 10'000.0);
  if (keys.first_error())
    return unexpected{*keys.first_error()};
  if (embedding->dims[1] == 0 || embedding->dims[1] > vocabulary_max)
    return fail(errc::malformed_file, "token_embd.weight has " + std::to_string(embedding->dims[1]) + " rows");

  const auto divided = config.width / config.heads;
  config.head_width = keys.uint("llama.attention.key_length", head_width_max, divided);
  const auto value_length = keys.uint("llama.attention.value_length", head_width_max, divided);
  const auto rope_dimensions = keys.uint("llama.rope.dimension_count", head_width_max, config.head_width);
  if (keys.first_error())
    return unexpected{*keys.first_error()};
  if (config.head_width == 0 || config.head_width > head_width_max)
    return fail(errc::malformed_file, "llama.embedding_length " + std::to_string(config.width)
                                        + " over llama.attention.head_count " + std::to_string(config.heads)
                                        + " gives heads of unusual width");
  if (auto ok = check_together(config, rope_dimensions, config.head_width, value_length); !ok)
    return unexpected{ok.error()};
  return config;
}

} // namespace troupe::gpu
