// SPDX-License-Identifier: Apache-2.0
// What messages look like on the wire. A cluster's nodes agree on it by wire_version alone, so a layout that moves
// unnoticed would be read as something else by a node of the same version.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "messages/type_ids.hpp"
#include "messages/wire_version.hpp"
#include "tests/support/allocation_meter.hpp"
#include "tests/support/splitmix64.hpp"
#include "tests/unit/messages/message_samples.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

const std::string golden_file = TROUPE_SOURCE_DIR "/tests/goldens/messages/messages.txt";
const std::string how_to_write = "TROUPE_WRITE_GOLDENS=1 build/<preset>/bin/messages_test";

using bytes = std::vector<caf::byte>;

std::string hex(const bytes& from) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result;
  for (auto b : from) {
    result += digits[caf::to_integer<unsigned>(b) >> 4];
    result += digits[caf::to_integer<unsigned>(b) & 15];
  }
  return result.empty() ? "-" : result;
}

std::string name_of(caf::type_id_t type) {
  auto name = caf::query_type_name(type);
  return {name.data(), name.size()};
}

// Local types have no bytes, but a number that later ones depend on.
bool is_local(caf::type_id_t type) { return type == caf::type_id_v<register_region>; }

std::string version_line() { return "wire_version " + std::to_string(wire_version); }

// The lines of the golden file as they should be: version, then "number name hex".
std::vector<std::string> current_lines() {
  std::vector<std::pair<caf::type_id_t, std::string>> lines;
  for (auto& sample : message_samples())
    lines.emplace_back(sample.type, sample.name + " " + hex(sample.write()));
  for (auto type = caf::id_block::troupe::begin; type < caf::id_block::troupe::end; ++type)
    if (is_local(type))
      lines.emplace_back(type, name_of(type) + " local");
  std::stable_sort(lines.begin(), lines.end(), [](auto& a, auto& b) { return a.first < b.first; });
  std::vector<std::string> result{version_line()};
  for (auto& [type, line] : lines)
    result.push_back(std::to_string(type) + " " + line);
  return result;
}

std::vector<std::string> golden_lines() {
  std::vector<std::string> result;
  std::ifstream in{golden_file};
  for (std::string line; std::getline(in, line);)
    result.push_back(line);
  return result;
}

// CAF reads element by element and checks a string's length against what is left, so memory follows the bytes
// that are there: at most a string's 32 bytes of memory per byte, twice as a vector grows by doubling.
std::size_t allocation_bound(const bytes& from) { return 128 * from.size() + 4096; }

// Reads what may be anything. What it is does not matter; that it ends, and what it allocates, does.
void check_harmless(const message_sample& sample, const bytes& from) {
  auto before = allocated_bytes();
  (void)sample.read(from);
  auto allocated = allocated_bytes() - before;
  if (allocated > allocation_bound(from))
    FAIL_CHECK(sample.name << ": reading " << from.size() << " bytes allocated " << allocated << ": " << hex(from));
}

} // namespace

TEST_CASE("no message changes its bytes or its number without a new wire version") {
  auto current = current_lines();
  if (std::getenv("TROUPE_WRITE_GOLDENS") != nullptr) {
    std::ofstream out{golden_file};
    for (auto& line : current)
      out << line << '\n';
    REQUIRE(out.flush());
    MESSAGE("wrote " << golden_file);
    return;
  }
  auto golden = golden_lines();
  REQUIRE_MESSAGE(!golden.empty(), "no " << golden_file << "; write it by: " << how_to_write);
  REQUIRE_MESSAGE(golden[0] == version_line(), golden_file << " is of " << golden[0] << ", the code of "
                                                           << version_line() << "; write it anew by: " << how_to_write);
  std::vector<std::string> changed;
  std::set<std::string> before{golden.begin(), golden.end()};
  std::set<std::string> now{current.begin(), current.end()};
  std::set_symmetric_difference(before.begin(), before.end(), now.begin(), now.end(), std::back_inserter(changed));
  for (auto& line : changed)
    FAIL_CHECK((now.contains(line) ? "now:    " : "before: ") << line);
  CHECK_MESSAGE(changed.empty(),
                "messages changed on the wire: bump wire_version in messages/wire_version.hpp, then run "
                  << how_to_write);
  CHECK(current == golden); // the same lines in another order, or twice
}

TEST_CASE("every type of the block has a sample, save those that never leave the process") {
  std::set<caf::type_id_t> sampled;
  for (auto& sample : message_samples())
    sampled.insert(sample.type);
  CHECK(caf::id_block::troupe::begin == caf::first_custom_type_id);
  for (auto type = caf::id_block::troupe::begin; type < caf::id_block::troupe::end; ++type) {
    REQUIRE_FALSE(name_of(type).empty());
    CHECK_MESSAGE(sampled.contains(type) != is_local(type), name_of(type) << " needs a sample in message_samples.cpp");
  }
}

TEST_CASE("every field of a first sample differs from its default, and inspection names it") {
  for (auto& sample : message_samples())
    for (auto& fault : sample.find_faults())
      FAIL_CHECK(sample.name << fault);
}

TEST_CASE("no two samples of a type have the same bytes") {
  std::set<std::pair<caf::type_id_t, bytes>> seen;
  for (auto& sample : message_samples())
    CHECK_MESSAGE(seen.emplace(sample.type, sample.write()).second, sample.name);
}

TEST_CASE("what was written is read back equal") {
  for (auto& sample : message_samples())
    CHECK_MESSAGE(sample.read(sample.write()) == reading::same_value, sample.name);
}

TEST_CASE("no proper prefix of a message is a message") {
  for (auto& sample : message_samples()) {
    auto whole = sample.write();
    for (std::size_t cut = 0; cut < whole.size(); ++cut) {
      bytes prefix{whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut)};
      CHECK_MESSAGE(sample.read(prefix) == reading::refused, sample.name << " cut to " << cut << " bytes");
    }
  }
}

TEST_CASE("flipped bits are refused or read as another value, and allocate in proportion to the bytes") {
  splitmix64 random{20'260};
  for (auto& sample : message_samples()) {
    auto whole = sample.write();
    for (int round = 0; round < 200 && !whole.empty(); ++round) {
      auto damaged = whole;
      for (auto flips = 1 + random.below(3); flips > 0; --flips)
        damaged[random.below(static_cast<std::uint32_t>(damaged.size()))] ^= caf::byte(1U << random.below(8));
      check_harmless(sample, damaged);
    }
  }
}

TEST_CASE("a length that lies allocates nothing of what it promises") {
  // Lengths are groups of seven bits. Wherever a length is, one of these offsets hits it.
  constexpr std::array lies{std::array{0x7fU, 0x00U, 0x00U, 0x00U, 0x00U},
                            std::array{0xffU, 0xffU, 0xffU, 0x7fU, 0x00U},
                            std::array{0xffU, 0xffU, 0xffU, 0xffU, 0x0fU}};
  for (auto& sample : message_samples()) {
    auto whole = sample.write();
    for (std::size_t at = 0; at < whole.size(); ++at)
      for (auto& lie : lies) {
        bytes lying{whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(at)};
        std::transform(lie.begin(), lie.end(), std::back_inserter(lying), [](unsigned b) { return caf::byte(b); });
        lying.insert(lying.end(), whole.begin() + static_cast<std::ptrdiff_t>(at) + 1, whole.end());
        check_harmless(sample, lying);
      }
  }
}
