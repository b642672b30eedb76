// SPDX-License-Identifier: Apache-2.0
#include "tests/support/foreign_vocabularies.hpp"

#include <array>
#include <cstdio>
#include <memory>
#include <unordered_map>

#include <nlohmann/json.hpp>

namespace troupe::test {

std::optional<std::string> read_xz(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path))
    return std::nullopt;
  const auto command = "xz -dc '" + path.string() + "'";
  auto close = [](FILE* f) { return ::pclose(f); };
  std::unique_ptr<FILE, decltype(close)> pipe{::popen(command.c_str(), "r"), close};
  if (!pipe)
    return std::nullopt;
  std::string content;
  std::array<char, 65536> block;
  while (const auto n = std::fread(block.data(), 1, block.size(), pipe.get()))
    content.append(block.data(), n);
  if (::pclose(pipe.release()) != 0)
    return std::nullopt;
  return content;
}

namespace {

/// Tokens by id, those of the model and those added to it.
text::vocabulary read_tokens(const nlohmann::json& file, text::vocabulary_kind kind) {
  text::vocabulary v;
  v.kind = kind;
  auto put = [&](token_id id, const std::string& token, text::token_type type) {
    if (id >= v.tokens.size()) {
      v.tokens.resize(id + 1);
      v.types.resize(id + 1, text::token_type::unused);
    }
    v.tokens[id] = token;
    v.types[id] = type;
  };
  for (const auto& [token, id] : file.at("model").at("vocab").items())
    put(id.get<token_id>(), token, text::token_type::normal);
  for (const auto& token : file.at("added_tokens"))
    put(token.at("id").get<token_id>(), token.at("content").get<std::string>(),
        token.at("special").get<bool>() ? text::token_type::control : text::token_type::user_defined);
  for (const auto& merge : file.at("model").at("merges"))
    v.merges.push_back(merge.is_string() ? merge.get<std::string>()
                                         : merge.at(0).get<std::string>() + ' ' + merge.at(1).get<std::string>());
  return v;
}

} // namespace

text::vocabulary parse_hf_byte_level(std::string_view json, std::string pre_tokenizer) {
  auto v = read_tokens(nlohmann::json::parse(json), text::vocabulary_kind::byte_level_bpe);
  v.pre_tokenizer = std::move(pre_tokenizer);
  return v;
}

text::vocabulary parse_hf_llama2(std::string_view json) {
  auto v = read_tokens(nlohmann::json::parse(json), text::vocabulary_kind::sentencepiece_bpe);
  // A token's score is the place of the first merge that makes it; what no merge makes never needs one.
  std::unordered_map<std::string, float> scores;
  for (const auto& merge : v.merges) {
    const auto space = merge.find(' ', 1);
    scores.emplace(merge.substr(0, space) + merge.substr(space + 1), -static_cast<float>(scores.size()));
  }
  v.merges.clear();
  for (token_id id = 0; id < v.tokens.size(); ++id) {
    const auto& token = v.tokens[id];
    if (token.size() == 6 && token.starts_with("<0x"))
      v.types[id] = text::token_type::byte;
    const auto found = scores.find(token);
    v.scores.push_back(found == scores.end() ? -1e9F : found->second);
  }
  v.unk = 0;
  v.bos = 1;
  v.eos = 2;
  v.add_space_prefix = true;
  return v;
}

} // namespace troupe::test
