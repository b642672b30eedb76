// SPDX-License-Identifier: Apache-2.0
#include "text/pre_tokenizer.hpp"

#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace troupe::text {

namespace {

using words = std::vector<std::string>;

words split(pre_tokenizer kind, std::string_view text) {
  words result;
  word_splitter splitter{kind, text};
  for (auto word = splitter.next(); !word.empty(); word = splitter.next())
    result.emplace_back(word);
  return result;
}

} // namespace

// The expectations were read off the patterns in pre_tokenizer.hpp.

TEST_CASE("gpt2 takes a space into the word behind it and leaves the other spaces alone") {
  CHECK(split(pre_tokenizer::gpt2, "Hello, world") == words{"Hello", ",", " world"});
  CHECK(split(pre_tokenizer::gpt2, "a  b") == words{"a", " ", " b"});
  CHECK(split(pre_tokenizer::gpt2, "a   ") == words{"a", "   "});
  CHECK(split(pre_tokenizer::gpt2, "a\n\nb") == words{"a", "\n", "\n", "b"});
  CHECK(split(pre_tokenizer::gpt2, "a\u00A0b") == words{"a", "\u00A0", "b"});
  CHECK(split(pre_tokenizer::gpt2, " ") == words{" "});
  CHECK(split(pre_tokenizer::gpt2, "").empty());
}

TEST_CASE("gpt2 knows contractions in lower case only") {
  CHECK(split(pre_tokenizer::gpt2, "it's we'll I'M") == words{"it", "'s", " we", "'ll", " I", "'", "M"});
  CHECK(split(pre_tokenizer::gpt2, "'tis 're 'v") == words{"'t", "is", " '", "re", " '", "v"});
  CHECK(split(pre_tokenizer::gpt2, "''s") == words{"''", "s"});
}

TEST_CASE("gpt2 keeps numbers together, smollm cuts each one out before it looks at anything else") {
  CHECK(split(pre_tokenizer::gpt2, "in 1984x") == words{"in", " 1984", "x"});
  CHECK(split(pre_tokenizer::smollm, "in 1984x") == words{"in", " ", "1", "9", "8", "4", "x"});
  // The spaces end their piece, so none of them is kept for the number behind.
  CHECK(split(pre_tokenizer::smollm, "a   1") == words{"a", "   ", "1"});
  CHECK(split(pre_tokenizer::smollm, "a   b1") == words{"a", "  ", " b", "1"});
  CHECK(split(pre_tokenizer::smollm, "'1s") == words{"'", "1", "s"});
  CHECK(split(pre_tokenizer::smollm, "½Ⅷ") == words{"½", "Ⅷ"});
}

TEST_CASE("qwen2 ends a word with its line breaks and lets any one character begin a word of letters") {
  CHECK(split(pre_tokenizer::qwen2, "a.b\tc (d)") == words{"a", ".b", "\tc", " (", "d", ")"});
  CHECK(split(pre_tokenizer::qwen2, "x;\n\ny") == words{"x", ";\n\n", "y"});
  CHECK(split(pre_tokenizer::qwen2, "a \n \n  b") == words{"a", " \n \n", " ", " b"});
  CHECK(split(pre_tokenizer::qwen2, "a\nb\r\nc") == words{"a", "\n", "b", "\r\n", "c"});
  CHECK(split(pre_tokenizer::qwen2, "I'M It'LL") == words{"I", "'M", " It", "'LL"});
  CHECK(split(pre_tokenizer::qwen2, "12345") == words{"1", "2", "3", "4", "5"});
  CHECK(split(pre_tokenizer::llama3, "12345 678") == words{"123", "45", " ", "678"});
}

TEST_CASE("words put together are the text, whatever its bytes") {
  std::mt19937 random{7};
  const std::string_view alphabet = "aZ'sreldm 1\n\r\t.,\xC3\xA9\xE3\x80\x80\xC2\xA0\xFF\xF0\x9F";
  for (const auto kind : {pre_tokenizer::gpt2, pre_tokenizer::smollm, pre_tokenizer::qwen2, pre_tokenizer::llama3})
    for (int round = 0; round < 2000; ++round) {
      std::string text;
      for (auto n = random() % 32; n > 0; --n)
        text += alphabet[random() % alphabet.size()];
      std::string together;
      for (const auto& word : split(kind, text))
        together += word;
      CHECK(together == text);
    }
}

TEST_CASE("names are those of tokenizer.ggml.pre") {
  CHECK(find_pre_tokenizer("smollm") == pre_tokenizer::smollm);
  CHECK(find_pre_tokenizer("gpt-2") == pre_tokenizer::gpt2);
  CHECK(find_pre_tokenizer("qwen2") == pre_tokenizer::qwen2);
  CHECK(find_pre_tokenizer("llama-bpe") == pre_tokenizer::llama3);
  CHECK(!find_pre_tokenizer(""));
  CHECK(!find_pre_tokenizer("default"));
}

} // namespace troupe::text
