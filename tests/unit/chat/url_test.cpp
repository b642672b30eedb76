// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/chat/url.hpp"

#include <doctest/doctest.h>

using namespace troupe::chat;

TEST_CASE("a URL is a host and perhaps a port") {
  CHECK(parse_url("http://127.0.0.1:8000") == url{"127.0.0.1", "8000"});
  CHECK(parse_url("http://localhost/") == url{"localhost", "80"});
  CHECK(parse_url("http://[::1]:8000/") == url{"::1", "8000"});
  CHECK(authority({"::1", "8000"}) == "[::1]:8000");
}

TEST_CASE("what is not a plain HTTP server's URL is refused") {
  for (auto text : {"", "127.0.0.1:8000", "https://a:1", "http://", "http://:80", "http://a:", "http://a:0",
                    "http://a:65536", "http://a:8x", "http://a/v1", "http://a b", "http://a\r\nX: y", "http://[::1",
                    "http://[::1]8000", "http://u@a"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_url(text));
  }
}
