// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include <doctest/doctest.h>

#include "text/pipeline/workspace.hpp"

namespace troupe::text {

TEST_CASE("the buffers of a long text are not kept, whichever they are") {
  constexpr std::size_t many = std::size_t{1} << 20;
  const auto kept_after = [](auto use) {
    workspace_pool pool;
    auto w = pool.take();
    use(*w);
    pool.give_back(std::move(w));
    return pool.take()->buffer_bytes();
  };
  CHECK(kept_after([](workspace& w) { w.bpe.symbols.resize(100); }) >= 400);
  // A string without a buffer has some bytes in itself.
  constexpr std::size_t none = 64;
  CHECK(kept_after([](workspace& w) { w.bpe.symbols.resize(many); }) < none);
  CHECK(kept_after([](workspace& w) { w.bpe.pairs.resize(many); }) < none);
  CHECK(kept_after([](workspace& w) { w.bpe.previous.resize(many); }) < none);
  CHECK(kept_after([](workspace& w) { w.bpe.next.resize(many); }) < none);
  CHECK(kept_after([](workspace& w) { w.bpe.heap.resize(many); }) < none);
  CHECK(kept_after([](workspace& w) { w.unigram.arrivals.resize(many); }) < none);
  CHECK(kept_after([](workspace& w) { w.unigram.way.resize(many); }) < none);
  CHECK(kept_after([](workspace& w) { w.normalized.resize(2 * many); }) < none);
  // Each of them may be kept alone, but not together.
  CHECK(kept_after([](workspace& w) {
          w.bpe.heap.resize(80'000);
          w.normalized.resize(500'000);
        })
        < none);
}

} // namespace troupe::text
