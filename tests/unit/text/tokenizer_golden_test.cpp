// SPDX-License-Identifier: Apache-2.0
// Ids that llama.cpp gave for the same vocabularies. tests/goldens/tokenizer says how they were made.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "actors/model/vocabulary_from_gguf.hpp"
#include "gpu/model/gguf.hpp"
#include "tests/support/foreign_vocabularies.hpp"
#include "tests/unit/text/small_vocabularies.hpp"
#include "text/detokenizer.hpp"
#include "text/tokenizer.hpp"

namespace troupe::text {

using test::ids;
namespace fs = std::filesystem;

namespace {

const fs::path shared = TROUPE_SHARED_DATA;
const fs::path smollm2 = TROUPE_SOURCE_DIR "/models/SmolLM2-135M-Instruct.Q4_1.gguf";
const fs::path stories = shared / "models/stories260K.gguf";
const fs::path goldens = TROUPE_SOURCE_DIR "/tests/goldens/tokenizer";

/// True if the path is there; else says that the test case is skipped.
bool present(const fs::path& path) {
  if (fs::exists(path))
    return true;
  MESSAGE("SKIPPED: " << path.string() << " is not there");
  return false;
}

std::string read(const fs::path& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// Loaded once for all test cases.
const tokenizer& from_gguf(const fs::path& path) {
  static std::map<fs::path, tokenizer> loaded;
  if (const auto found = loaded.find(path); found != loaded.end())
    return found->second;
  auto file = gpu::gguf_file::open(path);
  REQUIRE_MESSAGE(file.has_value(), file.error().context);
  auto vocabulary = vocabulary_from_gguf(*file);
  REQUIRE_MESSAGE(vocabulary.has_value(), vocabulary.error().context);
  return loaded.emplace(path, test::make_tokenizer(*std::move(vocabulary))).first->second;
}

/// The 46 texts of llama.cpp's vocabulary tests; the piece after the last separator is none.
std::vector<std::string> hard_texts() {
  const auto file = read(shared / "tokenizers/ggml-vocab.inp");
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<std::string> texts;
  std::size_t at = 0;
  for (auto hit = file.find(separator); hit != std::string::npos; hit = file.find(separator, at)) {
    texts.push_back(file.substr(at, hit - at));
    at = hit + separator.size();
  }
  return texts;
}

std::vector<ids> hard_ids(std::string_view name) {
  std::istringstream file{read(shared / "tokenizers" / name)};
  std::vector<ids> result;
  for (std::string line; std::getline(file, line);) {
    std::istringstream numbers{line};
    result.emplace_back(std::istream_iterator<token_id>{numbers}, std::istream_iterator<token_id>{});
  }
  return result;
}

void check_hard_texts(const tokenizer& t, std::string_view ids_name) {
  const auto texts = hard_texts();
  const auto expected = hard_ids(ids_name);
  REQUIRE(texts.size() == 46);
  REQUIRE(expected.size() == 46);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    CAPTURE(texts[i]);
    CHECK(t.encode(texts[i]).value() == expected[i]);
    CHECK(t.decode(expected[i]) == texts[i]);
  }
}

/// Lines of {"text": …, "ids": […]}; {"ggml": i, …} stands for text i of the hard ones. Returns how many lines
/// were compared.
std::size_t check_goldens(const tokenizer& t, const fs::path& path, tokenizer::encode_options options) {
  const bool has_hard_texts = fs::exists(shared / "tokenizers/ggml-vocab.inp");
  const auto hard = has_hard_texts ? hard_texts() : std::vector<std::string>{};
  std::ifstream file{path};
  REQUIRE_MESSAGE(file.good(), path.string());
  std::size_t compared = 0;
  for (std::string line; std::getline(file, line);) {
    const auto golden = nlohmann::json::parse(line);
    if (golden.contains("ggml") && !has_hard_texts)
      continue;
    const auto text =
      golden.contains("ggml") ? hard.at(golden["ggml"].get<std::size_t>()) : golden.at("text").get<std::string>();
    CAPTURE(text);
    const auto expected = golden.at("ids").get<ids>();
    CHECK(t.encode(text, options).value() == expected);
    ++compared;
  }
  if (!has_hard_texts)
    MESSAGE("SKIPPED: the 46 texts of ggml-vocab.inp, " << (shared / "tokenizers").string() << " is not there");
  return compared;
}

} // namespace

TEST_CASE("ids equal llama.cpp's for SmolLM2") {
  if (!present(smollm2))
    return;
  CHECK(check_goldens(from_gguf(smollm2), goldens / "smollm2_ids.jsonl", {}) >= 2000);
}

TEST_CASE("ids equal llama.cpp's for SmolLM2 where special tokens are parsed") {
  if (!present(smollm2))
    return;
  CHECK(check_goldens(from_gguf(smollm2), goldens / "smollm2_special_ids.jsonl", {parse_special::yes, add_special::no})
        >= 20);
}

TEST_CASE("ids equal llama.cpp's for stories260K") {
  if (!present(stories))
    return;
  CHECK(check_goldens(from_gguf(stories), goldens / "stories260k_ids.jsonl", {}) >= 2000);
}

TEST_CASE("ids of the 46 hard texts equal llama.cpp's for Qwen's vocabulary") {
  const auto path = shared / "tokenizers/qwen3_tokenizer.json.xz";
  if (!present(path))
    return;
  const auto json = test::read_xz(path);
  if (!json) {
    MESSAGE("SKIPPED: no xz program");
    return;
  }
  const auto v = test::parse_hf_byte_level(*json, "qwen2");
  check_hard_texts(test::make_tokenizer(v), "ggml-vocab-qwen2.out");
}

TEST_CASE("ids of the 46 hard texts equal llama.cpp's for Llama 2's vocabulary") {
  const auto path = shared / "tokenizers/tinyllama_tokenizer.json.xz";
  if (!present(path))
    return;
  const auto json = test::read_xz(path);
  if (!json) {
    MESSAGE("SKIPPED: no xz program");
    return;
  }
  const auto v = test::parse_hf_llama2(*json);
  check_hard_texts(test::make_tokenizer(v), "ggml-vocab-llama-spm.out");
}

TEST_CASE("decoding gives the text back, at once and token by token") {
  for (const auto& path : {smollm2, stories}) {
    if (!present(path))
      continue;
    const auto& t = from_gguf(path);
    std::ifstream file{goldens / "smollm2_ids.jsonl"};
    REQUIRE(file.good());
    for (std::string line; std::getline(file, line);) {
      const auto golden = nlohmann::json::parse(line);
      if (!golden.contains("text"))
        continue;
      auto text = golden["text"].get<std::string>();
      // What a vocabulary cannot say is no matter of decoding: SmolLM2 lacks some control characters,
      // and SentencePiece reads U+2581 as a space.
      const bool is_byte_level = !t.adds_space_prefix();
      if (is_byte_level && text.find_first_of(std::string{"\x04\x06\x13\x14\x16\x1d"}) != std::string::npos)
        continue;
      if (!is_byte_level && text.find("\u2581") != std::string::npos)
        continue;
      CAPTURE(text);
      const auto tokens = t.encode(text).value();
      CHECK(t.decode(tokens) == text);
      incremental_detokenizer detokenizer{t, {}, special_output::skip};
      std::string pushed;
      for (const auto token : tokens)
        pushed += detokenizer.push(token);
      CHECK(pushed + detokenizer.finish() == text);
    }
  }
}

TEST_CASE("the chat markers of SmolLM2 are single tokens only where they are parsed") {
  if (!present(smollm2))
    return;
  const auto& t = from_gguf(smollm2);
  CHECK(t.size() == 49152);
  const auto chat = std::string{"<|im_start|>user\nhi<|im_end|>\n"};
  const auto parsed = t.encode(chat, {parse_special::yes, add_special::yes}).value();
  CHECK(parsed == ids{1, 4093, 198, 6004, 2, 198});
  CHECK(t.decode(parsed, special_output::keep) == chat);
  const auto as_text = t.encode(chat).value();
  for (const auto token : as_text)
    CHECK(!t.is_special(token));
  CHECK(t.is_end_of_generation(2));
  CHECK(t.is_end_of_generation(0)); // <|endoftext|>
  CHECK(!t.is_end_of_generation(1));
}

TEST_CASE("a file that leaves out everything optional reads as SentencePiece's usual settings") {
  if (!present(stories))
    return;
  const auto& t = from_gguf(stories);
  CHECK(t.size() == 512);
  CHECK(t.bos() == 1U);
  CHECK(t.eos() == 2U);
  CHECK(t.adds_bos());
  CHECK(t.adds_space_prefix());
}

} // namespace troupe::text
