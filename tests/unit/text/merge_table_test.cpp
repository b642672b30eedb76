// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/merge_table.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <utility>

#include "tests/support/splitmix64.hpp"

using namespace troupe;
using namespace troupe::text;

namespace {

constexpr token_id symbols = 1000; // bit_width 10: the largest symbols fill all bits but one

using known_merges = std::map<std::pair<token_id, token_id>, merge_table::packed>;

/// All pairs of a stripe of symbols, the largest among them.
void check_stripe(const merge_table& table, const known_merges& known) {
  for (token_id left = 0; left < symbols; left += 3)
    for (token_id right = symbols; right-- > 0;) {
      const auto i = known.find({left, right});
      if (table.find(left, right) != (i == known.end() ? merge_table::none : i->second))
        FAIL("pair " << left << ", " << right);
    }
}

} // namespace

TEST_CASE("every pair is found with its rank and result, whether or not results follow from ranks") {
  for (const token_id result_step : {1u, 7u}) {
    test::splitmix64 random{3};
    std::vector<bpe_merge> merges;
    known_merges known;
    for (std::uint32_t i = 0; i < 5000; ++i) {
      const auto left = static_cast<token_id>(random.below(symbols)),
                 right = static_cast<token_id>(random.below(symbols));
      // Equal ranks, too, where results don't follow.
      merges.push_back({left, right, 256 + i * result_step, result_step == 1 ? i : i / 3});
      known.emplace(std::pair{left, right}, merge_table::packed{merges.back().rank} << 32 | merges.back().result);
    }
    CHECK(known.size() < merges.size()); // of two merges of one pair the first counts
    const merge_table table{merges, symbols};
    check_stripe(table, known);
    // The border of a word has no merges.
    for (token_id symbol = 0; symbol < symbols; ++symbol)
      CHECK((table.find(symbol, symbols) & table.find(symbols, symbol)) == merge_table::none);
    // As files list them whose last merge of a pair counts.
    std::ranges::reverse(merges);
    known.clear();
    for (const auto& m : merges)
      known.emplace(std::pair{m.left, m.right}, merge_table::packed{m.rank} << 32 | m.result);
    check_stripe({merges, symbols}, known);
  }
  check_stripe({{}, symbols}, {});
}

TEST_CASE("what fits into a slot is known before") {
  CHECK(merge_table::fits(262'145, 514'906)); // Gemma 3
  CHECK(merge_table::fits((1u << 21) - 1, (1u << 22) - 1));
  CHECK_FALSE(merge_table::fits(1u << 21, (1u << 22) - 1));
}
