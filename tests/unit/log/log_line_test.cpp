// SPDX-License-Identifier: Apache-2.0
#include "actors/log/log_line.hpp"

#include <doctest/doctest.h>

#include <initializer_list>

using namespace troupe;

namespace {

std::string line(log_format format, std::string_view message, std::initializer_list<log_field> fields) {
  const std::chrono::system_clock::time_point time{std::chrono::milliseconds{1721995200123}};
  return format_line({time, log_level::warning, "router", message, {fields.begin(), fields.size()}}, format);
}

} // namespace

TEST_CASE("a text line is time, level, component, message and fields") {
  CHECK(line(log_format::text, "no worker", {{"request", 7}, {"model", "m"}, {"last", true}})
        == "2024-07-26T12:00:00.123Z warning router no worker request=7 model=m last=true");
}

TEST_CASE("text from outside cannot pretend to be another field or line") {
  CHECK(line(log_format::text, "x", {{"name", "a b=\"c\"\n2024 \\"}})
        == "2024-07-26T12:00:00.123Z warning router x name=\"a b=\\\"c\\\"\\n2024 \\\\\"");
  CHECK(line(log_format::text, "x\x1b[2J", {{"name", ""}, {"other", "\x7f"}})
        == "2024-07-26T12:00:00.123Z warning router x\\u001b[2J name=\"\" other=\"\\u007f\"");
}

TEST_CASE("a JSON line is one object of strings") {
  CHECK(line(log_format::json, "say \"hi\"", {{"n", 1.5}, {"name", "ä\n"}})
        == "{\"time\":\"2024-07-26T12:00:00.123Z\",\"level\":\"warning\",\"component\":\"router\",\"message\":\"say "
           "\\\"hi\\\"\","
           "\"n\":\"1.500000\",\"name\":\"ä\\n\"}");
}
