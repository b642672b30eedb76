// SPDX-License-Identifier: Apache-2.0
// A process of its own that writes into a peer's region, whole and again and again, until it is refused:
// shared_memory_writer SELF OWNER DESCRIPTION BYTES, whole MiB. Neighbouring writes carry different bytes. With more
// arguments, only from each of these offsets on, BYTES / their number.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "tests/support/shared_memory_fixture.hpp"

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 20;

std::uint64_t number(const char* text) {
  std::uint64_t result = 0;
  std::from_chars(text, text + std::strlen(text), result);
  return result;
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 5)
    return 2;
  ::alarm(60); // never outlives its test by much
  auto self = shared_memory_backend::make(peer_id{number(argv[1])});
  auto bytes = number(argv[4]);
  if (!self)
    return 2;
  // Each write says a piece of one value many times: a small process starts and dies fast.
  std::vector<std::byte> memory(2 * piece_bytes, std::byte{0x11});
  std::fill(memory.begin() + piece_bytes, memory.end(), std::byte{0x22});
  auto source = (*self)->add_region({memory.data(), memory.size()});
  auto target = (*self)->import(peer_id{number(argv[2])}, argv[3]);
  if (!source || !target)
    return 2;
  std::vector<run> to{{0, bytes}};
  if (argc > 5)
    to.clear();
  for (int i = 5; i < argc; ++i)
    to.push_back({number(argv[i]), bytes / static_cast<std::uint64_t>(argc - 5)});
  for (std::uint64_t round = 0;; ++round) {
    std::vector<run> from(bytes / piece_bytes, run{round % 2 * piece_bytes, piece_bytes});
    auto what = (*self)->write(*source, from, *target, to, {}, soon());
    auto result = what ? await_end(**self).result : what.error().code;
    if (result != errc::none) {
      std::printf("%s\n", to_string(result).c_str());
      std::fflush(stdout);
      break;
    }
  }
  ::pause(); // the connection stays
  return 0;
}
