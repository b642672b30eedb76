// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer_json/tokenizer_config.hpp"

#include <doctest/doctest.h>

namespace troupe::text {

namespace {

tokenizer_config read(std::string_view config, std::string_view generation = "", std::string_view chat_template = "") {
  auto result = read_tokenizer_config({config, generation, chat_template});
  REQUIRE_MESSAGE(result.has_value(), result.error().context);
  return std::move(result).value();
}

tokenizer_description small_description() {
  tokenizer_description d;
  d.tokens = {"a", "<s>", "</s>"};
  d.roles = {token_role::text, token_role::none, token_role::none};
  d.added = {{.id = 1, .content = "<s>", .special = true}, {.id = 2, .content = "</s>", .special = true}};
  d.prefix = {1};
  return d;
}

} // namespace

TEST_CASE("tokens are named by a string or by an object") {
  const auto config = read(R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>", "pad_token": null})");
  CHECK(config.bos_token == "<s>");
  CHECK(config.eos_token == "</s>");
  CHECK(!config.add_bos_token);
  CHECK(!read(R"({"bos_token": null})").bos_token);
}

TEST_CASE("a chat template is one text, or several of which one is the default, or a file of its own") {
  CHECK(read(R"({"chat_template": "x"})").find_chat_template()->source == "x");
  const auto named =
    read(R"({"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]})");
  CHECK(named.chat_templates.size() == 2);
  CHECK(named.find_chat_template()->source == "d");
  CHECK(read(R"({"chat_template": "x"})", "", "file").find_chat_template()->source == "file");
  CHECK(read("{}").find_chat_template() == nullptr);
}

TEST_CASE("end tokens are those of generation_config.json, one or several") {
  CHECK(read("", R"({"eos_token_id": 7})").end_tokens == std::vector<token_id>{7});
  CHECK(read("", R"({"eos_token_id": [7, 9]})").end_tokens == std::vector<token_id>{7, 9});
  CHECK(read("", R"({})").end_tokens.empty());
}

TEST_CASE("a wrong file is named") {
  const auto refusal = [](const tokenizer_config_files& files) {
    const auto result = read_tokenizer_config(files);
    return result ? std::string{} : result.error().context;
  };
  CHECK(refusal({.tokenizer_config = "{"}).starts_with("tokenizer_config.json: not JSON"));
  CHECK(refusal({.tokenizer_config = R"({"bos_token": 1})"}) == "tokenizer_config.json.bos_token: is no string");
  CHECK(refusal({.generation_config = R"({"eos_token_id": "x"})"})
          .starts_with("generation_config.json.eos_token_id: is no number"));
}

TEST_CASE("add_bos_token and add_eos_token go before the post-processor") {
  auto d = small_description();
  REQUIRE(apply(read(R"({"bos_token": "<s>", "eos_token": "</s>"})"), d).has_value());
  CHECK(d.prefix == std::vector<token_id>{1});
  CHECK(d.bos == 1U);
  CHECK(d.eos == 2U);
  REQUIRE(apply(read(R"({"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": false, "add_eos_token": true})"), d)
            .has_value());
  CHECK(d.prefix.empty());
  CHECK(d.suffix == std::vector<token_id>{2});
}

TEST_CASE("a token that the vocabulary doesn't have is refused") {
  auto d = small_description();
  CHECK(apply(read(R"({"bos_token": "<x>"})"), d).error().context
        == "tokenizer_config.json: bos_token: '<x>' is no token");
  CHECK(apply(read("", R"({"eos_token_id": 3})"), d).error().context
        == "generation_config.json: eos_token_id: 3 is no token");
}

TEST_CASE("numbers that no integer holds do not spoil a file") {
  const auto config = read_tokenizer_config(
    {R"({"model_max_length": 1000000000000000019884624838656, "note": "\" 1000000000000000019884624838656", "eos_token": "</s>"})",
     "", ""});
  REQUIRE(config);
  CHECK(config->eos_token == "</s>");
  CHECK_FALSE(read_tokenizer_config({R"({"model_max_length": 1000000000000000019884624838656x})", "", ""}));
}

} // namespace troupe::text
