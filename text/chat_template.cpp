// SPDX-License-Identifier: Apache-2.0
#include "text/chat_template.hpp"

#include <exception>
#include <new>
#include <utility>

#include <nlohmann/json.hpp>

#include "text/jinja/interpreter.hpp"
#include "text/jinja/parser.hpp"

namespace troupe::text {

chat_template::chat_template(std::shared_ptr<const jinja::program> p, const template_limits& l)
  : program_(std::move(p)), limits_(l) {}

expected<chat_template, template_error> chat_template::parse(std::string source, template_limits limits) {
  try {
    return chat_template{jinja::parse(source, limits), limits};
  } catch (const jinja::fault& f) {
    return unexpected{f.error};
  } catch (const std::exception& e) {
    return unexpected{template_error{template_errc::limit_exceeded, e.what(), 1}};
  }
}

expected<std::string, template_error> chat_template::render(const nlohmann::ordered_json& context,
                                                            std::chrono::local_seconds now) const {
  std::uint32_t line = 1;
  try {
    jinja::interpreter in{*program_, limits_, context, now};
    try {
      return in.run();
    } catch (const std::bad_alloc&) {
      line = in.rt().line;
      throw;
    }
  } catch (const jinja::fault& f) {
    return unexpected{f.error};
  } catch (const std::bad_alloc&) {
    return unexpected{template_error{template_errc::limit_exceeded,
                                     "value_bytes_max (" + std::to_string(limits_.value_bytes_max) + ") is exceeded",
                                     line}};
  } catch (const std::exception& e) {
    return unexpected{template_error{template_errc::invalid_operation, e.what(), line}};
  }
}

} // namespace troupe::text
