// SPDX-License-Identifier: Apache-2.0
// A model's numbers from config.json. What it leaves out is what transformers assumes.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "gpu/model/architecture.hpp"
#include "gpu/model/describe_model.hpp"
#include "gpu/model/in_quotes.hpp"
#include "gpu/model/model_bounds.hpp"
#include "gpu/model/transformers_directory.hpp"

namespace troupe::gpu {

namespace {

using json = nlohmann::json;

/// What transformers assumes where a key is absent, as far as its models differ. Source: their configuration classes.
struct model_defaults {
  std::string_view model_type;
  /// 0: none.
  std::uint32_t sliding_window = 0;
  double rope_theta = 1e4;
  /// 0: the width of a head.
  double query_pre_attn_scalar = 0;
};

constexpr std::array defaults_of_models{
  model_defaults{.model_type = "mistral", .sliding_window = 4096},
  model_defaults{.model_type = "smollm3", .rope_theta = 2e6},
  model_defaults{.model_type = "qwen2", .sliding_window = 4096},
  model_defaults{.model_type = "qwen3", .sliding_window = 4096},
  model_defaults{.model_type = "qwen3_moe", .sliding_window = 4096},
  model_defaults{.model_type = "gemma3_text", .sliding_window = 4096, .rope_theta = 1e6, .query_pre_attn_scalar = 256},
};

model_defaults find_defaults(std::string_view model_type) {
  const auto* found = std::ranges::find(defaults_of_models, model_type, &model_defaults::model_type);
  return found != defaults_of_models.end() ? *found : model_defaults{};
}

/// Reads keys of an object and keeps the first error. A key that is null counts as absent, where not said otherwise.
class json_key_reader {
public:
  json_key_reader(const json& object, std::string path) : object_(object), path_(std::move(path)) {}

  bool has(const char* key) const { return object_.contains(key) && !object_[key].is_null(); }

  std::uint32_t uint(const char* key, std::uint64_t max, std::optional<std::uint64_t> fallback = std::nullopt) {
    const auto* value = find(key, fallback.has_value());
    if (value == nullptr)
      return static_cast<std::uint32_t>(fallback.value_or(0));
    if (!value->is_number_unsigned() || value->get<std::uint64_t>() == 0 || value->get<std::uint64_t>() > max)
      return refuse(errc::malformed_file, key, "is not a count within 1 and " + std::to_string(max)), 0;
    return value->get<std::uint32_t>();
  }

  /// Zero if it is null.
  std::uint32_t uint_or_null(const char* key, std::uint64_t max, std::uint64_t fallback) {
    return uint(key, max, object_.contains(key) ? 0 : fallback);
  }

  double positive(const char* key, double max, std::optional<double> fallback = std::nullopt) {
    const auto* value = find(key, fallback.has_value());
    if (value == nullptr)
      return fallback.value_or(0);
    if (!value->is_number() || !(value->get<double>() > 0 && value->get<double>() <= max))
      return refuse(errc::malformed_file, key, "is not a positive number of usual size"), 0;
    return value->get<double>();
  }

  bool flag(const char* key, bool fallback) {
    const auto* value = find(key, true);
    if (value == nullptr)
      return fallback;
    if (!value->is_boolean())
      return refuse(errc::malformed_file, key, "is neither true nor false"), fallback;
    return value->get<bool>();
  }

  std::string text(const char* key, std::string_view fallback) {
    const auto* value = find(key, true);
    if (value == nullptr)
      return std::string{fallback};
    if (!value->is_string())
      return refuse(errc::malformed_file, key, "is not a string"), std::string{};
    return value->get<std::string>();
  }

  /// nullptr if it is absent.
  const json* object(const char* key) {
    const auto* value = find(key, true);
    if (value != nullptr && !value->is_object())
      return refuse(errc::malformed_file, key, "is not an object"), nullptr;
    return value;
  }

  /// Of `count` elements.
  const json* array(const char* key, std::size_t count) {
    const auto* value = find(key, true);
    if (value != nullptr && (!value->is_array() || value->size() != count))
      return refuse(errc::malformed_file, key, "is not an array of " + std::to_string(count)), nullptr;
    return value;
  }

  /// Refuses a feature that would change the arithmetic unless the key has this value or is absent.
  void demand_null(const char* key) {
    if (has(key))
      refuse(errc::unsupported, key, "is set, which is not supported");
  }

  void refuse(errc code, std::string_view key, const std::string& why) {
    if (!error_)
      error_ = error{code, path_ + std::string{key} + " " + why};
  }
  void take_error(const json_key_reader& of) {
    if (!error_)
      error_ = of.error_;
  }

  const std::optional<error>& first_error() const { return error_; }

private:
  const json* find(const char* key, bool may_lack) {
    if (error_)
      return nullptr;
    if (has(key))
      return &object_[key];
    if (!may_lack)
      refuse(errc::missing, key, "is missing");
    return nullptr;
  }

  const json& object_;
  std::string path_;
  std::optional<error> error_;
};

/// Llama 3: wavelengths beyond the old context are stretched by `factor`, those far below it are kept, and between the
/// two it goes over linearly in old context / wavelength.
std::vector<double> llama3_divisors(json_key_reader& scaling, double base, std::uint32_t head_width) {
  const auto factor = scaling.positive("factor", 1e6);
  const auto low = scaling.positive("low_freq_factor", 1e6);
  const auto high = scaling.positive("high_freq_factor", 1e6);
  const auto context = scaling.uint("original_max_position_embeddings", bounds::context_max);
  std::vector<double> result;
  for (std::uint32_t i = 0; i < head_width / 2; ++i) {
    const auto turns = context / (2 * std::numbers::pi * std::pow(base, 2.0 * i / head_width));
    if (turns < low) {
      result.push_back(factor);
    } else if (turns > high) {
      result.push_back(1);
    } else {
      const auto smooth = (turns - low) / (high - low);
      result.push_back(1 / ((1 - smooth) / factor + smooth));
    }
  }
  return result;
}

/// From an object with rope_type (or type) and its numbers.
rope_config read_scaled_rope(json_key_reader& scaling, double base, std::uint32_t head_width) {
  rope_config result{base, {}};
  const auto type = scaling.text("rope_type", scaling.text("type", "default"));
  if (type == "linear")
    result.divisors.assign(head_width / 2, scaling.positive("factor", 1e6));
  else if (type == "llama3")
    result.divisors = llama3_divisors(scaling, base, head_width);
  else if (type != "default")
    scaling.refuse(errc::unsupported, "rope_type",
                   "is " + in_quotes(type) + ", supported are 'default', 'linear' and 'llama3'");
  return result;
}

/// transformers 5 has rope_parameters, one object or one for each kind of layer; earlier ones rope_theta and
/// rope_scaling.
rope_config read_rope(json_key_reader& keys, const char* kind, const char* base_key, double base,
                      std::uint32_t head_width) {
  if (const auto* parameters = keys.object("rope_parameters")) {
    json_key_reader all{*parameters, "rope_parameters."};
    const auto* mine = all.object(kind);
    json_key_reader chosen{mine != nullptr ? *mine : *parameters,
                           mine != nullptr ? std::string{"rope_parameters."} + kind + "." : "rope_parameters."};
    auto result = read_scaled_rope(chosen, chosen.positive("rope_theta", bounds::rope_base_max, base), head_width);
    keys.take_error(all);
    keys.take_error(chosen);
    return result;
  }
  const auto stated = keys.positive(base_key, bounds::rope_base_max, base);
  // Of the layers that see all only.
  if (const auto* scaling = std::string_view{kind} == "full_attention" ? keys.object("rope_scaling") : nullptr) {
    json_key_reader scaled{*scaling, "rope_scaling."};
    auto result = read_scaled_rope(scaled, stated, head_width);
    keys.take_error(scaled);
    return result;
  }
  return {stated, {}};
}

/// Which layers see a window only: layer_types, or the older ways to say so.
void read_windows(json_key_reader& keys, const architecture& kind, const model_defaults& defaults,
                  model_config& config) {
  const auto all_layers = defaults.model_type == "mistral";
  const auto window = keys.uint_or_null("sliding_window", bounds::context_max, defaults.sliding_window);
  const auto count = config.layers.size();
  auto slide = [&](layer_config& layer) {
    if (window == 0)
      keys.refuse(errc::missing, "sliding_window", "is missing, and there are layers that see a window only");
    layer.window = window;
  };
  if (const auto* types = keys.array("layer_types", count)) {
    for (std::size_t i = 0; i < count; ++i)
      if ((*types)[i] == "sliding_attention")
        slide(config.layers[i]);
      else if ((*types)[i] != "full_attention")
        return keys.refuse(errc::unsupported, "layer_types",
                           "has a layer that is neither 'full_attention' nor 'sliding_attention'");
    return;
  }
  if (kind.name == "gemma3") {
    const auto pattern = keys.uint("sliding_window_pattern", bounds::layers_max, 6);
    for (std::size_t i = 0; pattern != 0 && i < count; ++i)
      if ((i + 1) % pattern != 0)
        slide(config.layers[i]);
    return;
  }
  if (!keys.flag("use_sliding_window", all_layers))
    return;
  constexpr std::uint64_t usual_first = 28;
  for (std::size_t i = all_layers ? 0 : keys.uint("max_window_layers", bounds::layers_max, usual_first); i < count; ++i)
    config.layers[i].window = window;
}

void read_layers(json_key_reader& keys, const architecture& kind, const model_defaults& defaults,
                 model_config& config) {
  read_windows(keys, kind, defaults, config);
  config.ropes = {read_rope(keys, "full_attention", "rope_theta", defaults.rope_theta, config.head_width)};
  if (kind.name == "gemma3") {
    config.ropes.push_back(read_rope(keys, "sliding_attention", "rope_local_base_freq", 1e4, config.head_width));
    for (auto& layer : config.layers)
      layer.rope = layer.window != 0 ? 1 : 0;
    return;
  }
  if (kind.name != "smollm3")
    return;
  if (const auto* ropes = keys.array("no_rope_layers", config.layers.size())) {
    for (std::size_t i = 0; i < ropes->size(); ++i)
      if ((*ropes)[i] == 0)
        config.layers[i].rope = no_rope;
    return;
  }
  const auto interval = keys.uint("no_rope_layer_interval", bounds::layers_max, 4);
  for (std::size_t i = interval; interval != 0 && i <= config.layers.size(); i += interval)
    config.layers[i - 1].rope = no_rope;
}

void read_experts(json_key_reader& keys, const architecture& kind, model_config& config) {
  if (!kind.experts)
    return;
  config.experts.count = keys.uint(keys.has("num_experts") ? "num_experts" : "num_local_experts", bounds::experts_max);
  config.experts.used = keys.uint("num_experts_per_tok", bounds::experts_max);
  config.experts.hidden = keys.uint("moe_intermediate_size", bounds::hidden_max);
  config.experts.normalised = keys.flag("norm_topk_prob", false);
  keys.array("mlp_only_layers", 0); // or there are layers without experts
  if (keys.uint("decoder_sparse_step", bounds::layers_max, 1) != 1)
    keys.refuse(errc::unsupported, "decoder_sparse_step", "is not 1: some layers have no experts");
}

/// Features that change the arithmetic and that this program does not have.
void refuse_unsupported(json_key_reader& keys, const architecture& kind) {
  for (const auto* key : {"quantization_config", "attn_logit_softcapping", "final_logit_softcapping"})
    keys.demand_null(key);
  if (keys.flag("use_bidirectional_attention", false))
    keys.refuse(errc::unsupported, "use_bidirectional_attention", "is set, which is not supported");
  const auto gate = keys.text(keys.has("hidden_activation") ? "hidden_activation" : "hidden_act",
                              kind.gate == gate_function::silu ? "silu" : "gelu_pytorch_tanh");
  if (gate != (kind.gate == gate_function::silu ? "silu" : "gelu_pytorch_tanh"))
    keys.refuse(errc::unsupported, "hidden_act",
                "is " + in_quotes(gate) + ", which is not supported for this architecture");
  const auto partial = keys.positive("partial_rotary_factor", 1, 1.0);
  if (partial != 1)
    keys.refuse(errc::unsupported, "partial_rotary_factor", "is not 1");
}

expected<const architecture*, error> find_kind(const json& config) {
  const auto type = config.contains("model_type") && config["model_type"].is_string()
                      ? config["model_type"].get<std::string>()
                      : std::string{};
  if (const auto* kind = find_architecture_by_model_type(type))
    return kind;
  return fail(errc::unsupported,
              "config.json: model_type is " + in_quotes(type) + ", known are " + known_model_types());
}

} // namespace

expected<model_config, error> read_model_config(const transformers_directory& directory) {
  if (std::error_code ignored; std::filesystem::exists(directory.path() / "adapter_config.json", ignored))
    return fail(errc::unsupported, directory.path().string() + " is a LoRA adapter, not a model");
  auto found = find_kind(directory.config());
  if (!found)
    return unexpected{found.error()};
  const auto& kind = **found;
  json_key_reader keys{directory.config(), "config.json: "};
  model_config config;
  config.architecture = kind.name;
  config.pairs = rope_pairs::halves;
  config.gate = kind.gate;
  config.qk_norms = kind.qk_norms;
  config.post_norms = kind.post_norms;
  config.norms_less_one = kind.norms_less_one;
  config.vocabulary = keys.uint("vocab_size", bounds::vocabulary_max);
  config.context_tokens = keys.uint("max_position_embeddings", bounds::context_max);
  config.width = keys.uint("hidden_size", bounds::width_max);
  config.layers.resize(keys.uint("num_hidden_layers", bounds::layers_max));
  config.heads = keys.uint("num_attention_heads", bounds::heads_max);
  config.kv_heads = keys.uint("num_key_value_heads", bounds::heads_max, config.heads);
  config.hidden = keys.uint("intermediate_size", bounds::hidden_max);
  config.rms_epsilon = static_cast<float>(keys.positive("rms_norm_eps", 1.0, 1e-6));
  if (keys.first_error())
    return unexpected{*keys.first_error()};
  config.head_width = keys.uint("head_dim", bounds::head_width_max, config.width / config.heads);
  read_experts(keys, kind, config);
  const auto defaults = find_defaults(keys.text("model_type", ""));
  read_layers(keys, kind, defaults, config);
  refuse_unsupported(keys, kind);
  config.embedding_scale = kind.scaled_embedding ? std::sqrt(static_cast<float>(config.width)) : 1.0f;
  const auto scaled_width =
    defaults.query_pre_attn_scalar != 0 ? defaults.query_pre_attn_scalar : static_cast<double>(config.head_width);
  config.attention_scale = static_cast<float>(1 / std::sqrt(keys.positive("query_pre_attn_scalar", 1e6, scaled_width)));
  if (keys.first_error())
    return unexpected{*keys.first_error()};
  if (auto fits = check_together(config); !fits)
    return unexpected{fits.error()};
  return config;
}

expected<model_description, error> describe_model(const transformers_directory& directory) {
  auto config = read_model_config(directory);
  if (!config)
    return unexpected{config.error()};
  const auto& json_config = directory.config();
  // Gemma's default differs from that of the others.
  const auto tied = json_config.contains("tie_word_embeddings") && json_config["tie_word_embeddings"].is_boolean()
                      ? json_config["tie_word_embeddings"].get<bool>()
                      : directory.find_tensor("lm_head.weight") == nullptr;
  tensor_source source{tensor_naming::transformers, directory.tensors(),
                       [&directory](std::string_view name) { return directory.find_tensor(name); }, tied};
  auto tensors = find_model_tensors(source, *config);
  if (!tensors)
    return unexpected{tensors.error()};
  return model_description{std::move(*config), std::move(*tensors)};
}

} // namespace troupe::gpu
