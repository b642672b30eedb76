// SPDX-License-Identifier: Apache-2.0
#include <fstream>
#include <iterator>
#include <thread>

#include <doctest/doctest.h>

#include "text/tokenizer.hpp"
#include "text/tokenizer_json/tokenizer_json.hpp"

namespace troupe::text {

TEST_CASE("threads that share a tokenizer all get the ids that one alone gets") {
  // One with a pattern that PCRE2 runs, one with a hand-compiled one, one that searches a lattice.
  for (const std::string name : {"deepseek", "qwen2", "unigram_charsmap"}) {
    std::ifstream file{TROUPE_SOURCE_DIR "/tests/goldens/tokenizer_json/" + name + ".json", std::ios::binary};
    auto description = read_tokenizer_json(std::string{std::istreambuf_iterator<char>{file}, {}});
    REQUIRE_MESSAGE(description.has_value(), description.error().context);
    const auto t = tokenizer::make(*std::move(description));
    REQUIRE(t.has_value());
    std::vector<std::string> texts;
    std::vector<std::vector<token_id>> expected;
    for (int i = 0; i < 200; ++i) {
      texts.push_back("word" + std::to_string(i * 7919) + " of the text, na\u00efve <|end|> \u65e5\u672c"
                      + std::string(i % 90, 'x'));
      expected.push_back(t->encode(texts.back()).value());
    }
    std::vector<std::thread> threads;
    std::vector<int> wrong(4);
    for (std::size_t n = 0; n < wrong.size(); ++n)
      threads.emplace_back([&, n] {
        for (std::size_t round = 0; round < 5; ++round)
          for (std::size_t i = 0; i < texts.size(); ++i)
            wrong[n] +=
              t->encode(texts[(i + n * 50) % texts.size()]).value() != expected[(i + n * 50) % texts.size()] ? 1 : 0;
      });
    for (auto& thread : threads)
      thread.join();
    CHECK(wrong == std::vector<int>(4));
  }
}

} // namespace troupe::text
