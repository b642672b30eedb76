// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/chat/sse_parser.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace troupe::chat;

namespace {

using events = std::vector<sse_event>;

events parse_in_pieces(std::string_view stream, std::size_t piece_bytes) {
  sse_parser parser;
  events result;
  for (; !stream.empty(); stream.remove_prefix(std::min(piece_bytes, stream.size()))) {
    auto some = parser.feed(stream.substr(0, piece_bytes));
    REQUIRE(some.has_value());
    result.insert(result.end(), some->begin(), some->end());
  }
  return result;
}

} // namespace

TEST_CASE("any split of a stream gives the same events") {
  constexpr std::string_view stream = "\xEF\xBB\xBF"
                                      "data: one\n\n: comment\n\ndata:two\r\ndata:  three\r\n\r\nevent: error\rdata\r\r"
                                      "id: 7\nretry: 1\nunknown\n\nevent: lonely\n\ndata: ä\n\ndata: never ended\n";
  const events wanted{{"", "one"}, {"", "two\n three"}, {"error", ""}, {"", "ä"}};
  for (std::size_t bytes = 1; bytes <= stream.size(); ++bytes) {
    CAPTURE(bytes);
    CHECK(parse_in_pieces(stream, bytes) == wanted);
  }
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    sse_parser parser;
    auto first = parser.feed(stream.substr(0, cut));
    auto second = parser.feed(stream.substr(cut));
    REQUIRE(first);
    REQUIRE(second);
    first->insert(first->end(), second->begin(), second->end());
    CHECK(*first == wanted);
  }
}

TEST_CASE("an event larger than the bound is refused, one of the bound is not") {
  sse_parser fits{16};
  CHECK(fits.feed("data: 0123456789\n\n")); // the line is 16 bytes
  sse_parser long_line{16};
  CHECK_FALSE(long_line.feed("data: 0123456789a\n\n"));
  sse_parser many_lines{16};
  CHECK_FALSE(many_lines.feed("data: 0123\ndata: 4567\ndata: 89\n\n"));
  sse_parser many_events{16};
  for (int i = 0; i < 100; ++i)
    CHECK(many_events.feed("data: 01234567\n\n"));
}
