// SPDX-License-Identifier: Apache-2.0
// A template or a context that wants to run forever, to recurse or to grow ends in an error that names the limit.
#include <string>

#include <doctest/doctest.h>

#include "tests/unit/text/template_cases.hpp"

namespace {

using namespace troupe::text;
using namespace troupe::text::test;

std::string repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i)
    out += text;
  return out;
}

/// A twentieth of the default in steps and a thirty-second in bytes, to be quick under sanitizers too.
template_limits tight() {
  template_limits limits;
  limits.steps_max = 500'000;
  limits.value_bytes_max = 8 << 20;
  return limits;
}

/// The name of the limit that ended it, or what happened instead.
std::string limit_of(std::string_view source, const json& context = json::object(),
                     const template_limits& limits = tight()) {
  const auto text = render(source, context, limits);
  if (text)
    return "rendered " + std::to_string(text->size()) + " bytes";
  if (text.error().code != template_errc::limit_exceeded)
    return to_string(text.error().code) + ": " + text.error().message;
  CHECK(text.error().line >= 1);
  return text.error().message.substr(0, text.error().message.find(' '));
}

} // namespace

TEST_CASE("a loop bomb ends in steps_max") {
  CHECK(limit_of("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}") == "steps_max");
  CHECK(limit_of("{% for a in range(99999) %}{% for b in range(99999) if false %}{% endfor %}{% endfor %}")
        == "steps_max");
  CHECK(limit_of("{% for a in range(99999) %}{{ range(9999)|sum == 1 }}{% endfor %}") == "steps_max");
  CHECK(limit_of("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}")
        == "value_bytes_max");
}

TEST_CASE("a loop bomb ends within the default limits too") {
  CHECK(limit_of("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", json::object(), {})
        == "steps_max");
}

TEST_CASE("comparing, searching and sorting long values costs steps") {
  const json context{{"s", std::string(1 << 18, 'a')}};
  const std::string_view loop = "{% for a in range(99999) %}";
  CHECK(limit_of(std::string{loop} + "{% if s ~ 'b' == s %}{% endif %}{% endfor %}", context) == "value_bytes_max");
  CHECK(limit_of(std::string{loop} + "{% if 'b' in s %}{% endif %}{% endfor %}", context) == "steps_max");
  CHECK(limit_of(std::string{loop} + "{% set x = s.find('b') %}{% endfor %}", context) == "steps_max");
  CHECK(limit_of(std::string{loop} + "{% set x = s|length %}{% endfor %}", context) == "steps_max");
  CHECK(limit_of(std::string{loop} + "{% set x = s[5] %}{% endfor %}", context) == "steps_max");
  CHECK(limit_of(std::string{loop} + "{% set x = (s|list)|sort %}{% endfor %}", context) == "value_bytes_max");
}

TEST_CASE("deep recursion ends in depth_max") {
  CHECK(limit_of("{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}") == "depth_max");
  CHECK(limit_of("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}") == "depth_max");
  CHECK(limit_of("{% macro m() %}{% call m() %}{% endcall %}{{ caller }}{% endmacro %}{% call m() %}{% endcall %}")
        == "depth_max");
  CHECK(limit_of("{{ " + repeat("(", 5000) + "1" + repeat(")", 5000) + " }}") == "depth_max");
  CHECK(limit_of("{{ " + repeat("[", 5000) + repeat("]", 5000) + " }}") == "depth_max");
  CHECK(limit_of("{{ " + repeat("-", 5000) + "1 }}") == "depth_max");
  CHECK(limit_of("{{ " + repeat("not ", 5000) + "1 }}") == "depth_max");
  CHECK(limit_of("{{ 1" + repeat("+1", 5000) + " }}") == "depth_max");
  CHECK(limit_of("{{ x" + repeat(".x", 5000) + " }}") == "depth_max");
  CHECK(limit_of("{{ 'x'" + repeat("|trim", 5000) + " }}") == "depth_max");
  CHECK(limit_of("{{ 1 if 1 else " + repeat("1 if 1 else ", 5000) + "1 }}") == "depth_max");
  CHECK(limit_of(repeat("{% if 1 %}", 5000) + repeat("{% endif %}", 5000)) == "depth_max");
  CHECK(limit_of("{% set " + repeat("(", 5000) + "a" + repeat(")", 5000) + " = 1 %}") == "depth_max");
}

TEST_CASE("deep data ends in depth_max, whether it was given or made") {
  json deep = 1;
  for (int i = 0; i < 2000; ++i)
    deep = json::array({deep});
  CHECK(limit_of("{{ x }}", {{"x", deep}}) == "depth_max");
  const std::string grow = "{% set ns = namespace(x=1) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% endfor %}";
  CHECK(limit_of(grow + "{{ ns.x }}") == "depth_max");
  CHECK(limit_of(grow + "{{ ns.x|tojson }}") == "depth_max");
  CHECK(limit_of(grow + "{{ ns.x == [ns.x] }}") == "depth_max");
  CHECK(limit_of("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}") == "depth_max");
}

TEST_CASE("huge output ends in output_bytes_max") {
  const json context{{"s", std::string(1 << 20, 'a')}};
  CHECK(limit_of("{% for a in range(100) %}{{ s }}{% endfor %}", context, {}) == "output_bytes_max");
  // What macros have not returned yet counts too.
  const std::string pending = "{% macro m(n) %}{{ s }}{% if n %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}";
  CHECK(limit_of(pending, context, {}) == "output_bytes_max");
  template_limits small;
  small.output_bytes_max = 10;
  CHECK(limit_of("1234567890", json::object(), small) == "rendered 10 bytes");
  CHECK(limit_of("1234567890{{ 1 }}", json::object(), small) == "output_bytes_max");
}

TEST_CASE("huge values end in value_bytes_max, before they are made") {
  CHECK(limit_of("{{ 'a' * 1000000000000 }}") == "value_bytes_max");
  CHECK(limit_of("{{ [1] * 1000000000000 }}") == "value_bytes_max");
  CHECK(limit_of("{{ 'abc'|center(1000000000000) }}") == "value_bytes_max");
  CHECK(limit_of("{{ 'abc'.ljust(1000000000000) }}") == "value_bytes_max");
  CHECK(limit_of("{{ 'a'|indent(1000000000000, true) }}") == "value_bytes_max");
  CHECK(limit_of("{{ [1]|tojson(indent=1000000000000) }}") == "value_bytes_max");
  const std::string doubling = "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ";
  CHECK(limit_of(doubling + "ns.x + ns.x %}{% endfor %}") == "value_bytes_max");
  CHECK(limit_of(doubling + "ns.x ~ ns.x %}{% endfor %}") == "value_bytes_max");
  CHECK(limit_of(doubling + "(ns.x ~ '!')|replace('!', ns.x) %}{% endfor %}") == "value_bytes_max");
  CHECK(limit_of(doubling + "[ns.x, ns.x]|join(ns.x) %}{% endfor %}") == "value_bytes_max");
  CHECK(limit_of(doubling + "'%s%s' % (ns.x, ns.x) %}{% endfor %}") == "value_bytes_max");
  CHECK(limit_of(doubling + "'{}{}'.format(ns.x, ns.x) %}{% endfor %}") == "value_bytes_max");
  CHECK(limit_of("{{ '%9999999d' % 1 }}") == "the");
  CHECK(limit_of("{{ '{:9999999}'.format(1) }}") == "the");
}

TEST_CASE("filling up a batch ends in a limit") {
  CHECK(limit_of("{{ [1]|batch(1000000000000, 0)|list }}") == "value_bytes_max");
  CHECK(limit_of("{{ [1]|slice(1000000000000)|list }}") == "value_bytes_max");
}

TEST_CASE("a huge range is refused as the sandbox refuses it") {
  CHECK(limit_of("{{ range(100000)|length }}") == "rendered 6 bytes");
  CHECK(limit_of("{{ range(100001) }}") == "the");
  CHECK(limit_of("{{ range(-9223372036854775807, 9223372036854775807) }}") == "the");
}

TEST_CASE("a long source ends in source_bytes_max") {
  template_limits small;
  small.source_bytes_max = 8;
  CHECK(limit_of("12345678", json::object(), small) == "rendered 8 bytes");
  CHECK(limit_of("123456789", json::object(), small) == "source_bytes_max");
}

TEST_CASE("a context with many keys is read in time that grows with its size") {
  json big = json::parse([] {
    std::string text = "{";
    for (int i = 0; i < 3000; ++i)
      text += "\"key" + std::to_string(i) + "\":" + std::to_string(i) + ",";
    return text + "\"last\":1}";
  }());
  const auto text = render("{{ x.key2999 }}{{ x.last }}{{ x.none is defined }}{{ x|length }}", {{"x", big}});
  REQUIRE(text);
  CHECK(*text == "29991False3001");
}
