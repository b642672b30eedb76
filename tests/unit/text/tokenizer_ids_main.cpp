// SPDX-License-Identifier: Apache-2.0
// The tokenizer's side of tests/goldens/compare_tokenizers.py: tokenizer_ids TOKENIZER.json [plain|parsed|decoded]
// reads lines of JSON, one string or, for `decoded`, one list of ids each, and writes a line of JSON for each.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include <nlohmann/json.hpp>

#include "text/tokenizer.hpp"
#include "text/tokenizer_json/tokenizer_json.hpp"

using namespace troupe;

int main(int argc, char** argv) {
  if (argc != 3)
    return 2;
  std::ifstream file{argv[1], std::ios::binary};
  const std::string json{std::istreambuf_iterator<char>{file}, {}};
  auto description = text::read_tokenizer_json(json);
  if (!description) {
    std::fprintf(stderr, "%s\n", description.error().context.c_str());
    return 1;
  }
  const auto tokenizer = text::tokenizer::make(*std::move(description));
  if (!tokenizer) {
    std::fprintf(stderr, "%s\n", tokenizer.error().context.c_str());
    return 1;
  }
  const std::string_view mode = argv[2];
  for (std::string line; std::getline(std::cin, line);) {
    const auto input = nlohmann::json::parse(line);
    if (mode == "decoded") {
      const auto text = tokenizer->decode(input.get<std::vector<token_id>>());
      std::puts(nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace).c_str());
      continue;
    }
    const text::tokenizer::encode_options options =
      mode == "parsed" ? text::tokenizer::encode_options{text::parse_special::yes, text::add_special::yes}
                       : text::tokenizer::encode_options{};
    const auto ids = tokenizer->encode(input.get<std::string>(), options);
    if (!ids) {
      std::fprintf(stderr, "%s\n", ids.error().context.c_str());
      return 1;
    }
    std::puts(nlohmann::json(*ids).dump().c_str());
  }
}
