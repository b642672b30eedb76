// SPDX-License-Identifier: Apache-2.0
// tests/goldens/tokenizer_json holds vocabularies and the ids that Hugging Face's tokenizers gave; train_tokenizers.py
// made them.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "text/tokenizer.hpp"
#include "text/tokenizer_json/tokenizer_json.hpp"

namespace troupe::text {

namespace fs = std::filesystem;
using nlohmann::json;
using ids = std::vector<token_id>;

namespace {

const fs::path goldens = TROUPE_SOURCE_DIR "/tests/goldens/tokenizer_json";
constexpr tokenizer::encode_options parsed{parse_special::yes, add_special::yes};

std::string read(const fs::path& path) {
  std::ifstream file{path, std::ios::binary};
  REQUIRE_MESSAGE(file.good(), path.string());
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// a, b, c, ab, the unknown token and <end>.
json small_file() {
  return json::parse(R"({
    "added_tokens": [{"id": 5, "content": "<end>", "special": true}],
    "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
    "model": {"type": "BPE", "unk_token": "?", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "?": 4}, "merges": ["a b"]}})");
}

expected<tokenizer, error> load(const json& file) {
  auto description = read_tokenizer_json(file.dump());
  if (!description)
    return unexpected{description.error()};
  return tokenizer::make(*std::move(description));
}

tokenizer made(const json& file) {
  auto result = load(file);
  REQUIRE_MESSAGE(result.has_value(), result.error().context);
  return std::move(result).value();
}

std::string refusal(const json& file) {
  const auto result = load(file);
  return result ? std::string{} : result.error().context;
}

template <class Change>
json changed(Change change) {
  auto file = small_file();
  change(file);
  return file;
}

ids encode(const json& file, std::string_view text) { return made(file).encode(text, parsed).value(); }

} // namespace

TEST_CASE("ids equal those of Hugging Face's tokenizers for every pipeline") {
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator{goldens}) {
    if (entry.path().extension() != ".json")
      continue;
    ++files;
    CAPTURE(entry.path().filename().string());
    auto description = read_tokenizer_json(read(entry.path()));
    REQUIRE_MESSAGE(description.has_value(), description.error().context);
    const auto t = tokenizer::make(*std::move(description));
    REQUIRE_MESSAGE(t.has_value(), t.error().context);
    std::ifstream lines{goldens / (entry.path().stem().string() + "_ids.jsonl")};
    std::size_t compared = 0;
    for (std::string line; std::getline(lines, line); ++compared) {
      const auto golden = json::parse(line);
      const auto text = golden.at("text").get<std::string>();
      CAPTURE(text);
      CHECK(t->encode(text, parsed).value() == golden.at("ids").get<ids>());
    }
    CHECK(compared >= 100);
  }
  CHECK(files >= 20);
}

TEST_CASE("a component that is not supported is refused with its path and type") {
  const auto with = [](const char* part, const char* text) {
    return refusal(changed([&](json& f) { f[part] = json::parse(text); }));
  };
  CHECK(with("normalizer", R"({"type": "BertNormalizer"})") == "$.normalizer: 'BertNormalizer' is not supported");
  CHECK(with("normalizer", R"({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "X"}]})")
        == "$.normalizer.normalizers[1]: 'X' is not supported");
  CHECK(with("pre_tokenizer", R"({"type": "UnicodeScripts"})") == "$.pre_tokenizer: 'UnicodeScripts' is not supported");
  CHECK(with("decoder", R"({"type": "WordPiece"})") == "$.decoder: 'WordPiece' is not supported");
  CHECK(with("post_processor", R"({"type": "Other"})") == "$.post_processor: 'Other' is not supported");
  CHECK(refusal(changed([](json& f) { f["model"]["type"] = "WordPiece"; })) == "$.model: 'WordPiece' is not supported");
  CHECK(refusal(changed([](json& f) { f["model"]["end_of_word_suffix"] = "</w>"; }))
        == "$.model.end_of_word_suffix: '</w>' is not supported");
  CHECK(refusal(changed([](json& f) { f["model"]["dropout"] = 0.1; })) == "$.model.dropout: is not supported");
  CHECK(with("pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "[a&&b]"}, "behavior": "Isolated"})")
          .find("intersection")
        != std::string::npos);
}

TEST_CASE("what is wrong in a file is named") {
  const auto refused = [](auto change) { return refusal(changed(change)); };
  CHECK(read_tokenizer_json("").error().context.starts_with("$: not JSON"));
  CHECK(read_tokenizer_json("[]").error().context == "$: is no object");
  CHECK(!read_tokenizer_json(std::string(100, '[')).has_value());
  CHECK(refused([](json& f) { f.erase("model"); }).starts_with("$.model"));
  CHECK(refused([](json& f) { f["model"]["vocab"]["a"] = 1; }) == "$.model.vocab: the id 1 is given twice");
  CHECK(refused([](json& f) { f["model"]["vocab"]["z"] = 1'000'000'000; }).starts_with("$.model.vocab: is no number"));
  CHECK(refused([](json& f) { f["model"]["vocab"]["z"] = -1; }).starts_with("$.model.vocab: is no number"));
  CHECK(refused([](json& f) { f["model"]["merges"][0] = "a"; }) == "$.model.merges[0]: is not a pair of tokens");
  CHECK(refused([](json& f) { f["model"]["merges"][0] = {"a", "b", "c"}; })
        == "$.model.merges[0]: is not a pair of tokens");
  CHECK(refused([](json& f) { f["model"]["merges"][0] = "a c"; }) == "$.model.merges[0]: 'ac' is not in $.model.vocab");
  CHECK(refused([](json& f) { f["model"]["unk_token"] = "x"; }) == "$.model.unk_token: 'x' is not in $.model.vocab");
  CHECK(refused([](json& f) { f["added_tokens"][0]["id"] = 3; }).starts_with("$.added_tokens: '<end>' has the id 3"));
  CHECK(refused([](json& f) { f["added_tokens"][0]["id"] = 4'000'000'000; }).starts_with("$.added_tokens: the id"));
  CHECK(
    refused([](json& f) { f["added_tokens"][0]["content"] = "a"; }).starts_with("$.added_tokens: 'a' has the id 5"));
  CHECK(refused([](json& f) { f["added_tokens"][0]["special"] = 1; })
        == "$.added_tokens[0].special: is neither true nor false");
  CHECK(refused([](json& f) { f["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "*"}}; })
        == "$.normalizer.precompiled_charsmap: is not base64");
  CHECK(refused([](json& f) { f["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", "////fw=="}}; })
        == "normalizer, step 0: a table of replacements whose length is wrong");
}

TEST_CASE("template processing that leaves out the text or names a strange token is refused") {
  const auto with = [](const char* single) {
    return refusal(changed([&](json& f) {
      f["post_processor"] = {{"type", "TemplateProcessing"}, {"single", json::parse(single)}};
      f["post_processor"]["special_tokens"] = json::parse(R"({"<end>": {"ids": [5]}, "far": {"ids": [9]}})");
    }));
  };
  CHECK(with(R"([{"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "<end>"}}])").empty());
  CHECK(with(R"([{"SpecialToken": {"id": "<end>"}}])") == "$.post_processor.single: has no place for the text");
  CHECK(with(R"([{"Sequence": {"id": "B"}}])").find("is not the one text") != std::string::npos);
  CHECK(with(R"([{"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "x"}}])").find("special_tokens.x")
        != std::string::npos);
  CHECK(with(R"([{"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "far"}}])")
        == "token 9 is named, but there are only 6 tokens");
}

TEST_CASE("merges are pairs in one string or in two") {
  CHECK(encode(small_file(), "abc") == ids{3, 2});
  CHECK(encode(changed([](json& f) { f["model"]["merges"] = json::parse(R"([["a", "b"]])"); }), "abc") == ids{3, 2});
}

TEST_CASE("of two equal merges the last one counts, as Hugging Face has it") {
  const auto file = changed([](json& f) {
    f["model"]["vocab"]["bc"] = 6;
    f["model"]["merges"] = {"a b", "b c", "a b"};
  });
  CHECK(encode(file, "abc") == ids{0, 6});
}

TEST_CASE("unknown characters are one token each, or one token together, or nothing") {
  CHECK(encode(small_file(), "axyb") == ids{0, 4, 4, 1});
  CHECK(encode(changed([](json& f) { f["model"]["fuse_unk"] = true; }), "axyb") == ids{0, 4, 1});
  CHECK(encode(changed([](json& f) { f["model"]["unk_token"] = nullptr; }), "axyb") == ids{3});
}

TEST_CASE("special tokens are never made from text that is not parsed for them") {
  const auto t =
    made(changed([](json& f) { f["added_tokens"][0] = {{"id", 3}, {"content", "ab"}, {"special", true}}; }));
  CHECK(t.encode("ab").value() == ids{0, 1});
  CHECK(t.encode("ab", parsed).value() == ids{3});
}

TEST_CASE("a file without a decoder puts spaces between tokens") {
  const auto t = made(changed([](json& f) { f["decoder"] = nullptr; }));
  CHECK(t.decode(ids{0, 3, 2}) == "a ab c");
}

namespace {

/// A Sequence of a hundred such steps.
json hundred(const char* parts, const char* step) {
  return {{"type", "Sequence"}, {parts, std::vector<json>(100, json::parse(step))}};
}

constexpr auto doubling = R"({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"})";

} // namespace

TEST_CASE("a text that a hundred steps would double each time is refused, others are not") {
  const auto check = [](const tokenizer& t, std::string_view grows) {
    const auto result = t.encode(grows, parsed);
    REQUIRE(!result.has_value());
    CHECK(result.error().code == errc::context_too_long);
    CHECK(result.error().context.find("add more than " + std::to_string(tokenizer::growth_max(grows.size())))
          != std::string::npos);
    CHECK(t.encode("b").has_value());
  };
  check(made(changed([](json& f) { f["normalizer"] = hundred("normalizers", doubling); })), "xa");
  // One step by itself.
  check(made(changed([](json& f) {
          f["normalizer"] = json::parse(doubling);
          f["normalizer"]["content"] = std::string(1000, 'b');
        })),
        std::string(100'000, 'a'));
  // Each part of a text between added tokens.
  std::string parts;
  for (int i = 0; i < 30; ++i)
    parts += "a<end>";
  check(made(changed([](json& f) {
          f["normalizer"] = {{"type", "Prepend"}, {"prepend", std::string(30'000, ' ')}};
          f["pre_tokenizer"] = {{"type", "WhitespaceSplit"}};
        })),
        parts);
}

TEST_CASE("what real pipelines add to a text of any length is within the bound") {
  const auto nfkc = made(changed([](json& f) {
    f["normalizer"] = json::parse(R"({"type": "NFKC"})");
    f["pre_tokenizer"] =
      json::parse(R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "Digits"}]})");
  }));
  const auto spaces = made(changed([](json& f) {
    f["normalizer"] = json::parse(R"({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})");
    f["pre_tokenizer"] = json::parse(R"({"type": "Split", "pattern": {"String": "▁"}, "behavior": "Removed"})");
  }));
  for (const std::size_t count : {1UL, 1000UL, 300'000UL}) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i)
      text += "\uFDFA";
    CHECK(nfkc.encode(text).has_value());
  }
  CHECK(spaces.encode(std::string(40 << 20, ' ')).has_value());
}

TEST_CASE("a file whose tokens a hundred steps would double each time is refused") {
  CHECK(refusal(changed([](json& f) { f["decoder"] = hundred("decoders", doubling); }))
        == "decoder: adds more than 4194310 bytes to the tokens, at token 0");
  CHECK(refusal(changed([](json& f) {
          f["normalizer"] = hundred("normalizers", doubling);
          f["added_tokens"][0] = {{"id", 5}, {"content", "<a>"}, {"normalized", true}};
        }))
        == "normalizer: adds more than 4194304 bytes to the added tokens, at token 5");
  // Within what is allowed for one of them, but not for all.
  CHECK(refusal(changed([](json& f) {
          f["normalizer"] = {{"type", "Prepend"}, {"prepend", std::string(3 << 20, 'b')}};
          f["added_tokens"] = json::array();
          for (int i = 5; i < 7; ++i)
            f["added_tokens"].push_back({{"id", i}, {"content", "x" + std::to_string(i)}, {"normalized", true}});
        }))
          .starts_with("normalizer: adds more than"));
  CHECK(refusal(changed([](json& f) { f["pre_tokenizer"] = hundred("pretokenizers", R"({"type": "ByteLevel"})"); }))
          .starts_with("pre-tokenizer, step 1: a second ByteLevel"));
}

TEST_CASE("a word of a megabyte takes no quadratic time in any model") {
  // Quadratic algorithms need minutes; what is here needs tenths of a second.
  const auto begin = std::chrono::steady_clock::now();
  std::string letters(1'000'000, 'a');
  for (const auto* name : {"gpt2", "llama2", "gemma", "unigram_bytes"}) {
    auto description = read_tokenizer_json(read(goldens / (std::string{name} + ".json")));
    REQUIRE(description.has_value());
    const auto t = tokenizer::make(*std::move(description));
    REQUIRE(t.has_value());
    CHECK(t->encode(letters).value().size() > 1000);
    for (std::size_t i = 0; i < letters.size(); ++i)
      letters[i] = static_cast<char>('a' + i * 2'654'435'761U % 1'000'003 % 26);
    CHECK(t->encode(letters).value().size() > 1000);
  }
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{20});
}

} // namespace troupe::text
