// SPDX-License-Identifier: Apache-2.0
#include "actors/model/vocabulary_from_gguf.hpp"

#include <doctest/doctest.h>

#include "tests/support/gguf_writer.hpp"
#include "tests/unit/text/small_vocabularies.hpp"

namespace troupe {

namespace {

struct file_content {
  std::string model = "gpt2";
  std::vector<std::string> tokens{"a", "b", "ab", "<s>"};
  std::vector<std::int32_t> types{1, 1, 1, 3};
  std::vector<std::string> merges{"a b"};
  std::vector<float> scores{0, -1, -2, -3};
};

/// The file's usual keys but for `left_out`, and whatever `extra` adds.
template <class Extra>
expected<text::vocabulary, error> read(const file_content& c, std::string_view left_out, Extra extra) {
  test::gguf_writer writer;
  auto wanted = [&](std::string_view key) { return key != left_out; };
  if (wanted("tokenizer.ggml.model"))
    writer.add_string("tokenizer.ggml.model", c.model);
  if (wanted("tokenizer.ggml.tokens"))
    writer.add_strings("tokenizer.ggml.tokens", c.tokens);
  if (wanted("tokenizer.ggml.token_type"))
    writer.add_ints("tokenizer.ggml.token_type", c.types);
  if (wanted("tokenizer.ggml.merges"))
    writer.add_strings("tokenizer.ggml.merges", c.merges);
  if (wanted("tokenizer.ggml.scores"))
    writer.add_floats("tokenizer.ggml.scores", c.scores);
  if (wanted("tokenizer.ggml.pre"))
    writer.add_string("tokenizer.ggml.pre", "gpt-2");
  extra(writer);
  const test::temporary_file on_disk{writer.finish()};
  auto file = gpu::gguf_file::open(on_disk.path());
  REQUIRE_MESSAGE(file.has_value(), file.error().context);
  return vocabulary_from_gguf(*file);
}

expected<text::vocabulary, error> read(const file_content& c, std::string_view left_out = "") {
  return read(c, left_out, [](auto&) {});
}

} // namespace

TEST_CASE("keys of a byte-level vocabulary are read") {
  const auto v = read({}, "", [](auto& writer) {
    writer.add_uint32("tokenizer.ggml.bos_token_id", 3);
    writer.add_uint64("tokenizer.ggml.eot_token_id", 2);
    writer.add_bool("tokenizer.ggml.add_bos_token", true);
  });
  REQUIRE_MESSAGE(v.has_value(), v.error().context);
  CHECK(v->kind == text::vocabulary_kind::byte_level_bpe);
  CHECK(v->pre_tokenizer == "gpt-2");
  CHECK(v->tokens == file_content{}.tokens);
  CHECK(v->types[3] == text::token_type::control);
  CHECK(v->merges == file_content{}.merges);
  CHECK(v->bos == 3U);
  CHECK(v->eot == 2U);
  CHECK(!v->eos);
  CHECK(v->add_bos);
  CHECK(!v->add_eos);
  CHECK(!v->add_space_prefix);
}

TEST_CASE("SentencePiece has defaults, and what the file says goes before them") {
  file_content c;
  c.model = "llama";
  const auto usual = read(c);
  REQUIRE_MESSAGE(usual.has_value(), usual.error().context);
  CHECK(usual->scores == c.scores);
  CHECK(usual->bos == 1U);
  CHECK(usual->eos == 2U);
  CHECK(usual->unk == 0U);
  CHECK(usual->add_bos);
  CHECK(usual->add_space_prefix);
  const auto told = read(c, "", [](auto& writer) {
    writer.add_uint32("tokenizer.ggml.bos_token_id", 3);
    writer.add_bool("tokenizer.ggml.add_bos_token", false);
    writer.add_bool("tokenizer.ggml.add_space_prefix", false);
  });
  REQUIRE(told.has_value());
  CHECK(told->bos == 3U);
  CHECK(!told->add_bos);
  CHECK(!told->add_space_prefix);
}

TEST_CASE("a missing or wrong key is named") {
  file_content llama;
  llama.model = "llama";
  auto refusal = [](const expected<text::vocabulary, error>& v) { return v ? std::string{} : v.error().context; };
  auto has = [](const std::string& context, std::string_view key) { return context.find(key) != std::string::npos; };
  for (const auto* key :
       {"tokenizer.ggml.model", "tokenizer.ggml.tokens", "tokenizer.ggml.merges", "tokenizer.ggml.pre"})
    CHECK(has(refusal(read({}, key)), key));
  CHECK(has(refusal(read(llama, "tokenizer.ggml.scores")), "tokenizer.ggml.scores"));
  file_content unknown;
  unknown.model = "bert";
  CHECK(has(refusal(read(unknown)), "tokenizer.ggml.model: 'bert'"));
  file_content mistyped;
  mistyped.types[1] = 7;
  CHECK(has(refusal(read(mistyped)), "tokenizer.ggml.token_type: entry 1"));
  CHECK(has(refusal(read({}, "", [](auto& w) { w.add_string("tokenizer.ggml.bos_token_id", "1"); })),
            "tokenizer.ggml.bos_token_id"));
  CHECK(has(refusal(read({}, "", [](auto& w) { w.add_uint64("tokenizer.ggml.eos_token_id", std::uint64_t{1} << 40); })),
            "tokenizer.ggml.eos_token_id"));
  CHECK(has(refusal(read({}, "", [](auto& w) { w.add_uint32("tokenizer.ggml.add_eos_token", 1); })),
            "tokenizer.ggml.add_eos_token"));
}

TEST_CASE("a file without token types has only normal tokens") {
  const auto v = read({}, "tokenizer.ggml.token_type");
  REQUIRE(v.has_value());
  CHECK(v->types.empty());
}

} // namespace troupe
