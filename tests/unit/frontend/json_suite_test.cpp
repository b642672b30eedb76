// SPDX-License-Identifier: Apache-2.0
// JSONTestSuite by Nicolas Seriot: y_ is JSON, n_ is not, i_ may be either.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <doctest/doctest.h>

#include "actors/frontend/openai/request_parser.hpp"

using namespace troupe::openai;
namespace fs = std::filesystem;

namespace {

std::string contents(const fs::path& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

} // namespace

TEST_CASE("of JSONTestSuite every document that is no JSON is refused, and none crashes") {
  const fs::path archive = fs::path{TROUPE_SHARED_DATA} / "protocol" / "JSONTestSuite.tar.xz";
  if (!fs::exists(archive)) {
    MESSAGE("SKIPPED: " << archive.string() << " is absent");
    std::exit(77);
  }
  const fs::path folder = fs::path{TROUPE_BINARY_DIR} / "json_test_suite";
  fs::remove_all(folder);
  fs::create_directories(folder);
  const auto command = "tar -xJf '" + archive.string() + "' -C '" + folder.string() + "'";
  REQUIRE(std::system(command.c_str()) == 0);
  request_parser parser{{}};
  int refused = 0;
  int valid = 0;
  for (const auto& entry : fs::recursive_directory_iterator{folder}) {
    const auto name = entry.path().filename().string();
    if (!entry.is_regular_file() || entry.path().extension() != ".json" || name.size() < 2 || name[1] != '_')
      continue;
    CAPTURE(name);
    // The document as the value of a harmless field: refused if, and only if, it is no JSON by itself.
    const auto document = contents(entry.path());
    const auto in_field =
      parser.parse_completion(api::completions, R"({"model":"m","prompt":"x","metadata":)" + document + "}");
    const auto alone = parser.parse_completion(api::completions, document);
    CHECK(!alone); // none of them is a request
    if (name[0] == 'n') {
      CHECK_MESSAGE(alone.error().message.find("unrecognized") == std::string::npos, "was taken for JSON");
      ++refused;
    } else if (name[0] == 'y') {
      CHECK(in_field.has_value());
      ++valid;
    }
  }
  CHECK(refused > 150);
  CHECK(valid > 80);
  fs::remove_all(folder);
}
