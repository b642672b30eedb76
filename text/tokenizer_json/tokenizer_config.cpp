// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer_json/tokenizer_config.hpp"

#include <algorithm>
#include <limits>

#include "text/tokenizer_json/json_node.hpp"

namespace troupe::text {

namespace {

/// "</s>", or an object that has it as its content.
std::optional<std::string> read_token(const json_node& node) {
  if (node.is_null())
    return std::nullopt;
  return std::string{node.is_object() ? node["content"].string() : node.string()};
}

std::optional<bool> read_choice(const json_node& node) {
  return node.is_null() ? std::nullopt : std::optional{node.boolean(false)};
}

void read_templates(const json_node& node, tokenizer_config& config) {
  if (node.is_null())
    return;
  if (!node.is_array())
    return void(config.chat_templates.push_back({"default", std::string{node.string()}}));
  node.for_each([&](const json_node& entry) {
    config.chat_templates.push_back({std::string{entry["name"].string()}, std::string{entry["template"].string()}});
  });
}

void read_end_tokens(const json_node& node, tokenizer_config& config) {
  constexpr std::uint64_t most = std::numeric_limits<token_id>::max() - 1;
  const auto add = [&](const json_node& id) { config.end_tokens.push_back(static_cast<token_id>(id.number(most))); };
  if (node.is_array())
    node.for_each(add);
  else if (!node.is_null())
    add(node);
}

std::optional<token_id> find(const tokenizer_description& d, std::string_view token) {
  for (const auto& added : d.added)
    if (added.content == token)
      return added.id;
  const auto found = std::ranges::find(d.tokens, token);
  return found == d.tokens.end() || token.empty() ? std::nullopt
                                                  : std::optional{static_cast<token_id>(found - d.tokens.begin())};
}

/// What add_bos_token and add_eos_token say of the tokens around a text.
void surround(std::vector<token_id>& around, std::optional<bool> wanted, std::optional<token_id> token) {
  if (!wanted || !token)
    return;
  const bool is_there = std::ranges::find(around, *token) != around.end();
  if (*wanted && !is_there)
    around.push_back(*token);
  else if (!*wanted)
    std::erase(around, *token);
}

} // namespace

const tokenizer_config::named_template* tokenizer_config::find_chat_template() const {
  const auto found = std::ranges::find(chat_templates, "default", &named_template::name);
  if (found != chat_templates.end())
    return &*found;
  return chat_templates.size() == 1 ? &chat_templates.front() : nullptr;
}

expected<tokenizer_config, error> read_tokenizer_config(const tokenizer_config_files& files) {
  tokenizer_config result;
  json_fault fault;
  json_document document;
  if (!files.tokenizer_config.empty()) {
    const auto root = document.parse(files.tokenizer_config, "tokenizer_config.json", fault);
    result.bos_token = read_token(root["bos_token"]);
    result.eos_token = read_token(root["eos_token"]);
    result.add_bos_token = read_choice(root["add_bos_token"]);
    result.add_eos_token = read_choice(root["add_eos_token"]);
    read_templates(root["chat_template"], result);
  }
  if (!fault.first && !files.generation_config.empty())
    read_end_tokens(document.parse(files.generation_config, "generation_config.json", fault)["eos_token_id"], result);
  if (fault.first)
    return unexpected{*fault.first};
  if (!files.chat_template.empty()) {
    std::erase_if(result.chat_templates, [](const auto& t) { return t.name == "default"; });
    result.chat_templates.push_back({"default", std::string{files.chat_template}});
  }
  return result;
}

expected<void, error> apply(const tokenizer_config& config, tokenizer_description& d) {
  const auto resolve = [&](const std::optional<std::string>& name, std::optional<token_id>& id) {
    id = name ? find(d, *name) : std::nullopt;
    return !name || id;
  };
  if (!resolve(config.bos_token, d.bos))
    return fail(errc::resource, "tokenizer_config.json: bos_token: '" + *config.bos_token + "' is no token");
  if (!resolve(config.eos_token, d.eos))
    return fail(errc::resource, "tokenizer_config.json: eos_token: '" + *config.eos_token + "' is no token");
  for (const auto id : config.end_tokens)
    if (id >= d.tokens.size())
      return fail(errc::resource, "generation_config.json: eos_token_id: " + std::to_string(id) + " is no token");
  d.end_tokens = config.end_tokens;
  surround(d.prefix, config.add_bos_token, d.bos);
  surround(d.suffix, config.add_eos_token, d.eos);
  return {};
}

} // namespace troupe::text
