// SPDX-License-Identifier: Apache-2.0
// Renders rows for tests/goldens/fuzz_templates.py: a JSON line {"template", "context"} in, a JSON line
// {"output"} or {"error", "code", "line"} out.
#include <chrono>
#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

#include "text/chat_template.hpp"

int main() {
  using namespace troupe::text;
  using json = nlohmann::ordered_json;
  const std::chrono::local_seconds now =
    std::chrono::local_days{std::chrono::year{2024} / 7 / 26} + std::chrono::hours{12};
  for (std::string line; std::getline(std::cin, line);) {
    const json row = json::parse(line);
    json result;
    const auto report = [&](const template_error& e) {
      result["error"] = e.message;
      result["code"] = to_string(e.code);
      result["line"] = e.line;
    };
    if (const auto parsed = chat_template::parse(row["template"]); !parsed)
      report(parsed.error());
    else if (const auto text = parsed->render(row["context"], now); !text)
      report(text.error());
    else
      result["output"] = *text;
    std::cout << result.dump(-1, ' ', true, json::error_handler_t::replace) << std::endl;
  }
}
