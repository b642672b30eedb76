// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <utility>

#include "apps/troupe/commands.hpp"
#include "apps/troupe/local_time.hpp"
#include "apps/troupe/model_file.hpp"
#include "apps/troupe/standard_streams.hpp"
#include "text/chat_template.hpp"

namespace troupe {

namespace {

constexpr int context_depth_max = 64;

// Ordered: a template that prints a map shows it as it was written.
std::optional<nlohmann::ordered_json> parse_context(const std::string& text) {
  const auto bounded = [](int depth, nlohmann::ordered_json::parse_event_t, nlohmann::ordered_json&) {
    if (depth > context_depth_max)
      throw std::length_error{"nested too deeply"};
    return true;
  };
  try {
    auto result = nlohmann::ordered_json::parse(text, bounded);
    return result.is_object() ? std::optional{std::move(result)} : std::nullopt;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

// As a gateway does, unless the context says otherwise.
void add_model_tokens(nlohmann::ordered_json& context, const template_source& source) {
  if (!source.bos_token.empty() && !context.contains("bos_token"))
    context["bos_token"] = source.bos_token;
  if (!source.eos_token.empty() && !context.contains("eos_token"))
    context["eos_token"] = source.eos_token;
}

exit_code complain_about(const std::string& file, const text::template_error& e) {
  const std::string line = e.line > 0 ? ":" + std::to_string(e.line) : "";
  return complain(file + line + ": " + to_string(e.code) + ": " + e.message, exit_code::usage);
}

} // namespace

exit_code command_render(const render_options& options) {
  const auto now = options.now.empty() ? std::optional{local_time_now()} : parse_local_time(options.now);
  if (!now)
    return complain("'" + options.now + "' is not a time like 2024-07-26T12:00:00", exit_code::usage);
  auto source = open_template(options.file);
  if (!source)
    return complain(source.error().context, exit_code::resource);
  const auto chat_template = text::chat_template::parse(source->text);
  if (!chat_template)
    return complain_about(options.file, chat_template.error());
  const auto input = read_standard_input();
  if (!input)
    return exit_code::usage;
  auto context = parse_context(*input);
  if (!context)
    return complain("standard input: expected a JSON object of at most 64 levels", exit_code::usage);
  add_model_tokens(*context, *source);
  const auto text = chat_template->render(*context, *now);
  if (!text)
    return complain_about(options.file, text.error());
  std::fwrite(text->data(), 1, text->size(), stdout);
  return flush_standard_output() ? exit_code::ok : exit_code::resource;
}

} // namespace troupe
