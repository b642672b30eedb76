// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/openai/logprob_writer.hpp"

#include "actors/frontend/openai/json_writer.hpp"
#include "text/unicode.hpp"

namespace troupe::openai {

namespace {

void append_chat_entry(std::string& out, std::string_view piece, float logprob) {
  out += R"({"token":)";
  append_string(out, piece);
  out += R"(,"logprob":)";
  append_float(out, logprob);
  out += R"(,"bytes":)";
  append_byte_array(out, piece);
}

/// Pieces that are not UTF-8 by themselves are written as OpenAI does: bytes:\xe2\x80
void append_completion_token(std::string& out, std::string_view piece) {
  bool valid = true;
  for (std::size_t i = 0; valid && i < piece.size();) {
    const auto c = text::read_char(piece, i);
    valid = c.state == text::utf8_state::valid;
    i += c.bytes;
  }
  if (valid)
    return append_utf8_string(out, piece);
  constexpr char hex[] = "0123456789abcdef";
  std::string name = "bytes:";
  for (unsigned char byte : piece) {
    name += "\\x";
    name += hex[byte >> 4];
    name += hex[byte & 15];
  }
  append_utf8_string(out, name);
}

/// Bytes that begin a character.
std::uint64_t characters(std::string_view piece) {
  std::uint64_t count = 0;
  for (unsigned char byte : piece)
    count += (byte & 0xC0) != 0x80;
  return count;
}

} // namespace

logprob_writer::logprob_writer(api which, const text::tokenizer& tokenizer) : api_(which), tokenizer_(&tokenizer) {}

void logprob_writer::add(const sampled_token& token) {
  if (api_ == api::chat)
    add_chat(token);
  else
    add_completions(token);
  ++count_;
}

void logprob_writer::add_chat(const sampled_token& token) {
  if (count_ > 0)
    tokens_ += ',';
  append_chat_entry(tokens_, tokenizer_->piece(token.token), token.logprob);
  tokens_ += R"(,"top_logprobs":[)";
  for (std::size_t i = 0; i < token.top.size(); ++i) {
    if (i > 0)
      tokens_ += ',';
    append_chat_entry(tokens_, tokenizer_->piece(token.top[i].token), token.top[i].logprob);
    tokens_ += '}';
  }
  tokens_ += "]}";
}

void logprob_writer::add_completions(const sampled_token& token) {
  if (count_ > 0)
    for (auto* list : {&tokens_, &logprobs_, &top_, &offsets_})
      *list += ',';
  const auto piece = tokenizer_->piece(token.token);
  append_completion_token(tokens_, piece);
  append_float(logprobs_, token.logprob);
  top_ += '{';
  for (std::size_t i = 0; i < token.top.size(); ++i) {
    if (i > 0)
      top_ += ',';
    append_completion_token(top_, tokenizer_->piece(token.top[i].token));
    top_ += ':';
    append_float(top_, token.top[i].logprob);
  }
  top_ += '}';
  append_unsigned(offsets_, offset_);
  offset_ += characters(piece);
}

std::string logprob_writer::take() {
  if (count_ == 0)
    return {};
  std::string out;
  if (api_ == api::chat) {
    out = R"({"content":[)" + tokens_ + R"(],"refusal":null})";
  } else {
    out = R"({"tokens":[)" + tokens_ + R"(],"token_logprobs":[)" + logprobs_ + R"(],"top_logprobs":[)" + top_
          + R"(],"text_offset":[)" + offsets_ + "]}";
  }
  for (auto* list : {&tokens_, &logprobs_, &top_, &offsets_})
    list->clear();
  count_ = 0;
  return out;
}

} // namespace troupe::openai
