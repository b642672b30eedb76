// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp/frame.hpp"

#include <doctest/doctest.h>

#include <random>

#include "transport/tcp/description.hpp"
#include "transport/tcp/grants.hpp"

using namespace troupe;
using namespace troupe::transport;

namespace {

region_token some_token() {
  region_token result;
  for (std::size_t i = 0; i < result.size(); ++i)
    result[i] = static_cast<std::byte>(0xf0 + i);
  return result;
}

frame some_write() {
  return {.kind = frame_kind::write,
          .note_bytes = 64,
          .runs = 3,
          .number = 0x1122334455667788,
          .bytes = 4096,
          .region = {7},
          .token = some_token()};
}

std::vector<frame> all_kinds() {
  return {some_write(),
          {.kind = frame_kind::written, .number = 5, .bytes = 4096},
          {.kind = frame_kind::written, .result = errc::revoked, .number = 5},
          {.kind = frame_kind::fence, .number = ~std::uint64_t{0}},
          {.kind = frame_kind::fenced, .number = 1}};
}

} // namespace

TEST_CASE("frames, hellos, runs and trailers come back as they went") {
  for (auto& f : all_kinds())
    CHECK(*decode_frame(encode(f)) == f);
  hello h{.from = {3}, .to = {~std::uint64_t{0}}, .connection = 9, .posted_before = backlog::discard};
  CHECK(*decode_hello(encode(h)) == h);
  std::vector<run> runs{{1, 2, 3, 4}, {~std::uint64_t{0}, 6, 7, ~std::uint32_t{0}}};
  std::vector<std::byte> bytes;
  append_runs(bytes, runs);
  REQUIRE(bytes.size() == 2 * run_bytes);
  auto back = decode_runs(bytes);
  REQUIRE(back.size() == 2);
  CHECK(back[0].stride == 3);
  CHECK(back[1].offset == ~std::uint64_t{0});
  CHECK(back[1].count == ~std::uint32_t{0});
  for (int code = 0; code <= 10; ++code)
    CHECK(*decode_trailer(encode_trailer(static_cast<errc>(code))) == static_cast<errc>(code));
}

TEST_CASE("a frame is little-endian, field by field") {
  auto bytes = encode(some_write());
  CHECK(bytes[0] == std::byte{1});
  CHECK(bytes[2] == std::byte{64});
  CHECK(bytes[4] == std::byte{3});
  CHECK(bytes[8] == std::byte{0x88});
  CHECK(bytes[15] == std::byte{0x11});
  CHECK(bytes[17] == std::byte{0x10});
  CHECK(bytes[24] == std::byte{7});
  CHECK(bytes[28] == std::byte{0xf0});
  CHECK(bytes[43] == std::byte{0xff});
  auto greeting = encode(hello{.from = {2}, .to = {3}});
  CHECK(std::string_view{reinterpret_cast<const char*>(greeting.data()), 8} == "TTRPTCP1");
  CHECK(greeting[8] == std::byte{1});
}

TEST_CASE("what no encoder writes is refused: every changed bit is refused, or is another well-formed frame") {
  std::size_t refused = 0;
  for (auto& f : all_kinds())
    for (std::size_t bit = 0; bit < 8 * frame_bytes; ++bit) {
      auto bytes = encode(f);
      bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
      auto back = decode_frame(bytes);
      refused += back ? 0 : 1;
      CHECK((!back || encode(*back) == bytes));
    }
  CHECK(refused > 1000);
  for (std::size_t bit = 0; bit < 8 * frame_bytes; ++bit) {
    auto bytes = encode(hello{.from = {1}, .to = {2}});
    bytes[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    auto back = decode_hello(bytes);
    CHECK((!back || encode(*back) == bytes));
    if (bit < 8 * 12) // magic and version
      CHECK_FALSE(back);
  }
  std::mt19937_64 random{1};
  for (int round = 0; round < 20'000; ++round) {
    frame_buffer bytes;
    for (auto& b : bytes)
      b = static_cast<std::byte>(random());
    bytes[0] = static_cast<std::byte>(random() % 6);
    auto back = decode_frame(bytes);
    CHECK((!back || encode(*back) == bytes));
    CHECK_FALSE(decode_hello(bytes));
  }
}

TEST_CASE("frames with lengths and codes that cannot be are refused") {
  auto refuses = [](auto change) {
    auto f = some_write();
    change(f);
    return !decode_frame(encode(f));
  };
  CHECK_FALSE(refuses([](frame&) {}));
  CHECK(refuses([](frame& f) { f.runs = 0; }));
  CHECK(refuses([](frame& f) { f.bytes = 0; }));
  CHECK(refuses([](frame& f) { f.bytes = payload_bytes_max + 1; }));
  CHECK(refuses([](frame& f) { f.note_bytes = 65; }));
  CHECK(refuses([](frame& f) { f.result = errc::revoked; }));
  CHECK(refuses([](frame& f) { f.result = static_cast<errc>(11); }));
  CHECK(refuses([](frame& f) { f.kind = static_cast<frame_kind>(0); }));
  CHECK(refuses([](frame& f) { f.kind = static_cast<frame_kind>(5); }));
  CHECK(refuses([](frame& f) { f.kind = frame_kind::fence; }));
  auto trailer = encode_trailer(errc::none);
  trailer[0] = std::byte{11};
  CHECK_FALSE(decode_trailer(trailer));
  trailer = encode_trailer(errc::none);
  trailer[7] = std::byte{1};
  CHECK_FALSE(decode_trailer(trailer));
}

TEST_CASE("a description comes back as it went, and nonsense is refused") {
  tcp_description d{{~std::uint64_t{0}}, {0x7f000001, 65535}, {7}, some_token()};
  auto text = to_text(d);
  CHECK(text == "tcp:18446744073709551615:127.0.0.1:65535:7:f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
  auto back = tcp_description_from_text(text);
  REQUIRE(back);
  CHECK(back->owner == d.owner);
  CHECK(back->where.host == d.where.host);
  CHECK(back->where.port == d.where.port);
  CHECK(back->region == d.region);
  CHECK(back->token == d.token);
  for (std::size_t cut = 0; cut < text.size(); ++cut)
    CHECK(tcp_description_from_text(text.substr(0, cut)).error().code == errc::unknown_region);
  std::string token = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
  for (auto& bad :
       {"tcp:1:127.0.0.1:1:1:" + token + "0", "tcp:1:127.0.0.1:0:1:" + token, "tcp:1:127.0.0.1:65536:1:" + token,
        "tcp:1:10.0.0.1:1:1:" + token, "tcp:1:localhost:1:1:" + token, "tcp:1:127.0.0.1:1:4294967296:" + token,
        "tcp:-1:127.0.0.1:1:1:" + token, "tcp:1:127.0.0.1:1:1:" + std::string(32, 'F'),
        "tcp:1:127.0.0.1:1:1:" + std::string(32, ' '), "memory:1:127.0.0.1:1:1:" + token, "tcp:1::1:1:" + token,
        "tcp:1:" + std::string(100'000, '1') + ":1:1:" + token})
    CHECK(tcp_description_from_text(bad).error().code == errc::unknown_region);
}

TEST_CASE("a token is for one region and one reader, and is drawn again after it was withdrawn") {
  grant_table grants;
  auto first = *grants.grant({1}, {10});
  CHECK(*grants.grant({1}, {10}) == first);
  CHECK(*grants.grant({2}, {10}) != first);
  CHECK(*grants.grant({1}, {11}) != first);
  CHECK(grants.is_granted({1}, {10}, first));
  CHECK_FALSE(grants.is_granted({2}, {10}, first));
  CHECK_FALSE(grants.is_granted({1}, {11}, first));
  CHECK_FALSE(grants.is_granted({1}, {10}, region_token{}));
  grants.revoke(region_id{1});
  CHECK_FALSE(grants.is_granted({1}, {10}, first));
  CHECK(*grants.grant({1}, {10}) != first);
  auto second = *grants.grant({2}, {10});
  grants.revoke(peer_id{10});
  CHECK_FALSE(grants.is_granted({2}, {10}, second));
}

TEST_CASE("a peer that was fenced unseen discards what it had posted, unless it saw the connection close") {
  grant_table grants;
  REQUIRE(grants.grant({1}, {10}));
  CHECK(grants.reconnected({10}, 0) == backlog::keep);
  grants.fenced_unseen({10});
  CHECK(grants.reconnected({10}, 0) == backlog::discard);
  CHECK(grants.reconnected({10}, 0) == backlog::keep); // settled
  grants.fenced_by_closing({10}, 5);
  CHECK(grants.reconnected({10}, 5) == backlog::keep);
  grants.fenced_by_closing({10}, 6);
  CHECK(grants.reconnected({10}, 5) == backlog::discard);
  grants.fenced_by_closing({10}, 7);
  grants.fenced_unseen({10});
  CHECK(grants.reconnected({10}, 7) == backlog::discard);
  grants.fenced_unseen({11}); // may write nowhere
  CHECK(grants.reconnected({11}, 0) == backlog::keep);
}
