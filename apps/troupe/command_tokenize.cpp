// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

#include "actors/model/model_text.hpp"
#include "apps/troupe/commands.hpp"
#include "apps/troupe/standard_streams.hpp"
#include "text/tokenizer.hpp"

namespace troupe {

namespace {

// A flat array of ids below `size`; the error says what else was found.
expected<std::vector<token_id>, error> parse_ids(const std::string& input, std::size_t size) {
  const auto flat = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > 1)
      throw std::length_error{"nested"};
    return true;
  };
  try {
    const auto document = nlohmann::json::parse(input, flat);
    if (!document.is_array())
      return fail(errc::invalid_argument, "expected a JSON array of ids");
    std::vector<token_id> result;
    for (const auto& x : document) {
      if (!x.is_number_unsigned() || x.get<std::uint64_t>() >= size)
        return fail(errc::invalid_argument, x.dump() + " is not an id; there are 0 to " + std::to_string(size - 1));
      result.push_back(x.get<token_id>());
    }
    return result;
  } catch (const std::exception&) {
    return fail(errc::invalid_argument, "expected a JSON array of ids");
  }
}

void print_ids(const std::vector<token_id>& ids) {
  std::string line = "[";
  for (token_id id : ids)
    line += (line.size() > 1 ? "," : "") + std::to_string(id);
  std::fputs((line + "]\n").c_str(), stdout);
}

} // namespace

exit_code command_tokenize(const tokenize_options& options) {
  const auto model = open_model_text(options.model_file);
  if (!model)
    return complain(model.error().context, exit_code::resource);
  const auto& tokenizer = *model->tokenizer;
  const auto input = read_standard_input();
  if (!input)
    return exit_code::usage;
  if (options.direction == tokenize_direction::encode) {
    const auto ids = tokenizer.encode(*input);
    if (!ids)
      return complain(ids.error().context, exit_code::usage);
    print_ids(*ids);
  } else {
    const auto ids = parse_ids(*input, tokenizer.size());
    if (!ids)
      return complain(ids.error().context, exit_code::usage);
    const std::string text = tokenizer.decode(*ids, text::special_output::keep);
    std::fwrite(text.data(), 1, text.size(), stdout);
  }
  return flush_standard_output() ? exit_code::ok : exit_code::resource;
}

} // namespace troupe
