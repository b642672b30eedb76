// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "actors/model/served_model.hpp"
#include "text/chat_template.hpp"
#include "text/pipeline/byte_alphabet.hpp"
#include "text/tokenizer.hpp"

namespace troupe::test {

/// End of a turn in byte_model(); the bytes 0 to 255 are tokens 0 to 255.
inline constexpr token_id byte_model_end = 256;

/// A model whose tokens are bytes, so that a test can cut text where it likes. Its chat template writes
/// "role:content;" for each message.
inline served_model byte_model() {
  text::vocabulary v;
  v.kind = text::vocabulary_kind::byte_level_bpe;
  v.pre_tokenizer = "gpt-2";
  for (int byte = 0; byte < 256; ++byte)
    v.tokens.emplace_back(text::byte_alphabet_char(static_cast<std::uint8_t>(byte)));
  v.tokens.push_back("<|end|>");
  v.types.assign(256, text::token_type::normal);
  v.types.push_back(text::token_type::control);
  v.eos = byte_model_end;
  auto tokenizer = text::tokenizer::make(std::move(v));
  auto chat =
    text::chat_template::parse("{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}"
                               "{% if messages[0].content == 'refuse' %}{{ raise_exception('no') }}{% endif %}");
  served_model out;
  out.name = "bytes";
  out.file = "bytes.gguf";
  out.context_tokens = 4096;
  out.tokenizer = std::make_shared<const text::tokenizer>(std::move(tokenizer).value());
  out.chat_template = std::make_shared<const text::chat_template>(std::move(chat).value());
  out.stop_tokens = {byte_model_end};
  return out;
}

} // namespace troupe::test
