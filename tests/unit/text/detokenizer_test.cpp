// SPDX-License-Identifier: Apache-2.0
#include "text/detokenizer.hpp"

#include <random>

#include <doctest/doctest.h>

#include "tests/unit/text/small_vocabularies.hpp"

namespace troupe::text {

using test::byte_level_vocabulary;
using test::ids;
using test::make_tokenizer;
using test::sentencepiece_vocabulary;

namespace {

std::string all(const tokenizer& t, const ids& prompt, const ids& tokens,
                special_output specials = special_output::skip) {
  incremental_detokenizer detokenizer{t, prompt, specials};
  std::string text;
  for (const auto token : tokens)
    text += detokenizer.push(token);
  return text + detokenizer.finish();
}

} // namespace

TEST_CASE("a character that is spread over tokens appears with its last byte") {
  const auto t = make_tokenizer(byte_level_vocabulary());
  incremental_detokenizer detokenizer{t, {}, special_output::skip};
  CHECK(detokenizer.push('a') == "a");
  CHECK(detokenizer.push(0xE2).empty());
  CHECK(detokenizer.push(0x82).empty());
  CHECK(detokenizer.push(0xAC) == "\u20AC");
  CHECK(detokenizer.push(0xE2).empty());
  CHECK(detokenizer.push('b')
        == "\uFFFD"
           "b");
  CHECK(detokenizer.push(0xF0).empty());
  CHECK(detokenizer.finish() == "\uFFFD");
}

TEST_CASE("control tokens are left out or shown, and do not break a character apart when left out") {
  const auto t = make_tokenizer(byte_level_vocabulary());
  CHECK(all(t, {}, {'a', 256, 'b'}) == "ab");
  CHECK(all(t, {}, {'a', 256, 'b'}, special_output::keep) == "a<|end|>b");
  CHECK(all(t, {}, {0xC3, 256, 0xA9}) == "é");
  CHECK(all(t, {}, {0xC3, 256, 0xA9}, special_output::keep) == "\uFFFD<|end|>\uFFFD");
}

TEST_CASE("SentencePiece's first space is taken away at the beginning of a text and nowhere else") {
  const auto t = make_tokenizer(sentencepiece_vocabulary({"\u2581a", "\u2581", "a", "\u2581\u2581"}));
  const token_id spaced = 259;
  const token_id plain = 261;
  CHECK(all(t, {}, {spaced, spaced}) == "a a");
  CHECK(all(t, {1}, {spaced, spaced}) == "a a");         // the prompt is BOS alone
  CHECK(all(t, {1, plain}, {spaced, spaced}) == " a a"); // the text continues one
  CHECK(all(t, {1}, {plain, spaced}) == "a a");
  CHECK(all(t, {1}, {262, plain}) == " a"); // one space only
  CHECK(all(t, {1}, {1, spaced}, special_output::keep) == "<s>a");
  auto v = sentencepiece_vocabulary({"\u2581a"});
  v.add_space_prefix = false;
  CHECK(all(make_tokenizer(v), {1}, {259}) == " a");
}

TEST_CASE("any split of a text into tokens gives the same text") {
  const std::string letters = "a \u00E9\u20AC\U0001F600\n";
  std::vector<std::string> merges;
  for (std::size_t i = 0; i + 1 < letters.size(); ++i)
    merges.push_back(letters.substr(i, 1) + '\t' + letters.substr(i + 1, 1));
  const auto t = make_tokenizer(byte_level_vocabulary(merges));
  std::mt19937 random{11};
  for (int round = 0; round < 2000; ++round) {
    ids by_byte;
    ids by_pair;
    std::string bytes;
    for (auto n = random() % 20; n > 0; --n) {
      const auto i = random() % (letters.size() - 1);
      const auto pair = letters.substr(i, 2);
      by_pair.push_back(t.encode(pair).value().size() == 1 ? t.encode(pair).value()[0]
                                                           : static_cast<std::uint8_t>(pair[0]));
      bytes += t.piece(by_pair.back());
    }
    for (const char c : bytes)
      by_byte.push_back(static_cast<std::uint8_t>(c));
    CHECK(all(t, {}, by_byte) == all(t, {}, by_pair));
  }
}

} // namespace troupe::text
