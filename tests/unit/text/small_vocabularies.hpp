// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "text/pipeline/byte_alphabet.hpp"
#include "text/tokenizer.hpp"
#include "text/vocabulary.hpp"

namespace troupe::test {

/// 256 byte tokens (id = byte), then what the merges make, then <|end|>, <|start|> (control, EOS and BOS) and
/// "[user]" (user-defined). Merges are written with plain bytes, a tab between left and right.
inline text::vocabulary byte_level_vocabulary(const std::vector<std::string>& merges = {},
                                              std::string pre_tokenizer = "gpt-2") {
  text::vocabulary v;
  v.kind = text::vocabulary_kind::byte_level_bpe;
  v.pre_tokenizer = std::move(pre_tokenizer);
  auto written = [](std::string_view bytes) {
    std::string token;
    for (const char c : bytes)
      token += text::byte_alphabet_char(static_cast<std::uint8_t>(c));
    return token;
  };
  for (unsigned byte = 0; byte < 256; ++byte)
    v.tokens.emplace_back(text::byte_alphabet_char(static_cast<std::uint8_t>(byte)));
  for (const auto& merge : merges) {
    const auto tab = merge.find('\t');
    const auto left = written(std::string_view{merge}.substr(0, tab));
    const auto right = written(std::string_view{merge}.substr(tab + 1));
    v.tokens.push_back(left + right);
    v.merges.push_back(left + ' ' + right);
  }
  v.types.assign(v.tokens.size(), text::token_type::normal);
  v.eos = static_cast<token_id>(v.tokens.size());
  v.bos = *v.eos + 1;
  v.tokens.insert(v.tokens.end(), {"<|end|>", "<|start|>", "[user]"});
  v.types.insert(v.types.end(), {text::token_type::control, text::token_type::control, text::token_type::user_defined});
  return v;
}

/// <unk>, <s>, </s>, 256 byte tokens (id = byte + 3), then `tokens` with falling scores.
inline text::vocabulary sentencepiece_vocabulary(const std::vector<std::string>& tokens) {
  text::vocabulary v;
  v.kind = text::vocabulary_kind::sentencepiece_bpe;
  v.tokens = {"<unk>", "<s>", "</s>"};
  v.types = {text::token_type::unknown, text::token_type::control, text::token_type::control};
  for (unsigned byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    v.tokens.emplace_back(name);
    v.types.push_back(text::token_type::byte);
  }
  v.scores.assign(v.tokens.size(), 0.0F);
  for (const auto& token : tokens) {
    v.scores.push_back(-static_cast<float>(v.tokens.size()));
    v.tokens.push_back(token);
    v.types.push_back(text::token_type::normal);
  }
  v.unk = 0;
  v.bos = 1;
  v.eos = 2;
  v.add_bos = true;
  v.add_space_prefix = true;
  return v;
}

/// REQUIRES: a correct vocabulary
inline text::tokenizer make_tokenizer(text::vocabulary v) {
  return std::move(text::tokenizer::make(std::move(v))).value();
}

using ids = std::vector<token_id>;

} // namespace troupe::test
