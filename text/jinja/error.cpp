// SPDX-License-Identifier: Apache-2.0
#include "text/jinja/error.hpp"

namespace troupe::text {

std::string to_string(template_errc code) {
  switch (code) {
    case template_errc::none: return "none";
    case template_errc::syntax: return "syntax";
    case template_errc::undefined_value: return "undefined_value";
    case template_errc::invalid_operation: return "invalid_operation";
    case template_errc::refused: return "refused";
    case template_errc::limit_exceeded: return "limit_exceeded";
  }
  return "unknown";
}

namespace jinja {

std::string in_quotes(std::string_view text) {
  constexpr std::size_t shown_max = 80;
  std::string out = "'";
  out += text.substr(0, shown_max);
  if (text.size() > shown_max)
    out += "…";
  return out += '\'';
}

} // namespace jinja
} // namespace troupe::text
