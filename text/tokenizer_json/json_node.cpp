// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer_json/json_node.hpp"

namespace troupe::text {

namespace {

constexpr std::size_t document_bytes_max = std::size_t{256} << 20;
constexpr std::size_t levels_max = 64;

} // namespace

json_node json_document::parse(std::string_view text, std::string_view name, json_fault& fault) {
  const json_node nothing{"", fault};
  const std::string where{name};
  if (text.size() > document_bytes_max) {
    fault.note(where, std::to_string(text.size()) + " bytes are too many");
    return nothing;
  }
  auto code = parser_.allocate(text.size(), levels_max);
  simdjson::dom::element root;
  if (code == simdjson::SUCCESS)
    code = parser_.parse(text.data(), text.size()).get(root);
  if (code != simdjson::SUCCESS) {
    fault.note(where, std::string{"not JSON: "} + simdjson::error_message(code));
    return nothing;
  }
  return {root, "", fault};
}

} // namespace troupe::text
