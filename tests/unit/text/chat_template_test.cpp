// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "tests/unit/text/template_cases.hpp"

namespace {

using namespace troupe::text;
using namespace troupe::text::test;

template_error error_of(std::string_view source, const json& context = json::object()) {
  const auto text = render(source, context);
  return text ? template_error{template_errc::none, *text, 0} : text.error();
}

} // namespace

TEST_CASE("an error of the syntax names its line") {
  const auto error = error_of("line one\n{% if x %}\n{{ 1 + }}\n{% endif %}");
  CHECK(error.code == template_errc::syntax);
  CHECK(error.line == 3);
  CHECK(error_of("a\n\nb {% nosuch %}").line == 3);
  CHECK(error_of("a\n{{ 'x'|nosuch }}").message == "there is no filter named 'nosuch'");
  CHECK(error_of("a\n{{ 'x'|nosuch }}").line == 2);
}

TEST_CASE("an error while rendering names its line and its kind") {
  const auto undefined = error_of("a\nb\n{{ x.y.z }}", {{"x", json::object()}});
  CHECK(undefined.code == template_errc::undefined_value);
  CHECK(undefined.message == "'y' is undefined");
  CHECK(undefined.line == 3);
  const auto type = error_of("{% for i in [1] %}\n{{ 'a' + i }}\n{% endfor %}");
  CHECK(type.code == template_errc::invalid_operation);
  CHECK(type.line == 2);
  const auto in_macro = error_of("{% macro m() %}\n{{ 1 // 0 }}{% endmacro %}\n\n{{ m() }}");
  CHECK(in_macro.line == 2);
}

TEST_CASE("raise_exception carries the template's own message") {
  const auto error = error_of("\n{{ raise_exception('roles must ' ~ 'alternate') }}");
  CHECK(error.code == template_errc::refused);
  CHECK(error.message == "roles must alternate");
  CHECK(error.line == 2);
}

TEST_CASE("a context that is no object is an error") {
  CHECK(error_of("x", json::array()).code == template_errc::invalid_operation);
  CHECK(error_of("x", json{}).code == template_errc::invalid_operation);
}

TEST_CASE("an integer of the context that does not fit 64 bits is an error") {
  CHECK(error_of("{{ x }}", json::parse(R"({"x": 18446744073709551615})")).code == template_errc::invalid_operation);
  CHECK(error_of("{{ y }}", json::parse(R"({"x": 18446744073709551615})")).code == template_errc::none);
}

TEST_CASE("bytes of the context that are not UTF-8 pass through and count one each") {
  const auto text = render("{{ x }}{{ x|length }}{{ x[1] }}{{ x|upper }}", {{"x", std::string{"a\xff\xc3"}}});
  REQUIRE(text);
  CHECK(*text
        == "a\xff\xc3"
           "3\xff"
           "A\xff\xc3");
}

TEST_CASE("the keys of an object keep their order") {
  const auto text =
    render("{{ x|tojson }}{% for k in x %}{{ k }}{% endfor %}", json::parse(R"({"x": {"z": 1, "a": 2, "m": 3}})"));
  REQUIRE(text);
  CHECK(*text == R"({"z": 1, "a": 2, "m": 3}zam)");
}

TEST_CASE("the clock is the caller's") {
  using namespace std::chrono;
  const auto parsed = chat_template::parse("{{ strftime_now('%Y-%m-%d %H:%M:%S %a %j') }}");
  REQUIRE(parsed);
  const auto at = [&](local_seconds now) { return parsed->render(json::object(), now).value(); };
  CHECK(at(local_days{year{2026} / 1 / 1} + 23h + 59min + 58s) == "2026-01-01 23:59:58 Thu 001");
  CHECK(at(local_days{year{1969} / 12 / 31} + 1s) == "1969-12-31 00:00:01 Wed 365");
}

TEST_CASE("a template renders from many threads at once") {
  const auto parsed = chat_template::parse("{% macro m(x) %}<{{ x|upper }}>{% endmacro %}{% set ns = namespace(n=0) "
                                           "%}{% for m_ in messages %}{{ m(m_.content) }}"
                                           "{% set ns.n = ns.n + loop.index %}{% endfor %}{{ ns.n }}");
  REQUIRE(parsed);
  std::vector<std::string> results(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < results.size(); ++t)
    threads.emplace_back([&, t] {
      json context;
      context["messages"] = json::array({{{"content", "a" + std::to_string(t)}}, {{"content", "ß"}}});
      for (int i = 0; i < 200; ++i)
        results[t] = parsed->render(context, golden_now()).value();
    });
  for (auto& thread : threads)
    thread.join();
  for (std::size_t t = 0; t < results.size(); ++t)
    CHECK(results[t] == "<A" + std::to_string(t) + "><SS>3");
}

TEST_CASE("no prefix of a template crashes the parser") {
  const std::string whole =
    "{%- for m in messages if m.a is not none -%}{{ m['x'][1:-1]|tojson(indent=2) ~ \"s\\n\" }}{# c #}{% endfor %}"
    "{% macro f(a, b=[1, {'k': 2}]) %}{% call(x) g(*a, **b) %}{% endcall %}{% endmacro %}{% raw %} {{ {% endraw %}";
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const auto parsed = chat_template::parse(whole.substr(0, size));
    if (!parsed)
      CHECK(parsed.error().code == template_errc::syntax);
  }
  CHECK(chat_template::parse(whole));
}
