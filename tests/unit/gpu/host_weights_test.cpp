// SPDX-License-Identifier: Apache-2.0
// Models that must not load, and the sentence that says why.
#include <doctest/doctest.h>

#include "gpu/host/host_weights.hpp"
#include "tests/support/load_weights.hpp"
#include "tests/support/tiny_llama.hpp"

using namespace troupe;
using namespace troupe::gpu;

namespace {

expected<std::shared_ptr<const host::host_weights>, error> load(std::span<const std::byte> bytes) {
  const test::temporary_file file{bytes};
  auto opened = gguf_file::open(file.path());
  if (!opened)
    return unexpected{opened.error()};
  return test::load_weights(*opened);
}

/// The error of a model whose tensor `name` was changed.
error spoiled(const std::string& name, const std::function<void(test::tiny_llama::tensor&)>& change) {
  auto loaded = load(test::tiny_llama{}.write([&](auto& t) {
    if (t.name == name)
      change(t);
  }));
  REQUIRE_FALSE(loaded);
  return loaded.error();
}

bool names(const error& e, std::string_view what) { return e.context.find(what) != std::string::npos; }

/// A file with the given keys changed: tiny_llama's own, built by hand.
error with_numbers(const std::function<void(test::tiny_llama&)>& change) {
  test::tiny_llama model;
  change(model);
  auto loaded = load(model.write());
  REQUIRE_FALSE(loaded);
  return loaded.error();
}

} // namespace

TEST_CASE("progress ends at the total, in bytes of the file") {
  const auto bytes = test::tiny_llama{}.write();
  const test::temporary_file file{bytes};
  auto opened = gguf_file::open(file.path());
  REQUIRE(opened);
  auto model = describe_model(*opened);
  REQUIRE(model);
  std::vector<host::load_progress> seen;
  REQUIRE(host::host_weights::load(*model, host::weight_format::as_stored,
                                   [&](host::load_progress p) { seen.push_back(p); }));
  REQUIRE_FALSE(seen.empty());
  for (std::size_t i = 1; i < seen.size(); ++i)
    CHECK(seen[i].bytes_done >= seen[i - 1].bytes_done);
  std::uint64_t matrices = 0;
  for (const auto& tensor : opened->tensors())
    matrices += tensor.dims[1] == 1 ? 0 : tensor.data.size();
  CHECK(seen.back().bytes_done == seen.back().bytes_total);
  CHECK(seen.back().bytes_total == matrices);
}

TEST_CASE("a missing tensor is named") {
  for (const auto* name : {"token_embd.weight", "blk.1.attn_k.weight", "blk.0.ffn_norm.weight", "output_norm.weight"}) {
    const auto e = spoiled(name, [](auto& t) { t.name.clear(); });
    CHECK(e.code == errc::missing);
    CHECK(names(e, name));
  }
}

TEST_CASE("a wrong shape is named with both shapes") {
  const auto e = spoiled("blk.1.attn_v.weight", [](auto& t) {
    t.dims = {64, 16};
    t.data = test::random_matrix(t.type, 16, 64, 1);
  });
  CHECK(e.code == errc::missing);
  CHECK(names(e, "blk.1.attn_v.weight"));
  CHECK(names(e, "[64, 16]"));
  CHECK(names(e, "[64, 32]"));
  CHECK(names(spoiled("blk.0.ffn_down.weight", [](auto& t) { t.dims = {32, 64, 3}; }), "blk.0.ffn_down.weight"));
}

TEST_CASE("an unsupported type is named with its tensor") {
  const auto e = spoiled("blk.0.ffn_gate.weight", [](auto& t) { t.type = static_cast<tensor_type>(10); });
  CHECK(e.code == errc::unsupported);
  CHECK(names(e, "blk.0.ffn_gate.weight"));
  CHECK(names(e, "Q2_K"));
  const auto norm = spoiled("blk.0.attn_norm.weight", [](auto& t) {
    t.type = tensor_type::q8_0;
    t.data.resize(2 * 34);
  });
  CHECK(norm.code == errc::unsupported);
  CHECK(names(norm, "blk.0.attn_norm.weight"));
}

TEST_CASE("a tensor that no llama has is refused rather than left out") {
  CHECK(names(spoiled("output_norm.weight", [](auto& t) { t.name = "blk.0.attn_sinks"; }), "output_norm.weight"));
  auto loaded = load(test::tiny_llama{.layers = 3}.write([](auto& t) {
    if (t.name == "blk.2.attn_norm.weight")
      t.name = "blk.2.attn_sinks.weight";
  }));
  REQUIRE_FALSE(loaded);
  // Both faults are there; one of them is named.
  CHECK((names(loaded.error(), "blk.2.attn_norm.weight") || names(loaded.error(), "blk.2.attn_sinks.weight")));
}

TEST_CASE("numbers that do not fit each other are refused by key") {
  CHECK(names(with_numbers([](auto& m) { m.kv_heads = 4; }), "6 heads are not a multiple of 4 key/value heads"));
  CHECK(names(with_numbers([](auto& m) { m.context_tokens = 0; }), "llama.context_length"));
  CHECK(names(with_numbers([](auto& m) { m.context_tokens = ~0u; }), "llama.context_length"));
  CHECK(names(with_numbers([](auto& m) {
                m.head_width = 15;
                m.attention_type = tensor_type::f32;
              }),
              "heads are 15 wide"));
}

TEST_CASE("another architecture or missing key is named") {
  test::gguf_writer file;
  file.add_string("general.architecture", "deepseek2");
  CHECK(names(load(file.finish()).error(), "'deepseek2', known are llama, smollm3, qwen2, qwen3, qwen3moe, gemma3"));
  test::gguf_writer empty;
  CHECK(names(load(empty.finish()).error(), "general.architecture"));
  test::gguf_writer scaled;
  scaled.add_string("general.architecture", "llama");
  scaled.add_string("llama.rope.scaling.type", "yarn");
  CHECK(names(load(scaled.finish()).error(), "yarn"));
}

TEST_CASE("the hash follows the weights") {
  const auto a = load(test::tiny_llama{}.write());
  const auto b = load(test::tiny_llama{}.write());
  const auto c = load(test::tiny_llama{}.write([](auto& t) {
    if (t.name == "blk.1.ffn_up.weight")
      t.data.back() ^= std::byte{1};
  }));
  REQUIRE((a && b && c));
  CHECK((*a)->hash() == (*b)->hash());
  CHECK((*a)->hash() != (*c)->hash());
}

TEST_CASE("the hash follows the names and types of norms too") {
  const auto hash_after = [](const std::function<void(tensor_info&)>& change) {
    const test::temporary_file file{test::tiny_llama{}.write([](auto& t) {
      if (t.name == "blk.1.ffn_norm.weight") {
        t.type = tensor_type::f16;
        t.data.resize(t.data.size() / 2);
      }
    })};
    auto opened = gguf_file::open(file.path());
    REQUIRE(opened);
    auto model = describe_model(*opened);
    REQUIRE(model);
    change(model->tensors.layers[1].ffn_norm);
    auto loaded = host::host_weights::load(*model);
    REQUIRE(loaded);
    return (*loaded)->hash();
  };
  const auto unchanged = hash_after([](auto&) {});
  CHECK(hash_after([](auto&) {}) == unchanged);
  CHECK(hash_after([](auto& t) { t.name = "blk.1.attn_norm.weight"; }) != unchanged);
  CHECK(hash_after([](auto& t) { t.type = tensor_type::bf16; }) != unchanged);
}
