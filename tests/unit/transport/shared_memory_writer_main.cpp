// SPDX-License-Identifier: Apache-2.0
// A process of its own that writes into a peer's region, whole and again and again, until it is refused:
// shared_memory_writer SELF OWNER DESCRIPTION BYTES. Neighbouring writes carry different bytes.
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "tests/support/shared_memory_fixture.hpp"

using namespace troupe;
using namespace troupe::transport;
using namespace troupe::test;

namespace {

std::uint64_t number(const char* text) {
  std::uint64_t result = 0;
  std::from_chars(text, text + std::strlen(text), result);
  return result;
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 5)
    return 2;
  ::alarm(60); // never outlives its test by much
  auto self = shared_memory_backend::make(peer_id{number(argv[1])});
  auto bytes = number(argv[4]);
  if (!self)
    return 2;
  std::vector<std::byte> memory(2 * bytes, std::byte{0x11});
  std::fill(memory.begin() + static_cast<std::ptrdiff_t>(bytes), memory.end(), std::byte{0x22});
  auto source = (*self)->add_region({memory.data(), memory.size()});
  auto target = (*self)->import(peer_id{number(argv[2])}, argv[3]);
  if (!source || !target)
    return 2;
  run to{0, bytes};
  for (std::uint64_t round = 0;; ++round) {
    run from{round % 2 * bytes, bytes};
    auto what = (*self)->write(*source, std::span{&from, 1}, *target, std::span{&to, 1}, {}, soon());
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
