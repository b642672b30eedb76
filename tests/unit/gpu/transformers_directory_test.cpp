// SPDX-License-Identifier: Apache-2.0
// Directories that must not load, and the sentence that says why.
#include "gpu/model/transformers_directory.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "gpu/model/describe_model.hpp"

using namespace troupe;
using namespace troupe::gpu;

namespace {

namespace fs = std::filesystem;

const fs::path goldens{TROUPE_SOURCE_DIR "/tests/goldens/architectures"};

/// A copy of a golden checkpoint, to be spoiled.
class copied_model {
public:
  explicit copied_model(const std::string& name)
    : path_(fs::temp_directory_path() / ("troupe_model_" + std::to_string(::getpid()))) {
    fs::remove_all(path_);
    fs::copy(goldens / name, path_);
  }
  ~copied_model() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

  void change_config(const std::function<void(nlohmann::json&)>& change) {
    auto config = nlohmann::json::parse(std::ifstream{path_ / "config.json"});
    change(config);
    std::ofstream{path_ / "config.json"} << config;
  }

  /// Empty if it can be described.
  std::string refusal() const {
    auto directory = transformers_directory::open(path_);
    if (!directory)
      return directory.error().context;
    auto model = describe_model(*directory);
    return model ? std::string{} : model.error().context;
  }

private:
  fs::path path_;
};

std::string refusal_of(const std::string& name, const std::function<void(nlohmann::json&)>& change) {
  copied_model model{name};
  model.change_config(change);
  return model.refusal();
}

model_config config_of(const std::string& name, const std::function<void(nlohmann::json&)>& change) {
  copied_model model{name};
  model.change_config(change);
  auto directory = transformers_directory::open(model.path());
  REQUIRE(directory);
  auto config = read_model_config(*directory);
  REQUIRE_MESSAGE(config, config.error().context);
  return *config;
}

std::vector<std::uint32_t> windows_of(const model_config& config) {
  std::vector<std::uint32_t> result;
  for (const auto& layer : config.layers)
    result.push_back(layer.window);
  return result;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("what would change the arithmetic is refused by name") {
  CHECK(refusal_of("llama", [](auto&) {}).empty());
  CHECK(has(refusal_of("llama", [](auto& c) { c["model_type"] = "deepseek_v3"; }),
            "model_type is 'deepseek_v3', known are llama, mistral, smollm3, qwen2, qwen3, qwen3_moe, gemma3_text"));
  CHECK(has(refusal_of("llama", [](auto& c) { c["rope_parameters"]["rope_type"] = "yarn"; }), "'yarn'"));
  CHECK(has(refusal_of("llama", [](auto& c) { c["quantization_config"] = {{"bits", 4}}; }), "quantization_config"));
  CHECK(has(refusal_of("llama", [](auto& c) { c["hidden_act"] = "relu"; }), "'relu'"));
  CHECK(has(refusal_of("llama", [](auto& c) { c["partial_rotary_factor"] = 0.5; }), "partial_rotary_factor"));
  CHECK(has(refusal_of("gemma3", [](auto& c) { c["final_logit_softcapping"] = 30.0; }), "final_logit_softcapping"));
  CHECK(has(refusal_of("gemma3", [](auto& c) { c["use_bidirectional_attention"] = true; }), "bidirectional"));
  CHECK(has(refusal_of("gemma3", [](auto& c) { c["layer_types"][2] = "linear_attention"; }), "layer_types"));
  CHECK(has(refusal_of("qwen3_moe", [](auto& c) { c["mlp_only_layers"] = {1}; }), "mlp_only_layers"));
  CHECK(has(refusal_of("qwen3_moe", [](auto& c) { c["decoder_sparse_step"] = 2; }), "decoder_sparse_step"));
}

TEST_CASE("numbers that are missing, of another type, or do not fit are refused by key") {
  CHECK(has(refusal_of("llama", [](auto& c) { c.erase("hidden_size"); }), "hidden_size is missing"));
  CHECK(has(refusal_of("llama", [](auto& c) { c["num_hidden_layers"] = -1; }), "num_hidden_layers"));
  CHECK(has(refusal_of("llama", [](auto& c) { c["num_hidden_layers"] = "3"; }), "num_hidden_layers"));
  CHECK(has(refusal_of("llama", [](auto& c) { c["num_attention_heads"] = 0; }), "num_attention_heads"));
  CHECK(has(refusal_of("llama", [](auto& c) { c["vocab_size"] = 1e18; }), "vocab_size"));
  CHECK(has(refusal_of("llama", [](auto& c) { c["num_key_value_heads"] = 3; }), "4 heads are not a multiple of 3"));
  CHECK(has(refusal_of("llama", [](auto& c) { c["intermediate_size"] = 113; }), "expected [96, 113]"));
  CHECK(has(refusal_of("llama", [](auto& c) { c["num_hidden_layers"] = 2; }), "is not part of a llama model"));
  CHECK(has(refusal_of("qwen3", [](auto& c) { c["head_dim"] = 33; }), "33 wide"));
  CHECK(has(refusal_of("gemma3", [](auto& c) { c["layer_types"].erase(0); }), "array of 7"));
  CHECK(has(refusal_of("qwen3_moe", [](auto& c) { c["num_experts_per_tok"] = 7; }), "7 experts a token of 6"));
}

TEST_CASE("older ways to write the same configuration give the same model") {
  const auto same = [&](const std::string& name, const std::function<void(nlohmann::json&)>& change) {
    const auto a = config_of(name, [](auto&) {});
    const auto b = config_of(name, change);
    REQUIRE(a.ropes.size() == b.ropes.size());
    for (std::size_t i = 0; i < a.ropes.size(); ++i) {
      CHECK(a.ropes[i].base == b.ropes[i].base);
      CHECK(a.ropes[i].divisors == b.ropes[i].divisors);
    }
    for (std::size_t i = 0; i < a.layers.size(); ++i) {
      CHECK(a.layers[i].window == b.layers[i].window);
      CHECK(a.layers[i].rope == b.layers[i].rope);
    }
  };
  same("llama3", [](auto& c) {
    auto rope = c["rope_parameters"];
    c.erase("rope_parameters");
    c["rope_theta"] = rope["rope_theta"];
    rope.erase("rope_theta");
    c["rope_scaling"] = rope;
  });
  same("gemma3", [](auto& c) {
    c.erase("rope_parameters");
    c.erase("layer_types");
    c["rope_theta"] = 1e6;
    c["rope_local_base_freq"] = 1e4;
    c["sliding_window_pattern"] = 6;
  });
  same("smollm3", [](auto& c) {
    c.erase("no_rope_layers");
    c.erase("layer_types");
  });
  same("mistral", [](auto& c) {
    c.erase("rope_parameters");
    c["rope_theta"] = 1e4;
  });
}

TEST_CASE("an absent window is the default of the model, and null is none") {
  using windows = std::vector<std::uint32_t>;
  auto without = [](auto& c) { c.erase("sliding_window"); };
  auto with_null = [](auto& c) { c["sliding_window"] = nullptr; };
  const auto gemma3 = config_of("gemma3", without);
  CHECK(windows_of(gemma3) == windows{4096, 4096, 4096, 4096, 4096, 0, 4096});
  for (const auto& layer : gemma3.layers)
    CHECK(layer.rope == (layer.window != 0 ? 1u : 0u));
  CHECK(windows_of(config_of("mistral", without)) == windows{4096, 4096, 4096});
  CHECK(windows_of(config_of("mistral", with_null)) == windows{0, 0, 0});
  auto from_second_layer = [](auto& c) {
    c.erase("layer_types");
    c["use_sliding_window"] = true;
    c["max_window_layers"] = 1;
  };
  CHECK(windows_of(config_of("qwen2",
                             [&](auto& c) {
                               from_second_layer(c);
                               without(c);
                             }))
        == windows{0, 4096, 4096});
  CHECK(windows_of(config_of("qwen2", from_second_layer)) == windows{0, 0, 0});
}

TEST_CASE("a layer that sees a window of unknown width is refused") {
  const std::string_view why = "config.json: sliding_window is missing";
  CHECK(has(refusal_of("gemma3", [](auto& c) { c["sliding_window"] = nullptr; }), why));
  CHECK(has(refusal_of("gemma3",
                       [](auto& c) {
                         c.erase("layer_types");
                         c["sliding_window"] = nullptr;
                       }),
            why));
  CHECK(has(refusal_of("llama", [](auto& c) { c["layer_types"] = std::vector<std::string>(3, "sliding_attention"); }),
            why));
}

TEST_CASE("Gemma 3's products of query and key are scaled for heads of 256 if it does not say so") {
  CHECK(config_of("gemma3", [](auto& c) { c.erase("query_pre_attn_scalar"); }).attention_scale == 1.0f / 16);
}

TEST_CASE("text of the files is quoted in errors") {
  CHECK(has(refusal_of("llama", [](auto& c) { c["model_type"] = "a\nb"; }), "model_type is 'a\\x0ab'"));
  CHECK(has(refusal_of("llama", [](auto& c) { c["rope_parameters"]["rope_type"] = "a\nb"; }), "'a\\x0ab'"));
  CHECK(has(refusal_of("llama", [](auto& c) { c["hidden_act"] = "a\nb"; }), "'a\\x0ab'"));
}

TEST_CASE("a tensor in two files is refused") {
  copied_model model{"qwen2"};
  fs::copy(model.path() / "model.safetensors", model.path() / "again.safetensors");
  std::ofstream{model.path() / "model.safetensors.index.json"}
    << nlohmann::json{{"weight_map", {{"a", "model.safetensors"}, {"b", "again.safetensors"}}}};
  CHECK(has(model.refusal(), "tensor 'lm_head.weight' is in two files"));
}

TEST_CASE("shards are read as one, and an index that leads elsewhere is refused") {
  copied_model model{"qwen2"};
  fs::rename(model.path() / "model.safetensors", model.path() / "part.safetensors");
  CHECK(has(model.refusal(), "model.safetensors: cannot open"));
  auto write_index = [&](const std::string& file) {
    std::ofstream{model.path() / "model.safetensors.index.json"}
      << nlohmann::json{{"weight_map", {{"model.norm.weight", file}}}};
  };
  write_index("part.safetensors");
  CHECK(model.refusal().empty());
  write_index("../part.safetensors");
  CHECK(has(model.refusal(), "does not name a file of the directory"));
  std::ofstream{model.path() / "model.safetensors.index.json"} << "{}";
  CHECK(has(model.refusal(), "no object weight_map"));
}

TEST_CASE("an adapter is no model") {
  copied_model model{"llama"};
  std::ofstream{model.path() / "adapter_config.json"} << "{}";
  CHECK(has(model.refusal(), "is a LoRA adapter"));
}
