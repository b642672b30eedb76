// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "text/tokenizer_json/components.hpp"

namespace troupe::text {

namespace {

using id_map = std::unordered_map<std::string_view, token_id>;

/// The highest id that a vocabulary of `entries` may use: holes are paid for in memory.
std::uint64_t id_max(std::size_t entries) { return std::uint64_t{entries} * 4 + 65'536; }

std::string byte_token_text(unsigned byte) {
  char text[8];
  std::snprintf(text, sizeof text, "<0x%02X>", byte);
  return text;
}

class model_reader {
public:
  model_reader(const json_node& node, tokenizer_description& d) : node_(node), d_(d) {
    for (const auto& token : d.added)
      if (token.special)
        special_.insert(token.content);
  }

  void read() {
    // Files of before 2020 do not say.
    const auto type = node_["type"].string_or(node_["merges"].is_null() ? "" : "BPE");
    if (type == "BPE")
      read_bpe();
    else if (type == "Unigram")
      read_unigram();
    else
      node_.refuse_type(type);
  }

private:
  void put(const json_node& where, token_id id, std::string_view token) {
    if (id >= d_.tokens.size()) {
      d_.tokens.resize(id + 1);
      d_.roles.resize(id + 1, token_role::none);
      taken_.resize(id + 1);
    }
    if (taken_[id])
      return where.refuse("the id " + std::to_string(id) + " is given twice");
    taken_[id] = true;
    d_.tokens[id] = token;
    // What special tokens stand for is never made from text.
    d_.roles[id] = special_.contains(token) || token.empty() ? token_role::none : token_role::text;
    if (!ids_.emplace(token, id).second)
      where.refuse("the token '" + std::string{token} + "' is given twice");
  }

  template <class Model>
  void read_byte_tokens(Model& model) {
    model.byte_fallback = node_["byte_fallback"].boolean(false);
    if (!model.byte_fallback)
      return;
    for (unsigned byte = 0; byte < 256; ++byte)
      if (const auto found = ids_.find(byte_token_text(byte)); found != ids_.end()) {
        model.byte_tokens[byte] = found->second;
        if (d_.roles[found->second] == token_role::text)
          d_.roles[found->second] = token_role::byte;
      }
  }

  // -- BPE ----------------------------------------------------------------------------------------

  void read_bpe() {
    for (const auto* key : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (!node_[key].is_null() && !node_[key].string().empty())
        node_[key].refuse_type(node_[key].string());
    if (const auto dropout = node_["dropout"]; !dropout.is_null() && dropout.real() != 0)
      dropout.refuse("is not supported");
    const auto vocabulary = node_["vocab"];
    const auto most = id_max(vocabulary.size());
    ids_.reserve(vocabulary.size());
    vocabulary.for_each_field(
      [&](std::string_view token, const json_node& id) { put(id, static_cast<token_id>(id.number(most)), token); });
    bpe_description model;
    model.fuse_unk = node_["fuse_unk"].boolean(false);
    model.ignore_merges = node_["ignore_merges"].boolean(false);
    read_byte_tokens(model);
    if (const auto unk = node_["unk_token"]; !unk.is_null())
      if (const auto id = find(unk, unk.string()))
        model.unk = *id;
    read_merges(node_["merges"], model);
    d_.model = std::move(model);
  }

  std::optional<token_id> find(const json_node& where, std::string_view token) {
    const auto found = ids_.find(token);
    if (found != ids_.end())
      return found->second;
    where.refuse("'" + std::string{token} + "' is not in " + node_.path() + ".vocab");
    return std::nullopt;
  }

  void read_merges(const json_node& node, bpe_description& model) {
    const auto count = node.size();
    if (count >= std::numeric_limits<std::uint32_t>::max())
      return node.refuse("has too many merges");
    model.merges.reserve(count);
    std::string joined;
    node.for_each([&](const json_node& merge) {
      const auto [left, right] = read_pair(merge);
      if (merge.failed())
        return;
      joined.assign(left).append(right);
      const auto l = find(merge, left);
      const auto r = find(merge, right);
      const auto result = find(merge, joined);
      const auto rank = static_cast<std::uint32_t>(merge_index_++);
      if (l && r && result && !special_.contains(d_.tokens[*result]))
        model.merges.push_back({*l, *r, *result, rank});
    });
    // Of two merges of one pair Hugging Face takes the last, a description the first.
    std::ranges::reverse(model.merges);
  }

  struct pair {
    std::string_view left;
    std::string_view right;
  };

  static pair read_pair(const json_node& merge) {
    if (merge.is_string()) {
      const auto text = merge.string();
      const auto space = text.find(' ');
      if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
        merge.refuse("is not a pair of tokens");
        return {};
      }
      return {text.substr(0, space), text.substr(space + 1)};
    }
    pair result;
    std::size_t index = 0;
    merge.for_each([&](const json_node& part) { (index++ == 0 ? result.left : result.right) = part.string(); });
    if (index != 2)
      merge.refuse("is not a pair of tokens");
    return result;
  }

  // -- Unigram ------------------------------------------------------------------------------------

  void read_unigram() {
    const auto vocabulary = node_["vocab"];
    unigram_description model;
    model.scores.reserve(vocabulary.size());
    vocabulary.for_each([&](const json_node& entry) {
      std::size_t index = 0;
      entry.for_each([&](const json_node& part) {
        if (index == 0)
          put_piece(entry, part.string());
        else if (index == 1)
          model.scores.push_back(part.real());
        ++index;
      });
      if (index != 2)
        entry.refuse("is no pair of a token and its score");
    });
    read_byte_tokens(model);
    if (node_["unk_id"].is_null())
      return node_["unk_id"].refuse("is missing, which is not supported");
    if (vocabulary.size() == 0)
      return vocabulary.refuse("is empty");
    model.unk = static_cast<token_id>(node_["unk_id"].number(vocabulary.size() - 1));
    d_.model = std::move(model);
  }

  /// Padded Unigram vocabularies repeat pieces; of equal ones the last counts.
  void put_piece(const json_node& where, std::string_view piece) {
    const auto id = static_cast<token_id>(d_.tokens.size());
    if (const auto found = ids_.find(piece); found != ids_.end()) {
      d_.roles[found->second] = token_role::none;
      ids_.erase(found);
    }
    put(where, id, piece);
  }

  json_node node_;
  tokenizer_description& d_;
  id_map ids_;
  std::vector<bool> taken_;
  std::unordered_set<std::string_view> special_;
  std::size_t merge_index_ = 0;
};

} // namespace

void read_model(const json_node& node, tokenizer_description& d) { model_reader{node, d}.read(); }

} // namespace troupe::text
