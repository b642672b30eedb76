// SPDX-License-Identifier: Apache-2.0
// The numbers of a GGUF file: what it leaves out, and what would change the arithmetic.
#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <string>
#include <vector>

#include "gpu/model/describe_model.hpp"
#include "tests/support/tiny_llama.hpp"

using namespace troupe;
using namespace troupe::gpu;

namespace {

using additions = std::function<void(test::gguf_writer&)>;

expected<model_config, error> config_with(const additions& more) {
  const test::temporary_file file{test::tiny_llama{.more = more}.write()};
  auto opened = gguf_file::open(file.path());
  REQUIRE_MESSAGE(opened, opened.error().context);
  return read_model_config(*opened);
}

/// Divisors of the rope that all layers have.
std::vector<double> divisors_with(const additions& more) {
  auto config = config_with(more);
  REQUIRE_MESSAGE(config, config.error().context);
  REQUIRE(config->ropes.size() == 1);
  return config->ropes[0].divisors;
}

error refusal_with(const additions& more) {
  auto config = config_with(more);
  REQUIRE_FALSE(config);
  return config.error();
}

/// Of tiny_llama.
constexpr std::size_t pairs = 8;

additions rope_divisors(const std::vector<float>& values) {
  return [=](auto& file) { file.add_tensor("rope_freqs.weight", std::array<std::uint64_t, 1>{values.size()}, values); };
}

/// All 1, but for the one in the middle.
additions rope_divisors_with(float middle) {
  std::vector<float> values(pairs, 1);
  values[pairs / 2] = middle;
  return rope_divisors(values);
}

} // namespace

TEST_CASE("linear scaling of rope has llama.cpp's keys and defaults") {
  CHECK(divisors_with([](auto&) {}).empty());
  CHECK(divisors_with([](auto& f) { f.add_float("llama.rope.scaling.factor", 4); }) == std::vector<double>(pairs, 4));
  CHECK(divisors_with([](auto& f) { f.add_float("llama.rope.scale_linear", 2); }) == std::vector<double>(pairs, 2));
  CHECK(divisors_with([](auto& f) {
          f.add_float("llama.rope.scale_linear", 2);
          f.add_float("llama.rope.scaling.factor", 4);
        })
        == std::vector<double>(pairs, 4));
  CHECK(divisors_with([](auto& f) { f.add_string("llama.rope.scaling.type", "linear"); }).empty());
  CHECK(divisors_with([](auto& f) {
          f.add_string("llama.rope.scaling.type", "none");
          f.add_float("llama.rope.scaling.factor", 4);
        }).empty());
  CHECK(refusal_with([](auto& f) {
          f.add_float("llama.rope.scaling.factor", -4);
        }).context.starts_with("llama.rope.scaling.factor is -4"));
}

TEST_CASE("rope divisors are one positive F32 for each pair, or refused") {
  std::vector<float> values{1, 1, 1.5, 2, 4, 8, 8, 8};
  CHECK(divisors_with(rope_divisors(values)) == std::vector<double>(values.begin(), values.end()));
  const auto half = refusal_with([](auto& f) {
    f.add_tensor("rope_freqs.weight", tensor_type::f16, std::array<std::uint64_t, 1>{pairs},
                 std::vector<std::byte>(2 * pairs));
  });
  CHECK(half == error{errc::unsupported, "tensor rope_freqs.weight is of type F16, supported is F32"});
  for (std::size_t count : {pairs - 1, pairs + 1})
    CHECK(refusal_with(rope_divisors(std::vector<float>(count, 1))).context
          == "tensor rope_freqs.weight is not of shape [8]");
  CHECK(refusal_with([](auto& f) {
          f.add_tensor("rope_freqs.weight", std::array<std::uint64_t, 2>{pairs, 2}, std::vector<float>(2 * pairs, 1));
        }).context
        == "tensor rope_freqs.weight is not of shape [8]");
  using limits = std::numeric_limits<float>;
  for (const float bad : {0.0f, -1.0f, limits::infinity(), limits::quiet_NaN()})
    CHECK(refusal_with(rope_divisors_with(bad))
          == error{errc::malformed_file, "tensor rope_freqs.weight has an element that is not a positive number"});
}

TEST_CASE("rope divisors together with linear scaling are refused") {
  auto both = [](float factor) {
    return [=](auto& f) {
      f.add_float("llama.rope.scaling.factor", factor);
      rope_divisors_with(8)(f);
    };
  };
  CHECK(divisors_with(both(1))[pairs / 2] == 8);
  CHECK(refusal_with(both(2)).code == errc::unsupported);
  CHECK(refusal_with(both(2)).context.find("rope_freqs.weight") != std::string::npos);
}

TEST_CASE("soft caps of logits are refused unless they are 0") {
  for (const std::string key : {"llama.attn_logit_softcapping", "llama.final_logit_softcapping"}) {
    CHECK(config_with([&](auto& f) { f.add_float(key, 0); }));
    const auto e = refusal_with([&](auto& f) { f.add_float(key, 30); });
    CHECK(e == error{errc::unsupported, key + " is not 0, which is not supported"});
    CHECK(refusal_with([&](auto& f) { f.add_string(key, "30"); }).context.find(key) != std::string::npos);
  }
}

TEST_CASE("a count out of its bounds is refused with the bounds that hold for it") {
  CHECK(refusal_with([](auto& f) {
          f.add_uint32("llama.vocab_size", 0);
        }).context.starts_with("llama.vocab_size is 0, not within 1 and "));
  CHECK(refusal_with([](auto& f) {
          f.add_uint32("llama.attention.sliding_window", ~0u);
        }).context.starts_with("llama.attention.sliding_window is 4294967295, not within 0 and "));
}

TEST_CASE("text of the file is quoted in errors") {
  CHECK(refusal_with([](auto& f) { f.add_string("llama.rope.scaling.type", "a\nb"); }).context.find("'a\\x0ab'")
        != std::string::npos);
  test::gguf_writer other;
  other.add_string("general.architecture", "a\x1b[2Jb");
  const test::temporary_file file{other.finish()};
  auto opened = gguf_file::open(file.path());
  REQUIRE(opened);
  const auto config = read_model_config(*opened);
  REQUIRE_FALSE(config);
  CHECK(config.error().context.starts_with("general.architecture is 'a\\x1b[2Jb', known are "));
}
