// SPDX-License-Identifier: Apache-2.0
// The heap against the definition: merge the best pair of the whole word, again and again.
#include <chrono>
#include <map>
#include <random>
#include <set>

#include <doctest/doctest.h>

#include "tests/unit/text/small_vocabularies.hpp"
#include "text/pipeline/normalizer.hpp"
#include "text/unicode.hpp"

namespace troupe::text {

using test::byte_level_vocabulary;
using test::ids;
using test::make_tokenizer;
using test::sentencepiece_vocabulary;

namespace {

constexpr std::string_view escaped_space = "\u2581";

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  const auto pattern = pattern_matcher::make({pattern_kind::literal, std::string{from}}).value();
  return text::replaced(text, pattern, to, std::string::npos).value();
}

using symbols = std::vector<std::string>;

void join(symbols& word, std::size_t i) {
  word[i] += word[i + 1];
  word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
}

/// `rank` of a pair, lower is better, negative is none.
template <class Rank>
symbols merged(symbols word, Rank rank) {
  for (;;) {
    double best = -1;
    std::size_t at = 0;
    for (std::size_t i = 0; i + 1 < word.size(); ++i)
      if (const double r = rank(word[i], word[i + 1]); r >= 0 && (best < 0 || r < best)) {
        best = r;
        at = i;
      }
    if (best < 0)
      return word;
    join(word, at);
  }
}

/// Up to `n` merges over `letters`, each of two strings that exist already.
std::vector<std::string> random_merges(std::mt19937& random, std::string_view letters, int n) {
  std::vector<std::string> known;
  for (const char c : letters)
    known.emplace_back(1, c);
  std::set<std::string> made;
  std::vector<std::string> merges;
  for (int i = 0; i < n; ++i) {
    const auto& left = known[random() % known.size()];
    const auto& right = known[random() % known.size()];
    if (const auto both = left + right; both.size() <= 8 && made.insert(both).second) {
      merges.push_back(left + '\t' + right);
      known.push_back(both);
    }
  }
  return merges;
}

std::string random_text(std::mt19937& random, std::string_view letters, std::size_t bytes_max) {
  std::string text;
  for (auto n = random() % (bytes_max + 1); n > 0; --n)
    text += letters[random() % letters.size()];
  return text;
}

} // namespace

TEST_CASE("byte-level merges are those of the definition") {
  std::mt19937 random{1};
  for (int round = 0; round < 40; ++round) {
    const auto merges = random_merges(random, "abc", 30);
    const auto t = make_tokenizer(byte_level_vocabulary(merges));
    std::map<std::pair<std::string, std::string>, int> ranks;
    for (int i = 0; i < static_cast<int>(merges.size()); ++i) {
      const auto tab = merges[static_cast<std::size_t>(i)].find('\t');
      const auto& merge = merges[static_cast<std::size_t>(i)];
      ranks.emplace(std::pair{merge.substr(0, tab), merge.substr(tab + 1)}, i);
    }
    for (int word = 0; word < 50; ++word) {
      const auto text = random_text(random, "abc", 90);
      symbols letters;
      for (const char c : text)
        letters.emplace_back(1, c);
      const auto expected = merged(letters, [&](const std::string& l, const std::string& r) {
        const auto found = ranks.find({l, r});
        return found == ranks.end() ? -1 : found->second;
      });
      symbols actual;
      const auto tokens_of_text = t.encode(text).value();
      for (const auto token : tokens_of_text)
        actual.emplace_back(t.piece(token));
      CHECK(actual == expected);
    }
  }
}

TEST_CASE("SentencePiece merges are those of the definition") {
  std::mt19937 random{2};
  for (int round = 0; round < 40; ++round) {
    std::vector<std::string> tokens{"a", "b", "\u2581"};
    for (const auto& merge : random_merges(random, "ab ", 30))
      tokens.push_back(replaced(replaced(merge, "\t", ""), " ", escaped_space));
    auto v = sentencepiece_vocabulary(tokens);
    // Equal scores happen in real vocabularies; there the leftmost pair wins.
    for (auto& score : v.scores)
      score = static_cast<float>(static_cast<int>(score) / 4);
    std::map<std::string, double> ranks;
    for (std::size_t id = 259; id < v.tokens.size(); ++id)
      ranks.emplace(v.tokens[id], -static_cast<double>(v.scores[id]));
    v.add_space_prefix = false;
    const auto t = make_tokenizer(v);
    for (int word = 0; word < 50; ++word) {
      const auto text = random_text(random, "abx ", 60);
      symbols letters;
      for (const char c : text)
        letters.emplace_back(c == ' ' ? std::string{escaped_space} : std::string(1, c));
      const auto expected = merged(letters, [&](const std::string& l, const std::string& r) {
        const auto found = ranks.find(l + r);
        return found == ranks.end() ? -1.0 : found->second;
      });
      symbols actual;
      const auto tokens_of_text = t.encode(text).value();
      for (const auto token : tokens_of_text)
        actual.push_back(replaced(t.piece(token), " ", escaped_space));
      CHECK(actual == expected);
    }
  }
}

TEST_CASE("random bytes survive encoding and decoding") {
  std::mt19937 random{3};
  const auto merges = random_merges(random, "a \xC3\xA9\xF0\n1", 60);
  for (const auto* pre : {"gpt-2", "smollm", "qwen2", "llama-bpe"}) {
    const auto bytes = make_tokenizer(byte_level_vocabulary(merges, pre));
    for (int round = 0; round < 500; ++round) {
      std::string text;
      for (auto n = random() % 64; n > 0; --n)
        text += random() % 2 ? static_cast<char>(random()) : "a \xC3\xA9\xF0\n1"[random() % 7];
      CHECK(bytes.decode(bytes.encode(text).value()) == text);
    }
  }
  auto v = sentencepiece_vocabulary({"a", "\u2581", "\u2581a", "aa", "\u2581\u2581"});
  for (const bool prefix : {false, true}) {
    v.add_space_prefix = prefix;
    const auto pieces = make_tokenizer(v);
    for (int round = 0; round < 500; ++round) {
      std::string text;
      for (auto n = random() % 64; n > 0; --n)
        text += random() % 2 ? static_cast<char>(random()) : "a  "[random() % 3];
      // U+2581 itself reads back as a space; random bytes hardly ever hit it.
      if (text.find(escaped_space) == std::string::npos)
        CHECK(pieces.decode(pieces.encode(text).value()) == text);
    }
  }
}

TEST_CASE("words have the tokens that each of them has alone, however many there are and whatever came before") {
  std::mt19937 random{4};
  for (int round = 0; round < 10; ++round) {
    const auto vocabulary = byte_level_vocabulary(random_merges(random, "abc", 40));
    const auto one_by_one = make_tokenizer(vocabulary);
    const auto t = make_tokenizer(vocabulary);
    // Short ones, some of them again and again, and some that no cache has room for.
    std::vector<std::string> words;
    for (int i = 0; i < 2000; ++i) {
      const bool is_again = !words.empty() && random() % 4 == 0;
      words.push_back(is_again ? words[random() % words.size()]
                               : 'a'
                                   + random_text(random, "abc",
                                                 i % 50 == 0  ? 400
                                                 : i % 5 == 0 ? 40
                                                              : 9));
    }
    std::string text;
    ids expected;
    for (const auto& word : words) {
      const auto alone = one_by_one.encode(word).value();
      expected.insert(expected.end(), alone.begin(), alone.end());
      expected.push_back('.');
      text += word + '.';
    }
    CHECK(t.encode(text).value() == expected);
    CHECK(t.encode(text).value() == expected);
  }
}

TEST_CASE("a word of a megabyte takes no quadratic time") {
  // Quadratic algorithms need minutes for this; the bound is far from what is needed (well under a second).
  const std::string word(1'000'000, 'a');
  const auto begin = std::chrono::steady_clock::now();
  const auto bytes = make_tokenizer(byte_level_vocabulary({"a\ta", "aa\taa", "aaaa\taaaa"}));
  CHECK(bytes.encode(word).value().size() == word.size() / 8);
  const auto pieces = make_tokenizer(sentencepiece_vocabulary({"aa", "aaaa", "aaaaaaaa", "a", "\u2581"}));
  CHECK(pieces.encode(word).value().size() == 1 + word.size() / 8);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds{20});
}

} // namespace troupe::text
