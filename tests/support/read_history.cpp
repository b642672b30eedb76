// SPDX-License-Identifier: Apache-2.0
#include "tests/support/read_history.hpp"

#include <nlohmann/json.hpp>

namespace troupe::test {

namespace {

using nlohmann::json;

template <class T>
std::optional<T> optional_of(const json& line, const char* key) {
  auto i = line.find(key);
  return i == line.end() || i->is_null() ? std::nullopt : std::optional<T>{i->get<T>()};
}

std::string text_of(const json& line, const char* key) { return optional_of<std::string>(line, key).value_or(""); }

void add(history& to, const json& line) {
  auto event = line.at("event").get<std::string>();
  auto number = [&](const char* key) { return line.at(key).get<std::uint32_t>(); };
  if (event == "accepted")
    to.add(history::accepted{line.at("request"), optional_of<std::string>(line, "text"),
                             optional_of<std::uint32_t>(line, "output_tokens")});
  else if (event == "output")
    to.add(history::output{line.at("request"), optional_of<std::uint32_t>(line, "first_index"),
                           optional_of<std::uint32_t>(line, "tokens"), text_of(line, "text")});
  else if (event == "ended")
    to.add(history::ended{line.at("request"), text_of(line, "finish"), text_of(line, "failure"),
                          optional_of<std::uint32_t>(line, "output_tokens")});
  else if (event == "excused")
    to.add(history::excused{line.at("request"), text_of(line, "why")});
  else if (event == "at_rest")
    to.add(history::at_rest{line.at("worker"), number("blocks"), number("free_blocks"), number("quarantined_blocks"),
                            number("in_flight")});
  else if (event == "defect")
    to.add_defect(line.at("what"));
  else
    throw std::runtime_error("unknown event " + event);
}

} // namespace

expected<history, std::string> read_history(std::istream& in) {
  history result;
  std::string text;
  for (std::size_t number = 1; std::getline(in, text); ++number)
    try {
      add(result, json::parse(text));
    } catch (const std::exception& e) {
      return unexpected{"line " + std::to_string(number) + ": " + e.what()};
    }
  return result;
}

} // namespace troupe::test
