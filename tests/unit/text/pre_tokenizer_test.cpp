// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/pre_tokenizer.hpp"

#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace troupe::text {

namespace {

using words = std::vector<std::string>;

class collected final : public word_batch {
public:
  std::vector<std::string> result;

private:
  void take(word_batch::words batch) override {
    for (std::size_t i = 0; i < batch.count; ++i)
      result.emplace_back(batch.first[i]);
  }
};

words split(const std::vector<pre_tokenizer_step>& steps, std::string_view text) {
  const auto made = pre_tokenizer::make(steps);
  REQUIRE_MESSAGE(made.has_value(), made.error().context);
  collected batch;
  batch.enter_buffer(text.data() + text.size());
  text_growth growth{4 * text.size() + 64};
  made->split(text, pre_tokenizer::place::beginning, batch, growth);
  CHECK(!growth.exceeded());
  return batch.result;
}

pre_tokenize::split isolated(std::string_view regex) {
  return {{pattern_kind::regex, std::string{regex}}, split_behavior::isolated, false};
}

words split(split_pattern pattern, std::string_view text) { return split({isolated(regex_of(pattern))}, text); }

words split_smollm(std::string_view text) {
  return split({pre_tokenize::digits{true}, isolated(regex_of(split_pattern::gpt2))}, text);
}

} // namespace

// The expectations were read off the patterns in split_pattern.hpp.

TEST_CASE("gpt2 takes a space into the word behind it and leaves the other spaces alone") {
  CHECK(split(split_pattern::gpt2, "Hello, world") == words{"Hello", ",", " world"});
  CHECK(split(split_pattern::gpt2, "a  b") == words{"a", " ", " b"});
  CHECK(split(split_pattern::gpt2, "a   ") == words{"a", "   "});
  CHECK(split(split_pattern::gpt2, "a\n\nb") == words{"a", "\n", "\n", "b"});
  CHECK(split(split_pattern::gpt2, "a\u00A0b") == words{"a", "\u00A0", "b"});
  CHECK(split(split_pattern::gpt2, " ") == words{" "});
  CHECK(split(split_pattern::gpt2, "").empty());
}

TEST_CASE("gpt2 knows contractions in lower case only") {
  CHECK(split(split_pattern::gpt2, "it's we'll I'M") == words{"it", "'s", " we", "'ll", " I", "'", "M"});
  CHECK(split(split_pattern::gpt2, "'tis 're 'v") == words{"'t", "is", " '", "re", " '", "v"});
  CHECK(split(split_pattern::gpt2, "''s") == words{"''", "s"});
}

TEST_CASE("gpt2 keeps numbers together, smollm cuts each one out before it looks at anything else") {
  CHECK(split(split_pattern::gpt2, "in 1984x") == words{"in", " 1984", "x"});
  CHECK(split_smollm("in 1984x") == words{"in", " ", "1", "9", "8", "4", "x"});
  // The spaces end their piece, so none of them is kept for the number behind.
  CHECK(split_smollm("a   1") == words{"a", "   ", "1"});
  CHECK(split_smollm("a   b1") == words{"a", "  ", " b", "1"});
  CHECK(split_smollm("'1s") == words{"'", "1", "s"});
  CHECK(split_smollm("½Ⅷ") == words{"½", "Ⅷ"});
}

TEST_CASE("qwen2 ends a word with its line breaks and lets any one character begin a word of letters") {
  CHECK(split(split_pattern::qwen2, "a.b\tc (d)") == words{"a", ".b", "\tc", " (", "d", ")"});
  CHECK(split(split_pattern::qwen2, "x;\n\ny") == words{"x", ";\n\n", "y"});
  CHECK(split(split_pattern::qwen2, "a \n \n  b") == words{"a", " \n \n", " ", " b"});
  CHECK(split(split_pattern::qwen2, "a\nb\r\nc") == words{"a", "\n", "b", "\r\n", "c"});
  CHECK(split(split_pattern::qwen2, "I'M It'LL") == words{"I", "'M", " It", "'LL"});
  CHECK(split(split_pattern::qwen2, "12345") == words{"1", "2", "3", "4", "5"});
  CHECK(split(split_pattern::llama3, "12345 678") == words{"123", "45", " ", "678"});
}

TEST_CASE("words put together are the text, whatever its bytes") {
  std::mt19937 random{7};
  const std::string_view alphabet = "aZ'sreldm 1\n\r\t.,\xC3\xA9\xE3\x80\x80\xC2\xA0\xFF\xF0\x9F";
  for (const auto kind : {split_pattern::gpt2, split_pattern::qwen2, split_pattern::llama3_ascii, split_pattern::o200k,
                          split_pattern::tekken})
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

TEST_CASE("words that steps would double each time end where the text has grown enough") {
  // A mark before each character, which the next step takes for a character.
  std::vector<pre_tokenizer_step> steps;
  for (int i = 0; i < 50; ++i) {
    steps.emplace_back(isolated("."));
    steps.emplace_back(pre_tokenize::metaspace{i % 2 == 0 ? "x" : "y", prepend_scheme::always, false});
  }
  const auto made = pre_tokenizer::make(steps);
  REQUIRE(made.has_value());
  collected batch;
  text_growth growth{10'000};
  const std::string text = "ab";
  batch.enter_buffer(text.data() + text.size());
  made->split(text, pre_tokenizer::place::beginning, batch, growth);
  CHECK(growth.exceeded());
  CHECK(batch.result.size() <= 10'002);
}

TEST_CASE("a second ByteLevel is refused") {
  CHECK(pre_tokenizer::make({pre_tokenize::byte_level{}}).has_value());
  CHECK(!pre_tokenizer::make({pre_tokenize::byte_level{}, pre_tokenize::byte_level{}}).has_value());
}

} // namespace troupe::text
