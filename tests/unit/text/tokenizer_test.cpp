// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer.hpp"

#include <limits>

#include <doctest/doctest.h>

#include "tests/unit/text/small_vocabularies.hpp"

namespace troupe::text {

using test::byte_level_vocabulary;
using test::ids;
using test::make_tokenizer;
using test::sentencepiece_vocabulary;

namespace {

constexpr tokenizer::encode_options parsed{parse_special::yes, add_special::no};

/// What make() says of a vocabulary that it refuses; empty if it takes it.
std::string refusal(vocabulary v) {
  auto made = tokenizer::make(std::move(v));
  return made ? std::string{} : made.error().context;
}

bool names(const std::string& context, std::string_view key) { return context.starts_with(key); }

} // namespace

TEST_CASE("merges apply by rank, not from left to right") {
  const auto t = make_tokenizer(byte_level_vocabulary({"b\tc", "a\tb", "a\tbc"}));
  CHECK(t.encode("abc").value() == ids{258});
  CHECK(t.encode("ab").value() == ids{257});
  CHECK(t.encode("aab").value() == ids{'a', 257});
  CHECK(t.encode("bcbc").value() == ids{256, 256});
}

TEST_CASE("of equal pairs the leftmost merges first") {
  const auto t = make_tokenizer(byte_level_vocabulary({"a\ta"}));
  CHECK(t.encode("aaa").value() == ids{256, 'a'});
  CHECK(t.encode("aaaaa").value() == ids{256, 256, 'a'});
}

TEST_CASE("merges do not cross words") {
  const auto t = make_tokenizer(byte_level_vocabulary({"a\t ", " \tb", "a\tb"}));
  CHECK(t.encode("a b").value() == ids{'a', 257});
}

TEST_CASE("a word that is a token is that token where the pre-tokenizer says so") {
  auto v = byte_level_vocabulary({"a\tb"}, "llama-bpe");
  v.tokens.push_back("xyz");
  v.types.push_back(token_type::normal);
  const auto whole = static_cast<token_id>(v.tokens.size() - 1);
  CHECK(make_tokenizer(v).encode("xyz").value() == ids{whole});
  v.pre_tokenizer = "gpt-2";
  CHECK(make_tokenizer(v).encode("xyz").value() == ids{'x', 'y', 'z'});
}

TEST_CASE("control tokens are parsed only on demand, user-defined ones always") {
  const auto t = make_tokenizer(byte_level_vocabulary());
  const token_id end = 256;
  const token_id user = 258;
  CHECK(t.encode("a<|end|>[user]b", parsed).value() == ids{'a', end, user, 'b'});
  CHECK(t.encode("a<|end|>[user]", {}).value() == ids{'a', '<', '|', 'e', 'n', 'd', '|', '>', user});
  CHECK(t.encode("<|end|", parsed).value() == ids{'<', '|', 'e', 'n', 'd', '|'});
}

TEST_CASE("no merge makes a control token, so that text cannot forge one") {
  auto v = byte_level_vocabulary({"<\t|", "<|\t>"});
  CHECK(make_tokenizer(v).encode("<|>").value() == ids{257});
  v.types[257] = token_type::control;
  const auto t = make_tokenizer(v);
  CHECK(t.encode("<|>").value() == ids{256, '>'});
  CHECK(t.encode("<|>", parsed).value() == ids{257});
}

TEST_CASE("of special tokens at one place the longest is taken") {
  auto v = byte_level_vocabulary();
  v.tokens.push_back("<|end|><|end|>");
  v.types.push_back(token_type::control);
  const auto t = make_tokenizer(v);
  CHECK(t.encode("<|end|><|end|><|end|>", parsed).value() == ids{259, 256});
}

TEST_CASE("BOS and EOS are added where asked for and where the vocabulary wants them") {
  auto v = byte_level_vocabulary();
  const tokenizer::encode_options added{parse_special::no, add_special::yes};
  CHECK(make_tokenizer(v).encode("a", added).value() == ids{'a'});
  v.add_bos = v.add_eos = true;
  CHECK(make_tokenizer(v).encode("a", added).value() == ids{257, 'a', 256});
  CHECK(make_tokenizer(v).encode("", added).value() == ids{257, 256});
  CHECK(make_tokenizer(v).encode("a").value() == ids{'a'});
}

TEST_CASE("a piece is what the token adds to the text") {
  const auto t = make_tokenizer(byte_level_vocabulary({" \ta", "\xC3\t\xA9"}));
  CHECK(t.piece(256) == " a");
  CHECK(t.piece(257) == "\xC3\xA9");
  CHECK(t.piece(0xC3) == "\xC3");
  CHECK(t.piece(0) == std::string_view{"\0", 1});
  CHECK(t.piece(258) == "<|end|>");
  CHECK(t.piece(260) == "[user]");
  CHECK(t.size() == 261);
}

TEST_CASE("decoding drops control tokens unless they are asked for") {
  const auto t = make_tokenizer(byte_level_vocabulary());
  const ids tokens{257, 'h', 'i', 256};
  CHECK(t.decode(tokens) == "hi");
  CHECK(t.decode(tokens, special_output::keep) == "<|start|>hi<|end|>");
}

TEST_CASE("EOS, end of turn and known names of control tokens end a generation") {
  auto v = byte_level_vocabulary();
  v.tokens.insert(v.tokens.end(), {"<|im_end|>", "<|endoftext|>", "turn"});
  v.types.insert(v.types.end(), {token_type::control, token_type::normal, token_type::normal});
  v.eot = 261;
  const auto t = make_tokenizer(v);
  CHECK(t.is_end_of_generation(256));
  CHECK(!t.is_end_of_generation(257));
  CHECK(t.is_end_of_generation(259));
  CHECK(!t.is_end_of_generation(260)); // no control token, only named like one
  CHECK(t.is_end_of_generation(261));
  CHECK(!t.is_end_of_generation(1'000'000));
  const auto all = t.end_of_generation_tokens();
  CHECK(ids(all.begin(), all.end()) == ids{256, 259, 261});
}

TEST_CASE("SentencePiece merges by score, escapes spaces and falls back to bytes") {
  const auto t = make_tokenizer(sentencepiece_vocabulary({"\u2581a", "ab", "\u2581", "a", "b", "\u2581\u2581"}));
  const token_id first = 259;
  CHECK(t.encode("ab").value() == ids{first, first + 4}); // "▁a" has the better score
  CHECK(t.encode("bab").value() == ids{first + 2, first + 4, first + 1});
  CHECK(t.encode(" a").value() == ids{first + 2, first});       // the prefix and the text's own space
  CHECK(t.encode("\u2581a").value() == t.encode(" a").value()); // U+2581 and space are not told apart
  CHECK(t.encode("aé").value() == ids{first, 3 + 0xC3, 3 + 0xA9});
  CHECK(t.encode("\xFF").value() == ids{first + 2, 3 + 0xFF});
  CHECK(t.encode("").value().empty());
}

TEST_CASE("SentencePiece puts its space before the text and after each special token") {
  const auto t = make_tokenizer(sentencepiece_vocabulary({"\u2581a", "\u2581", "a"}));
  const tokenizer::encode_options options{parse_special::yes, add_special::yes};
  CHECK(t.encode("a</s>aa", options).value() == ids{1, 259, 2, 259, 261});
  CHECK(t.encode("<s>a", {}).value() == t.encode("<s>a").value());
  CHECK(t.decode(t.encode("a", options).value()) == "a");
  CHECK(t.decode(t.encode(" a", options).value()) == " a");
}

TEST_CASE("text that spells a byte or unknown token does not become it") {
  const auto t = make_tokenizer(sentencepiece_vocabulary({"<", "<0", "<0x", "<0x0", "<0x0A", "<u", "<un", "<unk"}));
  const auto tokens = t.encode("<0x0A><unk>").value();
  for (const auto token : tokens)
    CHECK((token != 3 + 0x0A && token != 0));
}

TEST_CASE("a wrong vocabulary is refused with the key that is wrong") {
  const auto bytes = byte_level_vocabulary({"a\tb"});
  const auto pieces = sentencepiece_vocabulary({"a"});
  REQUIRE(refusal(bytes).empty());
  REQUIRE(refusal(pieces).empty());
  auto changed = [](vocabulary v, auto change) {
    change(v);
    return refusal(std::move(v));
  };
  CHECK(names(changed(bytes, [](auto& v) { v.tokens.clear(); }), "tokenizer.ggml.tokens:"));
  CHECK(names(changed(bytes, [](auto& v) { v.tokens[5] = "a"; }), "tokenizer.ggml.tokens: duplicate"));
  CHECK(names(changed(bytes, [](auto& v) { v.tokens[5].assign(65'537, 'z'); }), "tokens: entry 5 has"));
  CHECK(names(changed(bytes, [](auto& v) { v.types.pop_back(); }), "tokenizer.ggml.token_type:"));
  CHECK(names(changed(bytes,
                      [](auto& v) {
                        for (int i = 0; i < 100; ++i)
                          v.tokens.push_back(std::to_string(i) + std::string(60'000, 'z'));
                        v.types.resize(v.tokens.size(), token_type::control);
                      }),
              "added, control"));
  CHECK(names(changed(bytes, [](auto& v) { v.pre_tokenizer = "nobody's"; }), "tokenizer.ggml.pre:"));
  CHECK(names(changed(bytes, [](auto& v) { v.pre_tokenizer.clear(); }), "tokenizer.ggml.pre:"));
  for (const auto* merge : {"", "ab", " ", "a ", "a  b", "q nope", "x y"})
    CHECK(names(changed(bytes, [&](auto& v) { v.merges.push_back(merge); }), "tokenizer.ggml.merges: entry 1"));
  const auto size = static_cast<token_id>(bytes.tokens.size());
  CHECK(names(changed(bytes, [&](auto& v) { v.bos = size; }), "tokenizer.ggml.bos_token_id:"));
  CHECK(names(changed(bytes, [&](auto& v) { v.eos = size; }), "tokenizer.ggml.eos_token_id:"));
  CHECK(names(changed(bytes, [&](auto& v) { v.unk = size; }), "tokenizer.ggml.unknown_token_id:"));
  CHECK(names(changed(bytes, [&](auto& v) { v.eot = ~token_id{0}; }), "tokenizer.ggml.eot_token_id:"));
  CHECK(names(changed(bytes, [&](auto& v) { v.pad = size; }), "tokenizer.ggml.padding_token_id:"));
  CHECK(
    names(changed(bytes, [](auto& v) { v.bos.reset(), v.add_bos = true; }), "tokenizer.ggml.bos_token_id: missing"));
  CHECK(
    names(changed(bytes, [](auto& v) { v.eos.reset(), v.add_eos = true; }), "tokenizer.ggml.eos_token_id: missing"));
  CHECK(names(changed(pieces, [](auto& v) { v.scores.clear(); }), "tokenizer.ggml.scores:"));
  CHECK(names(changed(pieces, [](auto& v) { v.scores.push_back(0); }), "tokenizer.ggml.scores:"));
  CHECK(names(changed(pieces, [](auto& v) { v.scores[9] = std::numeric_limits<float>::quiet_NaN(); }),
              "tokenizer.ggml.scores:"));
  CHECK(names(changed(pieces, [](auto& v) { v.tokens[9] = "<0xZZ>"; }), "tokenizer.ggml.tokens: entry 9"));
  CHECK(names(changed(pieces, [](auto& v) { v.types[9] = token_type::normal, v.unk.reset(); }),
              "tokenizer.ggml.tokens: no token for byte"));
}

TEST_CASE("empty tokens that pad the list are allowed and never produced") {
  auto v = byte_level_vocabulary();
  v.tokens.insert(v.tokens.end(), {"", ""});
  v.types.insert(v.types.end(), {token_type::unused, token_type::control});
  const auto t = make_tokenizer(v);
  CHECK(t.encode("a", parsed).value() == ids{'a'});
  CHECK(t.piece(259).empty());
}

TEST_CASE("a token that is not written in the byte alphabet stands for itself") {
  auto v = byte_level_vocabulary();
  v.tokens.push_back("a b");
  v.tokens.push_back("語");
  v.types.insert(v.types.end(), {token_type::normal, token_type::normal});
  const auto t = make_tokenizer(v);
  CHECK(t.piece(259) == "a b");
  CHECK(t.piece(260) == "語");
}

} // namespace troupe::text
