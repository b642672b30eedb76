// SPDX-License-Identifier: Apache-2.0
#include "actors/config/syntax.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace troupe;
using syntax::parse;

namespace {

const syntax::value& at(const syntax::map& map, std::string_view path) {
  const auto dot = path.find('.');
  const syntax::entry* found = map.find(path.substr(0, dot));
  REQUIRE(found != nullptr);
  return dot == std::string_view::npos ? found->content
                                       : at(std::get<syntax::map>(found->content.data), path.substr(dot + 1));
}

std::vector<std::string> faults_of(std::string_view text) {
  std::vector<std::string> result;
  for (const fault& x : parse(text, "f").faults)
    result.push_back(to_string(x));
  return result;
}

using strings = std::vector<std::string>;

} // namespace

TEST_CASE("nested maps, dotted keys and every kind of value are read") {
  const auto doc = parse("# a comment\n"
                         "a { b = 1 c.d = -2.5, e: true }\n"
                         "a.f = \"x # y\\n\\\"\" # after\r\n"
                         "g = { h = 'it' }, i = 500ms\n"
                         "l = [1, [2GiB, \"s\"], # comment\n false,\n]\n",
                         "f");
  // `b = 1 c` needs a separator: the only fault.
  REQUIRE(doc.faults.size() == 1);
  CHECK(to_string(doc.faults[0]) == "f:2:a: expected the end of the line after the value, found 'c'");
  CHECK(std::get<syntax::number>(at(doc.root, "a.b").data).integer == 1);
  CHECK(std::get<std::string>(at(doc.root, "a.f").data) == "x # y\n\"");
  CHECK(std::get<std::string>(at(doc.root, "g.h").data) == "it");
  CHECK(std::get<syntax::number>(at(doc.root, "i").data).unit == "ms");
  const auto& list = std::get<syntax::list>(at(doc.root, "l").data);
  REQUIRE(list.size() == 3);
  CHECK(std::get<syntax::number>(std::get<syntax::list>(list[1].data)[0].data).unit == "GiB");
  CHECK(std::get<bool>(list[2].data) == false);
  CHECK(at(doc.root, "i").line == 4);
}

TEST_CASE("numbers are whole, real, negative or with exponent and unit") {
  const auto doc = parse("a = 12\nb = -3\nc = +4\nd = 0.5\ne = 1e3\nf = 1.5GiB\ng = 9223372036854775807\n", "f");
  CHECK(doc.faults.empty());
  const auto number = [&doc](std::string_view key) { return std::get<syntax::number>(at(doc.root, key).data); };
  CHECK(number("a").integer == 12);
  CHECK(number("b").integer == -3);
  CHECK(number("c").integer == 4);
  CHECK(number("d").real == 0.5);
  CHECK_FALSE(number("d").is_integer);
  CHECK(number("e").real == 1000);
  CHECK(number("f").unit == "GiB");
  CHECK(number("g").integer == 9223372036854775807);
  CHECK(faults_of("a = 1.2.3\nb = -\nc = 1e999\nd = --1")
        == strings{"f:1:a: '1.2.3' is not a number, or is too large", "f:2:b: '-' is not a number, or is too large",
                   "f:3:c: '1e999' is not a number, or is too large", "f:4:d: '-' is not a number, or is too large"});
}

TEST_CASE("after a syntax error reading goes on at the next line, so all faults are found") {
  CHECK(faults_of("a = \n"
                  "b = host\n"
                  "c = 1 2\n"
                  "d { x = @\n y = 1\n }\n"
                  "= 5\n"
                  "e = \"open\n"
                  "f = 'bad \\q'\n"
                  "g 7\n"
                  "h = 1\n")
        == strings{"f:1:a: a value is missing", "f:2:b: a string needs quotes: \"host\"",
                   "f:3: expected the end of the line after the value, found '2'",
                   "f:4:d.x: expected a value, found '@'", "f:7: expected a key (letters, digits, - and _), found '='",
                   "f:8:e: the string does not end in this line",
                   "f:9:f: unknown escape \\'q'; there are \\n \\t \\r \\\\ \\\" \\'",
                   "f:10:g: expected = or { after the key, found '7'"});
  const auto doc = parse("d { x = @\n y = 1\n }\nh = 1\n", "f");
  CHECK(std::get<syntax::number>(at(doc.root, "d.y").data).integer == 1);
  CHECK(std::get<syntax::number>(at(doc.root, "h").data).integer == 1);
}

TEST_CASE("a wrong line that opens a block takes the whole block with it") {
  CHECK(faults_of("a@ {\n b = 1 # }\n c { d = '}' }\n}\ne = 1\n")
        == strings{"f:1:a: expected = or { after the key, found '@'"});
  CHECK(faults_of("a { b = @ }\nc = @ ")
        == strings{"f:1:a.b: expected a value, found '@'", "f:2:c: expected a value, found '@'"});
}

TEST_CASE("braces that do not match are named with the line where they open") {
  CHECK(faults_of("a {\n b {\n c = 1\n}\n") == strings{"f:1:a: this { is never closed"});
  CHECK(faults_of("a {\n}\n}\nb = @\n") == strings{"f:3: this } closes nothing", "f:4:b: expected a value, found '@'"});
  CHECK(faults_of("a = [1, 2\n") == strings{"f:1:a: this [ is never closed"});
  CHECK(faults_of("a = [1 2]\n") == strings{"f:1:a: expected , or ] in the list, found '2'"});
}

TEST_CASE("what is given twice is a fault that names the first line") {
  CHECK(faults_of("a = 1\nb = 2\na = 3\n") == strings{"f:3:a: given twice; first in line 1"});
  CHECK(faults_of("a { b = 1 }\na { c = 1 }\n") == strings{"f:2:a: this section is given twice; first in line 1"});
  CHECK(faults_of("a { b = 1 }\na.c = 1\na.b = 1\n") == strings{"f:3:a.b: given twice; first in line 1"});
  CHECK(
    faults_of("a = 1\na { b = 1 }\na.c = 2\n")
    == strings{"f:2:a: given twice; first in line 1 as a number", "f:3:a: given twice; first in line 1 as a number"});
  CHECK(faults_of("a.c = 1\na { b = 1 }\n").empty());
}

TEST_CASE("size, depth and count of what a file holds are bounded") {
  CHECK(faults_of(std::string(syntax::file_bytes_max + 1, ' ')) == strings{"f: the file is larger than 1 MiB"});
  CHECK(faults_of(std::string(syntax::file_bytes_max, ' ')).empty());
  std::string deep, dotted, lists = "a = ", many;
  for (int i = 0; i < 100'000; ++i) {
    deep += "a {";
    dotted += "a.";
    lists += "[";
  }
  for (const std::string& text : {deep, dotted + " = 1", lists}) {
    const auto faults = faults_of(text);
    REQUIRE_FALSE(faults.empty());
    CHECK(faults[0].find("nested deeper than 32 levels") != std::string::npos);
  }
  for (int i = 0; i < 20'000; ++i)
    many += "k" + std::to_string(i) + " = 1\n";
  const auto faults = faults_of(many);
  CHECK(faults.size() == syntax::faults_max + 1);
  CHECK(faults[0] == "f:1025:k1024: more than 1024 entries");
  CHECK(faults.back().find("too many faults") != std::string::npos);
}

TEST_CASE("bytes that are no text are refused") {
  CHECK(faults_of("a = \"\xff\"\n") == strings{"f: the file is not valid UTF-8"});
  CHECK(faults_of(std::string_view{"a = \"\0\"\n", 8}) == strings{"f:1:a: a control character in a string"});
  CHECK(faults_of("a = \x01\n") == strings{"f:1:a: expected a value, found a control character"});
  CHECK(faults_of("a = ä\n") == strings{"f:1:a: expected a value, found 'ä'"});
}

TEST_CASE("any mutation of a file is read or refused, in bounded time") {
  const std::string original =
    "troupe {\n  http { listen = \"127.0.0.1:8000\" }\n  kv.memory = 1GiB # c\n  l = [1, 'x', {a = 1}]\n}\n";
  constexpr std::string_view pieces = "{}[]=.,:#\"'\\\n\r\t a1-\xC3";
  std::mt19937_64 random{7};
  for (int i = 0; i < 20'000; ++i) {
    std::string text = original;
    for (auto n = random() % 6 + 1; n > 0; --n) {
      const auto where = random() % text.size();
      if (random() % 3 == 0)
        text.erase(where, random() % 5 + 1);
      else
        text.insert(where, 1, pieces[random() % pieces.size()]);
      if (text.empty())
        text = " ";
    }
    const auto doc = parse(text, "f");
    for (const fault& x : doc.faults)
      CHECK(x.line <= 1 + static_cast<int>(std::count(text.begin(), text.end(), '\n')));
  }
}
