// SPDX-License-Identifier: Apache-2.0
// Compares with python3-jinja2: tests/goldens/make_template_goldens.py wrote our own rows, the templates of models
// and their rows are public data that is not part of this tree.
#include <sstream>
#include <string>

#include <doctest/doctest.h>

#include "tests/unit/text/template_cases.hpp"

namespace {

using namespace troupe::text;
using namespace troupe::text::test;

const std::filesystem::path own_goldens{TROUPE_SOURCE_DIR "/tests/goldens/templates"};
const std::filesystem::path shared_goldens{TROUPE_SHARED_DATA "/templates"};

/// Calls visit(row) for each line of JSON; the number of lines.
template <class Visitor>
int for_each_row(const std::filesystem::path& path, Visitor visit) {
  std::istringstream lines{read_file(path)};
  int rows = 0;
  for (std::string line; std::getline(lines, line); ++rows)
    visit(json::parse(line));
  return rows;
}

bool is_error_row(const json& row) { return row.contains("error") && !row["error"].is_null(); }

/// Equal bytes, or an error where the judge had one.
void check_row(const json& row, const std::string& source, const json& context) {
  const auto text = render(source, context);
  CAPTURE(source);
  if (is_error_row(row)) {
    CHECK_MESSAGE(!text, "expected the error ", row["error"].get<std::string>());
    if (!text)
      CHECK(text.error().line >= 1);
    return;
  }
  CHECK_MESSAGE(text, (text ? "" : text.error().message));
  if (text)
    CHECK(*text == row["output"].get<std::string>());
}

} // namespace

TEST_CASE("every construct, filter, test and method gives what python3-jinja2 gives") {
  const json base = json::parse(read_file(own_goldens / "context.json"));
  int errors = 0;
  const int rows = for_each_row(own_goldens / "golden.jsonl", [&](const json& row) {
    json context = base;
    for (const auto& [name, content] : row["context"].items())
      context[name] = content;
    errors += is_error_row(row) ? 1 : 0;
    check_row(row, row["template"], context);
  });
  CHECK(rows >= 400);
  CHECK(errors >= 100);
}

TEST_CASE("the templates of real models give what python3-jinja2 gives, byte for byte") {
  if (!std::filesystem::exists(shared_goldens / "golden.jsonl")) {
    MESSAGE("SKIPPED: ", shared_goldens.string(), " is absent");
    return;
  }
  const json contexts = json::parse(read_file(shared_goldens / "contexts.json"));
  const int rows = for_each_row(shared_goldens / "golden.jsonl", [&](const json& row) {
    const std::string file = row["template"];
    CAPTURE(file);
    check_row(row, read_file(shared_goldens / file), contexts[row["context"].get<std::string>()]);
  });
  CHECK(rows == 32);
}
