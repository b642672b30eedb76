// SPDX-License-Identifier: Apache-2.0
// A model's numbers from GGUF metadata. What the format leaves out is what llama.cpp assumes.
#include <array>
#include <cmath>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gpu/model/architecture.hpp"
#include "gpu/model/describe_model.hpp"
#include "gpu/model/in_quotes.hpp"
#include "gpu/model/model_bounds.hpp"

namespace troupe::gpu {

namespace {

constexpr std::string_view rope_divisors_tensor = "rope_freqs.weight";

/// Reads keys of one architecture and keeps the first error, so that the list of keys reads as one.
class gguf_key_reader {
public:
  gguf_key_reader(const gguf_file& file, std::string_view architecture) : file_(file), prefix_(architecture) {
    prefix_ += '.';
  }

  bool has(std::string_view key) const { return file_.has(prefix_ + std::string{key}); }

  std::uint32_t uint(std::string_view key, std::uint64_t max, std::optional<std::uint64_t> fallback = std::nullopt) {
    return within(1, max, key, fallback);
  }

  std::uint32_t uint_or_zero(std::string_view key, std::uint64_t max, std::optional<std::uint64_t> fallback) {
    return within(0, max, key, fallback);
  }

  double positive(std::string_view key, double max, std::optional<double> fallback = std::nullopt) {
    if (error_)
      return 0;
    if (fallback && !has(key))
      return *fallback;
    auto value = file_.find_float(prefix_ + std::string{key});
    if (!value)
      return error_ = value.error(), 0;
    if (!(std::isfinite(*value) && *value > 0 && *value <= max)) {
      refuse(errc::malformed_file, key, "is " + std::to_string(*value) + ", not a positive number of usual size");
      return 0;
    }
    return *value;
  }

  std::string text(std::string_view key, std::string_view fallback) {
    if (error_ || !has(key))
      return std::string{fallback};
    auto value = file_.find_string(prefix_ + std::string{key});
    if (!value)
      return error_ = value.error(), std::string{};
    return std::string{*value};
  }

  /// Refuses a feature that would change the arithmetic, unless its number is 0 or absent.
  void demand_zero(std::string_view key) {
    if (error_ || !has(key))
      return;
    auto value = file_.find_float(prefix_ + std::string{key});
    if (!value)
      error_ = value.error();
    else if (*value != 0)
      refuse(errc::unsupported, key, "is not 0, which is not supported");
  }

  void refuse(errc code, std::string_view key, const std::string& why) {
    if (!error_)
      error_ = error{code, prefix_ + std::string{key} + " " + why};
  }

  void take_error(const error& of) {
    if (!error_)
      error_ = of;
  }

  const std::optional<error>& first_error() const { return error_; }

private:
  std::uint32_t within(std::uint64_t min, std::uint64_t max, std::string_view key,
                       std::optional<std::uint64_t> fallback) {
    if (error_)
      return 0;
    const auto value = fallback && !has(key) ? *fallback : file_.find_uint(prefix_ + std::string{key});
    if (!value)
      return error_ = value.error(), 0;
    if (*value < min || *value > max)
      return refuse(errc::malformed_file, key,
                    "is " + std::to_string(*value) + ", not within " + std::to_string(min) + " and "
                      + std::to_string(max)),
             0;
    return static_cast<std::uint32_t>(*value);
  }

  const gguf_file& file_;
  std::string prefix_;
  std::optional<error> error_;
};

/// Llama 3 stores its rope scaling as divisors. Empty: all 1.
expected<std::vector<double>, error> read_rope_divisors(const gguf_file& file, std::uint32_t head_width) {
  std::vector<double> result;
  const auto* tensor = file.find_tensor(rope_divisors_tensor);
  if (tensor == nullptr)
    return result;
  const auto name = "tensor " + std::string{rope_divisors_tensor};
  if (tensor->type != tensor_type::f32)
    return fail(errc::unsupported, name + " is of type " + to_string(tensor->type) + ", supported is F32");
  const auto pairs = head_width / 2;
  if (tensor->dims != std::array<std::uint64_t, 4>{pairs, 1, 1, 1})
    return fail(errc::missing, name + " is not of shape [" + std::to_string(pairs) + "]");
  result.reserve(pairs);
  for (std::size_t at = 0; at < tensor->data.size(); at += sizeof(float)) {
    float value = 0;
    std::memcpy(&value, tensor->data.data() + at, sizeof value);
    if (!(std::isfinite(value) && value > 0))
      return fail(errc::malformed_file, name + " has an element that is not a positive number");
    result.push_back(value);
  }
  return result;
}

/// Of linear scaling, which a factor without a type means; 1: there is none. The second key is the older one.
double read_linear_factor(gguf_key_reader& keys) {
  if (keys.text("rope.scaling.type", "linear") != "linear")
    return 1;
  for (const auto* key : {"rope.scaling.factor", "rope.scale_linear"})
    if (keys.has(key))
      return keys.positive(key, 1e6);
  return 1;
}

rope_config read_rope(gguf_key_reader& keys, const gguf_file& file, std::uint32_t head_width) {
  rope_config result;
  result.base = keys.positive("rope.freq_base", bounds::rope_base_max, 10'000.0);
  const auto factor = read_linear_factor(keys);
  auto divisors = read_rope_divisors(file, head_width);
  if (!divisors) {
    keys.take_error(divisors.error());
    return result;
  }
  result.divisors = std::move(*divisors);
  if (factor == 1)
    return result;
  if (!result.divisors.empty())
    keys.refuse(errc::unsupported, "rope.scaling.factor",
                "is not 1, and there is a tensor " + std::string{rope_divisors_tensor} + " as well");
  result.divisors.assign(head_width / 2, factor);
  return result;
}

/// The layers of Gemma 3: five that see a window, then one that sees all. The file does not say so.
void lay_out_gemma3(model_config& config, std::uint32_t window) {
  constexpr std::uint32_t pattern = 6;
  constexpr double local_base = 10'000;
  config.ropes.push_back({local_base, {}});
  for (std::uint32_t i = 0; i < config.layers.size(); ++i)
    if (i % pattern != pattern - 1)
      config.layers[i] = {window, 1};
}

/// The layers of SmolLM3: each fourth has no rope. The file does not say so.
void lay_out_smollm3(model_config& config) {
  constexpr std::uint32_t pattern = 4;
  for (std::uint32_t i = pattern - 1; i < config.layers.size(); i += pattern)
    config.layers[i].rope = no_rope;
}

void read_experts(gguf_key_reader& keys, const architecture& kind, model_config& config) {
  if (!kind.experts) {
    if (keys.uint_or_zero("expert_count", bounds::experts_max, 0) != 0)
      keys.refuse(errc::unsupported, "expert_count", "is not 0, and this architecture has no experts");
    return;
  }
  config.experts.count = keys.uint("expert_count", bounds::experts_max);
  config.experts.used = keys.uint("expert_used_count", bounds::experts_max);
  config.experts.hidden = keys.uint("expert_feed_forward_length", bounds::hidden_max);
  config.experts.normalised = true;
}

void read_heads(gguf_key_reader& keys, model_config& config) {
  config.heads = keys.uint("attention.head_count", bounds::heads_max);
  config.kv_heads = keys.uint("attention.head_count_kv", bounds::heads_max, config.heads);
  if (keys.first_error())
    return;
  const auto divided = config.width / config.heads;
  if (divided == 0 && !keys.has("attention.key_length"))
    return keys.refuse(errc::malformed_file, "embedding_length",
                       std::to_string(config.width) + " over " + std::to_string(config.heads)
                         + " heads gives heads of unusual width");
  config.head_width = keys.uint("attention.key_length", bounds::head_width_max, divided);
  const auto value_length = keys.uint("attention.value_length", bounds::head_width_max, divided);
  if (value_length != config.head_width)
    keys.refuse(errc::unsupported, "attention.value_length",
                std::to_string(value_length) + " differs from the key's " + std::to_string(config.head_width));
  const auto turned = keys.uint("rope.dimension_count", bounds::head_width_max, config.head_width);
  if (turned != config.head_width)
    keys.refuse(errc::unsupported, "rope.dimension_count",
                std::to_string(turned) + " is not the head width " + std::to_string(config.head_width));
}

/// The width whose root divides products of query and key. Gemma 3's largest has another, which the file does not say.
std::uint32_t scaled_width(const architecture& kind, const model_config& config) {
  constexpr std::uint32_t layers_of_the_largest = 62;
  return kind.name == "gemma3" && config.layers.size() == layers_of_the_largest ? config.width / config.heads
                                                                                : config.head_width;
}

} // namespace

expected<model_config, error> read_model_config(const gguf_file& file) {
  auto name = file.find_string("general.architecture");
  if (!name)
    return unexpected{name.error()};
  const auto* kind = find_architecture(*name);
  if (kind == nullptr)
    return fail(errc::unsupported,
                "general.architecture is " + in_quotes(*name) + ", known are " + known_architectures());
  gguf_key_reader keys{file, kind->name};
  for (const auto* key : {"attn_logit_softcapping", "final_logit_softcapping"})
    keys.demand_zero(key);
  const auto scaling = keys.text("rope.scaling.type", "linear");
  if (scaling != "none" && scaling != "linear")
    keys.refuse(errc::unsupported, "rope.scaling.type",
                "is " + in_quotes(scaling) + ", supported are 'none' and 'linear'");
  if (keys.first_error())
    return unexpected{*keys.first_error()};
  const auto* embedding = file.find_tensor("token_embd.weight");
  if (embedding == nullptr)
    return fail(errc::missing, "there is no tensor token_embd.weight");
  if (embedding->dims[1] == 0 || embedding->dims[1] > bounds::vocabulary_max)
    return fail(errc::malformed_file, "token_embd.weight has " + std::to_string(embedding->dims[1]) + " rows");
  model_config config;
  config.architecture = kind->name;
  config.pairs = kind->gguf_pairs;
  config.gate = kind->gate;
  config.qk_norms = kind->qk_norms;
  config.post_norms = kind->post_norms;
  config.vocabulary = keys.uint("vocab_size", bounds::vocabulary_max, embedding->dims[1]);
  config.context_tokens = keys.uint("context_length", bounds::context_max);
  config.width = keys.uint("embedding_length", bounds::width_max);
  config.layers.resize(keys.uint("block_count", bounds::layers_max));
  config.rms_epsilon = static_cast<float>(keys.positive("attention.layer_norm_rms_epsilon", 1.0));
  read_heads(keys, config);
  read_experts(keys, *kind, config);
  // Mixtures may leave it out, or state the width of a part that is not there.
  config.hidden = keys.uint("feed_forward_length", bounds::hidden_max,
                            kind->experts ? std::optional<std::uint64_t>{config.experts.hidden} : std::nullopt);
  config.ropes.push_back(read_rope(keys, file, config.head_width));
  // Gemma 3's layers slide by their place, so its files have to say how far they see.
  const auto window = kind->name == "gemma3" ? keys.uint("attention.sliding_window", bounds::context_max)
                                             : keys.uint_or_zero("attention.sliding_window", bounds::context_max, 0);
  if (keys.first_error())
    return unexpected{*keys.first_error()};
  if (kind->name == "gemma3")
    lay_out_gemma3(config, window);
  else if (kind->name == "smollm3")
    lay_out_smollm3(config);
  else if (window != 0)
    return fail(errc::unsupported, std::string{kind->name} + ".attention.sliding_window is " + std::to_string(window)
                                     + ", only 0 is supported");
  config.embedding_scale = kind->scaled_embedding ? std::sqrt(static_cast<float>(config.width)) : 1.0f;
  config.attention_scale = static_cast<float>(
    keys.positive("attention.scale", 1e3, 1 / std::sqrt(static_cast<double>(scaled_width(*kind, config)))));
  if (keys.first_error())
    return unexpected{*keys.first_error()};
  if (auto fits = check_together(config); !fits)
    return unexpected{fits.error()};
  return config;
}

expected<model_description, error> describe_model(const gguf_file& file) {
  auto config = read_model_config(file);
  if (!config)
    return unexpected{config.error()};
  tensor_source source{tensor_naming::gguf, file.tensors(),
                       [&file](std::string_view name) { return file.find_tensor(std::string{name}); },
                       file.find_tensor("output.weight") == nullptr};
  auto tensors = find_model_tensors(source, *config);
  if (!tensors)
    return unexpected{tensors.error()};
  return model_description{std::move(*config), std::move(*tensors)};
}

} // namespace troupe::gpu
