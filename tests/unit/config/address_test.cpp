// SPDX-License-Identifier: Apache-2.0
#include "actors/config/address.hpp"

#include <doctest/doctest.h>

using namespace troupe;

TEST_CASE("an address is a numeric host and a port") {
  CHECK(parse_listen_address("127.0.0.1:8000") == listen_address{"127.0.0.1", 8000});
  CHECK(parse_listen_address("[::1]:0") == listen_address{"::1", 0});
  CHECK(parse_listen_address("localhost:65535") == listen_address{"127.0.0.1", 65535});
  CHECK(to_string(listen_address{"::1", 80}) == "[::1]:80");
  CHECK(to_string(listen_address{"10.0.0.1", 80}) == "10.0.0.1:80");
}

TEST_CASE("what is not an address is refused") {
  using namespace std::string_view_literals;
  for (auto text : {""sv, ":"sv, "8000"sv, "127.0.0.1"sv, "127.0.0.1:"sv, "127.0.0.1:65536"sv, "127.0.0.1:-1"sv,
                    "127.0.0.1:80x"sv, "127.0.0:80"sv, "::1:80"sv, "[127.0.0.1]:80"sv, "[localhost]:80"sv,
                    "example.org:80"sv, "127.0.0.1:+80"sv, "127.0.0.1\0:80"sv}) {
    CAPTURE(text);
    CHECK_FALSE(parse_listen_address(text));
  }
}

TEST_CASE("only this machine's own addresses are loopback") {
  CHECK(is_loopback({"127.0.0.1", 1}));
  CHECK(is_loopback({"127.255.3.4", 1}));
  CHECK(is_loopback({"::1", 1}));
  CHECK_FALSE(is_loopback({"0.0.0.0", 1}));
  CHECK_FALSE(is_loopback({"::", 1}));
  CHECK_FALSE(is_loopback({"128.0.0.1", 1}));
  CHECK_FALSE(is_loopback({"::ffff:127.0.0.1", 1}));
}
