// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer_json/tokenizer_json.hpp"

#include <limits>
#include <unordered_map>

#include "text/tokenizer_json/components.hpp"

namespace troupe::text {

namespace {

constexpr std::size_t added_tokens_max = 1'000'000;
constexpr auto none = std::numeric_limits<token_id>::max();

std::vector<added_token> read_added_tokens(const json_node& node) {
  std::vector<added_token> result;
  if (node.is_null())
    return result;
  if (node.size() > added_tokens_max) {
    node.refuse("has too many tokens");
    return result;
  }
  node.for_each([&](const json_node& entry) {
    added_token token;
    token.content = entry["content"].string();
    token.special = entry["special"].boolean(false);
    token.lstrip = entry["lstrip"].boolean(false);
    token.rstrip = entry["rstrip"].boolean(false);
    token.single_word = entry["single_word"].boolean(false);
    token.normalized = entry["normalized"].boolean(!token.special);
    token.id = static_cast<token_id>(entry["id"].number(std::numeric_limits<std::uint32_t>::max() - 1));
    if (!token.content.empty())
      result.push_back(std::move(token));
  });
  return result;
}

/// The model's ids of those added tokens that it knows.
std::unordered_map<std::string_view, token_id> ids_in_model(const tokenizer_description& d) {
  std::unordered_map<std::string_view, token_id> result;
  for (const auto& token : d.added)
    result.emplace(token.content, none);
  for (token_id id = 0; id < d.tokens.size(); ++id)
    if (const auto found = result.find(d.tokens[id]); found != result.end())
      found->second = id;
  return result;
}

/// Gives added tokens that the model does not know their places behind its own.
void place_added_tokens(const json_node& node, tokenizer_description& d) {
  const auto known = ids_in_model(d);
  const auto most = (std::uint64_t{d.tokens.size()} + d.added.size()) * 4 + 65'536;
  for (const auto& token : d.added) {
    if (const auto id = known.at(token.content); id != none) {
      if (id != token.id)
        return node.refuse("'" + token.content + "' has the id " + std::to_string(token.id) + " here and "
                           + std::to_string(id) + " in the model");
      continue;
    }
    if (token.id > most)
      return node.refuse("the id " + std::to_string(token.id) + " is too high");
    if (token.id >= d.tokens.size()) {
      d.tokens.resize(token.id + 1);
      d.roles.resize(token.id + 1, token_role::none);
    }
    auto& place = d.tokens[token.id];
    if (!place.empty() && place != token.content)
      return node.refuse("'" + token.content + "' has the id " + std::to_string(token.id) + ", which '" + place
                         + "' has");
    place = token.content;
  }
}

} // namespace

expected<tokenizer_description, error> read_tokenizer_json(std::string_view json) {
  json_fault fault;
  json_document document;
  const auto root = document.parse(json, "$", fault);
  tokenizer_description d;
  if (!fault.first && !root.is_object())
    fault.note("$", "is no object");
  if (!fault.first) {
    d.added = read_added_tokens(root["added_tokens"]);
    read_normalizer(root["normalizer"], d.normalizer);
    read_pre_tokenizer(root["pre_tokenizer"], d.pre_tokenizer);
    read_decoder(root["decoder"], d.decoder);
    auto around = read_post_processor(root["post_processor"]);
    d.prefix = std::move(around.prefix);
    d.suffix = std::move(around.suffix);
  }
  if (!fault.first)
    read_model(root["model"], d);
  if (!fault.first)
    place_added_tokens(root["added_tokens"], d);
  if (fault.first)
    return unexpected{*fault.first};
  if (auto* unigram = std::get_if<unigram_description>(&d.model))
    unigram->scores.resize(d.tokens.size(), std::numeric_limits<double>::infinity());
  return d;
}

} // namespace troupe::text
