// SPDX-License-Identifier: Apache-2.0
// The checker fails on every kind of violation: a sound history is damaged in one place at a time.
#include <doctest/doctest.h>

#include <functional>
#include <sstream>

#include "tests/support/read_history.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

history sound() {
  history h;
  h.add(history::accepted{"r1", "1 2 3 4 ", 4});
  h.add(history::output{"r1", 0, 3, "1 2 3 "});
  h.add(history::output{"r1", 3, 1, "4 "});
  h.add(history::ended{"r1", "length", "", 4});
  h.add(history::accepted{"r2", "5 6 ", 2});
  h.add(history::output{"r2", 0, 1, "5 "});
  h.add(history::ended{"r2", "", "unavailable", {}});
  h.add(history::accepted{"r3", "7 8 ", 2});
  h.add(history::output{"r3", 0, 1, "7 "});
  h.add(history::excused{"r3", "its client went away"});
  h.add(history::at_rest{"w", 64, 64, 0, 0});
  return h;
}

struct damage {
  const char* what;
  std::function<void(history&)> inflict;
};

const damage damages[] = {
  {"a request that never ends", [](history& h) { h.ends.erase("r1"); }},
  {"two ends", [](history& h) { h.add(history::ended{"r1", "length", "", 4}); }},
  {"an end without finish and error", [](history& h) { h.ends["r1"][0].finish.clear(); }},
  {"a finish with an error", [](history& h) { h.ends["r1"][0].failure = "internal"; }},
  {"a gap", [](history& h) { h.outputs["r1"][1].first_index = 4; }},
  {"a repeated index", [](history& h) { h.outputs["r1"][1].first_index = 2; }},
  {"a missing token", [](history& h) { h.outputs["r1"].pop_back(); }},
  {"a doubled token", [](history& h) { h.outputs["r1"][1].text = "3 4 "; }},
  {"another token", [](history& h) { h.outputs["r1"][0].text = "1 2 9 "; }},
  {"another token before a failure", [](history& h) { h.outputs["r2"][0].text = "6 "; }},
  {"a usage that is not what was sent", [](history& h) { h.ends["r1"][0].output_tokens = 3; }},
  {"a usage that is not known", [](history& h) { h.ends["r1"][0].output_tokens.reset(); }},
  {"output after the end", [](history& h) { h.add(history::output{"r2", 1, 1, "6 "}); }},
  {"output of a request that nobody made", [](history& h) { h.add(history::output{"r9", 0, 1, "1 "}); }},
  {"a request that is made twice", [](history& h) { h.add(history::accepted{"r1", {}, {}}); }},
  {"a block that is not free at rest", [](history& h) { h.workers[0].free_blocks = 63; }},
  {"a block in quarantine at rest", [](history& h) { h.workers[0].quarantined_blocks = 1; }},
  {"a request in flight at rest", [](history& h) { h.workers[0].in_flight = 1; }},
  {"a defect that an observer saw", [](history& h) { h.add_defect("a wrong block was read"); }},
};

} // namespace

TEST_CASE("a sound history passes, with a failure and an excused request in it") {
  CHECK(check_history(sound()).empty());
}

TEST_CASE("a history that is damaged anywhere does not") {
  for (auto& d : damages) {
    CAPTURE(d.what);
    auto h = sound();
    d.inflict(h);
    CHECK_FALSE(check_history(h).empty());
  }
}

TEST_CASE("a history is read from JSON lines") {
  std::istringstream text{R"({"event":"accepted","request":"r1","text":"ab","output_tokens":2}
{"event":"output","request":"r1","text":"a"}
{"event":"output","request":"r1","text":"b"}
{"event":"ended","request":"r1","finish":"length","output_tokens":2}
{"event":"accepted","request":"r2"}
{"event":"excused","request":"r2","why":"its frontend died"}
{"event":"at_rest","worker":"w","blocks":4,"free_blocks":3,"quarantined_blocks":0,"in_flight":0}
)"};
  auto read = read_history(text);
  REQUIRE(read);
  auto faults = check_history(*read);
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].find("3 of 4 blocks are free") != std::string::npos);
  std::istringstream broken{"{\"event\":\"accepted\",\"request\":\"r1\"}\n{\"event\":\"joked\"}\n"};
  auto refused = read_history(broken);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().find("line 2") == 0);
}
