// SPDX-License-Identifier: Apache-2.0
#include "actors/node/lease_folder.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

struct folder_fixture {
  folder_fixture() {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~folder_fixture() { std::filesystem::remove_all(path); }

  void write(const std::string& name, const std::string& text) { std::ofstream{path / name} << text; }
  std::vector<std::string> nodes(lease_folder& reader, std::chrono::nanoseconds at) {
    std::vector<std::string> result;
    auto found = reader.scan("c", lease_folder::instant{at});
    REQUIRE(found);
    for (auto& lease : *found)
      result.push_back(lease.node);
    return result;
  }

  std::vector<std::string> files() {
    std::vector<std::string> result;
    for (auto& entry : std::filesystem::directory_iterator{path})
      result.push_back(entry.path().filename().string());
    std::ranges::sort(result);
    return result;
  }

  std::filesystem::path path = std::filesystem::temp_directory_path() / ("troupe-leases-" + std::to_string(::getpid()));
};

using names = std::vector<std::string>;

} // namespace

TEST_CASE("nodes find each other by their leases, and only those of their cluster") {
  folder_fixture f;
  lease_folder a{f.path, 10s};
  lease_folder b{f.path, 10s};
  lease_folder other{f.path, 10s};
  node_lease mine{"c", "a", 7, "10.0.0.1:7400"};
  REQUIRE(a.renew(mine));
  REQUIRE(b.renew({"c", "b", 8, "10.0.0.2:7400"}));
  REQUIRE(other.renew({"d", "x", 9, "10.0.0.3:7400"}));
  auto found = b.scan("c", {});
  REQUIRE(found);
  REQUIRE(found->size() == 2);
  CHECK(found->front() == mine);
}

TEST_CASE("a lease that is not renewed is over after its time, by the reader's clock, and comes back when it is") {
  folder_fixture f;
  lease_folder a{f.path, 10s};
  lease_folder reader{f.path, 10s};
  REQUIRE(a.renew({"c", "a", 7, "10.0.0.1:7400"}));
  CHECK(f.nodes(reader, 1000s) == names{"a"});
  CHECK(f.nodes(reader, 1009s) == names{"a"});
  CHECK(f.nodes(reader, 1011s).empty());
  REQUIRE(a.renew({"c", "a", 7, "10.0.0.1:7400"}));
  CHECK(f.nodes(reader, 1012s) == names{"a"});
  CHECK(f.nodes(reader, 1021s) == names{"a"});
}

TEST_CASE("a lease that nobody renews any more is deleted") {
  folder_fixture f;
  lease_folder a{f.path, 10s};
  lease_folder reader{f.path, 10s};
  REQUIRE(a.renew({"c", "a", 7, "10.0.0.1:7400"}));
  f.nodes(reader, 0s);
  f.nodes(reader, 99s);
  CHECK(std::filesystem::exists(f.path / "a.lease"));
  f.nodes(reader, 101s);
  CHECK_FALSE(std::filesystem::exists(f.path / "a.lease"));
}

TEST_CASE("a node withdraws its own lease, not that of its next life") {
  folder_fixture f;
  lease_folder first{f.path, 10s};
  lease_folder second{f.path, 10s};
  REQUIRE(first.renew({"c", "a", 7, "10.0.0.1:7400"}));
  REQUIRE(second.renew({"c", "a", 8, "10.0.0.1:7400"}));
  first.withdraw({"c", "a", 7, ""});
  CHECK(f.nodes(first, 0s) == names{"a"});
  second.withdraw({"c", "a", 8, ""});
  CHECK(f.nodes(first, 0s).empty());
}

TEST_CASE("files that are no leases are ignored") {
  folder_fixture f;
  f.write("empty.lease", "");
  f.write("torn.lease", "troupe-lease 1\ncluster c\nnode a\nlife 7\naddr");
  f.write("other.lease", "troupe-lease 2\ncluster c\nnode a\nlife 7\naddress 10.0.0.1:7400\nrenewals 1\n");
  f.write("number.lease", "troupe-lease 1\ncluster c\nnode a\nlife x\naddress 10.0.0.1:7400\nrenewals 1\n");
  f.write("long.lease", "troupe-lease 1\ncluster c\nnode " + std::string(2000, 'a'));
  f.write("a.draft", "troupe-lease 1\ncluster c\nnode a\nlife 7\naddress 10.0.0.1:7400\nrenewals 1\n");
  std::filesystem::create_directory(f.path / "folder.lease");
  lease_folder reader{f.path, 10s};
  CHECK(f.nodes(reader, 0s).empty());
}

TEST_CASE("a folder that is not there is an error that names it") {
  lease_folder reader{"/nowhere/leases", 10s};
  auto found = reader.scan("c", {});
  REQUIRE_FALSE(found);
  CHECK(found.error().context.find("/nowhere/leases") != std::string::npos);
  auto written = reader.renew({"c", "a", 7, "10.0.0.1:7400"});
  REQUIRE_FALSE(written);
  CHECK(written.error().code == errc::resource);
}

TEST_CASE("what is no regular file is ignored, and nobody waits for it") {
  folder_fixture f;
  REQUIRE(::mkfifo((f.path / "pipe.lease").c_str(), 0600) == 0);
  lease_folder a{f.path, 10s};
  REQUIRE(a.renew({"c", "a", 7, "10.0.0.1:7400"}));
  std::filesystem::create_symlink(f.path / "a.lease", f.path / "link.lease");
  CHECK(f.nodes(a, 0s) == names{"a"});
  auto draft = f.path / ("b.lease." + std::to_string(::getpid()) + ".draft");
  REQUIRE(::mkfifo(draft.c_str(), 0600) == 0);
  lease_folder b{f.path, 10s};
  CHECK_FALSE(b.renew({"c", "b", 8, "10.0.0.2:7400"}));
}

TEST_CASE("a lease that cannot be written leaves no draft, nor does a life that was killed while it wrote") {
  folder_fixture f;
  std::filesystem::create_directory(f.path / "a.lease");
  lease_folder a{f.path, 10s};
  CHECK_FALSE(a.renew({"c", "a", 7, "10.0.0.1:7400"}));
  CHECK(f.files() == names{"a.lease"});
  std::filesystem::remove(f.path / "a.lease");
  f.write("a.lease.2147483646.draft", "troupe");
  f.write("a.lease.1.draft", "troupe"); // that process lives
  f.write("b.lease.2147483646.draft", "troupe");
  f.write("a.lease.x.draft", "troupe");
  lease_folder next{f.path, 10s};
  REQUIRE(next.renew({"c", "a", 8, "10.0.0.1:7400"}));
  CHECK(f.files() == names{"a.lease", "a.lease.1.draft", "a.lease.x.draft", "b.lease.2147483646.draft"});
}
