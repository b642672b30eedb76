// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer_json/components.hpp"

#include <algorithm>
#include <array>

#include "text/unicode.hpp"

namespace troupe::text {

namespace {

constexpr std::size_t steps_max = 100;
constexpr std::uint64_t strip_max = 1'000'000;

bool is_one_character(std::string_view text) { return !text.empty() && read_char(text, 0).bytes == text.size(); }

std::string read_character(const json_node& node) {
  const auto text = node.string();
  if (!node.failed() && !is_one_character(text))
    node.refuse("is not one character");
  return std::string{text};
}

split_behavior read_behavior(const json_node& node, split_behavior otherwise) {
  if (node.is_null())
    return otherwise;
  const auto name = node.string();
  if (name == "Removed")
    return split_behavior::removed;
  if (name == "Isolated")
    return split_behavior::isolated;
  if (name == "MergedWithPrevious")
    return split_behavior::merged_with_previous;
  if (name == "MergedWithNext")
    return split_behavior::merged_with_next;
  if (name == "Contiguous")
    return split_behavior::contiguous;
  node.refuse_type(name);
  return otherwise;
}

/// The bytes that base64 stands for; a fault if it isn't that.
std::string read_base64(const json_node& node) {
  static const auto values = [] {
    std::array<std::int8_t, 256> result;
    result.fill(-1);
    const std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (std::size_t i = 0; i < alphabet.size(); ++i)
      result[static_cast<std::uint8_t>(alphabet[i])] = static_cast<std::int8_t>(i);
    return result;
  }();
  auto text = node.string();
  while (text.ends_with('='))
    text.remove_suffix(1);
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const auto value = values[static_cast<std::uint8_t>(c)];
    if (value < 0) {
      node.refuse("is not base64");
      return {};
    }
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count & 0xFF);
    }
  }
  return bytes;
}

/// Calls read(node) for each part of a Sequence, whose parts are in the field `key`.
template <class Read>
void read_sequence(const json_node& node, std::string_view key, std::size_t so_far, Read read) {
  const auto parts = node[key];
  if (parts.size() + so_far > steps_max)
    return parts.refuse("has too many steps");
  parts.for_each(read);
}

} // namespace

text_pattern read_pattern(const json_node& node) {
  if (const auto literal = node["String"]; !literal.is_null())
    return {pattern_kind::literal, std::string{literal.string()}};
  if (const auto regex = node["Regex"]; !regex.is_null())
    return {pattern_kind::regex, std::string{regex.string()}};
  node.refuse("is neither a String nor a Regex");
  return {};
}

prepend_scheme read_prepend_scheme(const json_node& metaspace) {
  const auto scheme = metaspace["prepend_scheme"];
  if (!metaspace["add_prefix_space"].boolean(true))
    return prepend_scheme::never;
  const auto name = scheme.string_or("always");
  if (name == "first")
    return prepend_scheme::first;
  if (name == "never")
    return prepend_scheme::never;
  if (name != "always")
    scheme.refuse_type(name);
  return prepend_scheme::always;
}

void read_normalizer(const json_node& node, std::vector<normalizer_step>& steps) {
  if (node.is_null() || node.failed())
    return;
  const auto type = node["type"].string();
  if (type == "Sequence")
    return read_sequence(node, "normalizers", steps.size(), [&](const json_node& n) { read_normalizer(n, steps); });
  if (type == "NFC")
    steps.emplace_back(normalize::unicode{normal_form::nfc});
  else if (type == "NFD")
    steps.emplace_back(normalize::unicode{normal_form::nfd});
  else if (type == "NFKC")
    steps.emplace_back(normalize::unicode{normal_form::nfkc});
  else if (type == "NFKD")
    steps.emplace_back(normalize::unicode{normal_form::nfkd});
  else if (type == "Lowercase")
    steps.emplace_back(normalize::lowercase{});
  else if (type == "StripAccents")
    steps.emplace_back(normalize::strip_accents{});
  else if (type == "Replace")
    steps.emplace_back(normalize::replace{read_pattern(node["pattern"]), std::string{node["content"].string()}});
  else if (type == "Prepend")
    steps.emplace_back(normalize::prepend{std::string{node["prepend"].string()}});
  else if (type == "Strip")
    steps.emplace_back(normalize::strip{node["strip_left"].boolean(false), node["strip_right"].boolean(false)});
  else if (type == "Nmt")
    steps.emplace_back(normalize::nmt{});
  else if (type == "Precompiled")
    steps.emplace_back(normalize::charsmap{read_base64(node["precompiled_charsmap"])});
  else
    node.refuse_type(type);
}

void read_pre_tokenizer(const json_node& node, std::vector<pre_tokenizer_step>& steps) {
  if (node.is_null() || node.failed())
    return;
  const auto type = node["type"].string();
  if (type == "Sequence")
    return read_sequence(node, "pretokenizers", steps.size(),
                         [&](const json_node& n) { read_pre_tokenizer(n, steps); });
  if (type == "ByteLevel")
    steps.emplace_back(
      pre_tokenize::byte_level{node["add_prefix_space"].boolean(true), node["use_regex"].boolean(true)});
  else if (type == "Split")
    steps.emplace_back(pre_tokenize::split{read_pattern(node["pattern"]),
                                           read_behavior(node["behavior"], split_behavior::isolated),
                                           node["invert"].boolean(false)});
  else if (type == "CharDelimiterSplit")
    steps.emplace_back(
      pre_tokenize::split{{pattern_kind::literal, read_character(node["delimiter"])}, split_behavior::removed, false});
  else if (type == "Digits")
    steps.emplace_back(pre_tokenize::digits{node["individual_digits"].boolean(false)});
  else if (type == "Punctuation")
    steps.emplace_back(pre_tokenize::punctuation{read_behavior(node["behavior"], split_behavior::isolated)});
  else if (type == "Whitespace")
    steps.emplace_back(pre_tokenize::whitespace{});
  else if (type == "WhitespaceSplit")
    steps.emplace_back(pre_tokenize::whitespace_split{});
  else if (type == "Metaspace")
    steps.emplace_back(pre_tokenize::metaspace{read_character(node["replacement"]), read_prepend_scheme(node),
                                               node["split"].boolean(true)});
  else
    node.refuse_type(type);
}

void read_decoder(const json_node& node, std::vector<decoder_step>& steps) {
  if (node.failed())
    return;
  if (node.is_null())
    return void(steps.emplace_back(decode::join{}));
  const auto type = node["type"].string();
  if (type == "Sequence")
    return read_sequence(node, "decoders", steps.size(), [&](const json_node& n) { read_decoder(n, steps); });
  if (type == "ByteLevel")
    steps.emplace_back(decode::byte_level{});
  else if (type == "ByteFallback")
    steps.emplace_back(decode::byte_fallback{});
  else if (type == "Fuse")
    steps.emplace_back(decode::fuse{});
  else if (type == "Replace")
    steps.emplace_back(decode::replace{read_pattern(node["pattern"]), std::string{node["content"].string()}});
  else if (type == "Strip")
    steps.emplace_back(decode::strip{read_character(node["content"]),
                                     static_cast<std::uint32_t>(node["start"].number(strip_max)),
                                     static_cast<std::uint32_t>(node["stop"].number(strip_max))});
  else if (type == "Metaspace")
    steps.emplace_back(decode::metaspace{read_character(node["replacement"]), read_prepend_scheme(node)});
  else
    node.refuse_type(type);
}

// -- post-processor -------------------------------------------------------------------------------

namespace {

constexpr std::uint64_t id_max = 0xFFFF'FFFE;

void read_template(const json_node& node, surrounding_tokens& around) {
  surrounding_tokens own;
  bool behind = false;
  const auto pieces = node["single"];
  pieces.for_each([&](const json_node& piece) {
    if (const auto sequence = piece["Sequence"]; !sequence.is_null()) {
      if (behind || sequence["id"].string() != "A")
        sequence.refuse("is not the one text, A");
      behind = true;
      return;
    }
    const auto name = piece["SpecialToken"]["id"].string();
    const auto token = node["special_tokens"][name];
    token["ids"].for_each([&](const json_node& id) {
      (behind ? own.suffix : own.prefix).push_back(static_cast<token_id>(id.number(id_max)));
    });
  });
  if (!behind)
    pieces.refuse("has no place for the text");
  // What is applied later stands outside.
  around.prefix.insert(around.prefix.begin(), own.prefix.begin(), own.prefix.end());
  around.suffix.insert(around.suffix.end(), own.suffix.begin(), own.suffix.end());
}

/// ["</s>", 2]
token_id read_named_id(const json_node& node) {
  token_id id = 0;
  std::size_t index = 0;
  node.for_each([&](const json_node& part) {
    if (index++ == 1)
      id = static_cast<token_id>(part.number(id_max));
  });
  if (index != 2)
    node.refuse("is no pair of a token and its id");
  return id;
}

void read_processor(const json_node& node, surrounding_tokens& around, std::size_t& steps) {
  if (node.is_null() || node.failed())
    return;
  if (++steps > steps_max)
    return node.refuse("has too many steps");
  const auto type = node["type"].string();
  if (type == "Sequence")
    node["processors"].for_each([&](const json_node& n) { read_processor(n, around, steps); });
  else if (type == "TemplateProcessing")
    read_template(node, around);
  else if (type == "RobertaProcessing" || type == "BertProcessing") {
    around.prefix.insert(around.prefix.begin(), read_named_id(node["cls"]));
    around.suffix.push_back(read_named_id(node["sep"]));
  } else if (type != "ByteLevel") // which changes offsets only
    node.refuse_type(type);
}

} // namespace

surrounding_tokens read_post_processor(const json_node& node) {
  surrounding_tokens around;
  std::size_t steps = 0;
  read_processor(node, around, steps);
  return around;
}

} // namespace troupe::text
