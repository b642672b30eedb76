// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "messages/expected.hpp"
#include "text/jinja/error.hpp"
#include "text/jinja/limits.hpp"

namespace troupe::text {

namespace jinja {
struct program;
}

/// A chat template of a model: Jinja as `transformers` runs it. That is the immutable sandbox with trim_blocks and
/// lstrip_blocks, loop controls, the `generation` tag, raise_exception, strftime_now, and a `tojson` that escapes
/// neither HTML nor what is not ASCII.
///
/// Not there: `include`, `import`, `extends`, automatic escaping, integers beyond 64 bits, and the filters pprint,
/// random, filesizeformat, striptags, urlencode, urlize, wordwrap and xmlattr. A template that uses one is refused,
/// by name.
///
/// Neither a template nor a context can hang the caller or exhaust its memory: template_limits bounds both.
class chat_template {
public:
  using limits = template_limits;

  /// Errors: syntax, limit_exceeded.
  static expected<chat_template, template_error> parse(std::string source, template_limits = {});

  /// The text for a context (`messages`, `tools`, `add_generation_prompt`, `bos_token` …). `now` is the local time
  /// that strftime_now shows. May be called from any number of threads at once.
  /// Errors: all codes but syntax; a context that is no object is invalid_operation.
  expected<std::string, template_error> render(const nlohmann::ordered_json& context,
                                               std::chrono::local_seconds now) const;

private:
  chat_template(std::shared_ptr<const jinja::program>, const template_limits&);

  std::shared_ptr<const jinja::program> program_;
  template_limits limits_;
};

} // namespace troupe::text
