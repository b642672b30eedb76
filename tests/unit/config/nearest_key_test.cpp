// SPDX-License-Identifier: Apache-2.0
#include "actors/config/nearest_key.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace troupe;

TEST_CASE("the nearest key is the one with fewest edits") {
  constexpr std::array<std::string_view, 4> keys{"memory", "block-tokens", "dtype", "model"};
  CHECK(nearest_key("memroy", keys) == "memory");
  CHECK(nearest_key("block_tokens", keys) == "block-tokens");
  CHECK(nearest_key("blocktoken", keys) == "block-tokens");
  CHECK(nearest_key("type", keys) == "dtype");
  CHECK(nearest_key("modle", keys) == "model");
}

TEST_CASE("a key that resembles none has no nearest one") {
  constexpr std::array<std::string_view, 2> keys{"memory", "n"};
  CHECK(nearest_key("temperature", keys) == "");
  CHECK(nearest_key("xy", keys) == "");
  CHECK(nearest_key("", keys) == "");
  CHECK(nearest_key(std::string(100'000, 'm'), keys) == "");
}
