// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer_json/json_node.hpp"

namespace troupe::text {

namespace {

constexpr std::size_t document_bytes_max = std::size_t{256} << 20;
constexpr std::size_t levels_max = 64;

/// Writes integers of more digits than 64 bits hold as floats: transformers' files say 10^30 for "no limit", which the
/// parser takes for an error.
std::string with_floats_for_huge_integers(std::string_view text) {
  constexpr std::size_t digits_max = 18;
  std::string result;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    result += text[i];
    if (in_string && text[i] == '\\' && i + 1 < text.size()) {
      result += text[++i];
      continue;
    }
    if (text[i] == '"')
      in_string = !in_string;
    if (in_string || text[i] < '0' || text[i] > '9')
      continue;
    auto end = text.find_first_not_of("0123456789", i);
    end = end == std::string_view::npos ? text.size() : end;
    result += text.substr(i + 1, end - i - 1);
    const auto goes_on = end < text.size() && (text[end] == '.' || text[end] == 'e' || text[end] == 'E');
    if (end - i > digits_max && !goes_on && (i == 0 || text[i - 1] != '.'))
      result += ".0";
    i = end - 1;
  }
  return result;
}

} // namespace

json_node json_document::parse(std::string_view text, std::string_view name, json_fault& fault) {
  const std::string where{name};
  const json_node nothing{where, fault};
  if (text.size() > document_bytes_max) {
    fault.note(where, std::to_string(text.size()) + " bytes are too many");
    return nothing;
  }
  auto code = parser_.allocate(text.size(), levels_max);
  simdjson::dom::element root;
  if (code == simdjson::SUCCESS)
    code = parser_.parse(text.data(), text.size()).get(root);
  if (code == simdjson::NUMBER_ERROR)
    code = parser_.parse(with_floats_for_huge_integers(text)).get(root);
  if (code != simdjson::SUCCESS) {
    fault.note(where, std::string{"not JSON: "} + simdjson::error_message(code));
    return nothing;
  }
  return {root, where, fault};
}

} // namespace troupe::text
