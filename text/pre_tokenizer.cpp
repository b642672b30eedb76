// SPDX-License-Identifier: Apache-2.0
#include "text/pre_tokenizer.hpp"

#include "text/unicode.hpp"

namespace troupe::text {

namespace {

struct scanned {
  char32_t code_point = 0;
  std::uint8_t bytes = 0;
  char_class kind{};

  bool is(char_class wanted) const { return bytes != 0 && kind == wanted; }
  /// [^\s\p{L}\p{N}], one character of it.
  bool is_other() const { return is(char_class::other); }
  bool is_line_break() const { return bytes != 0 && (code_point == '\r' || code_point == '\n'); }
};

/// The character at `at`; no bytes at the end of the text.
scanned scan(std::string_view text, std::size_t at) {
  if (at >= text.size())
    return {};
  const auto c = read_char(text, at);
  // An ill-formed sequence is taken byte by byte, so that the cut doesn't depend on what follows it.
  if (c.state != utf8_state::valid)
    return {replacement_character, 1, char_class::other};
  return {c.code_point, c.bytes, classify(c.code_point)};
}

std::size_t end_of_run(std::string_view text, std::size_t at, char_class kind) {
  for (auto c = scan(text, at); c.is(kind); c = scan(text, at))
    at += c.bytes;
  return at;
}

enum class letter_case : std::uint8_t { exact, ignored };

/// Length of 's|'t|'re|'ve|'m|'ll|'d at `at`, 0 if there is none.
std::size_t contraction_bytes(std::string_view text, std::size_t at, letter_case mode) {
  auto letter = [&](std::size_t i) -> char {
    if (at + i >= text.size())
      return '\0';
    const char c = text[at + i];
    return mode == letter_case::ignored && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  if (letter(0) != '\'')
    return 0;
  const char first = letter(1);
  if (first == 's' || first == 't' || first == 'm' || first == 'd')
    return 2;
  const char second = letter(2);
  if (((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l'))
    return 3;
  return 0;
}

/// \s+(?!\S)|\s+ at `at`: the whole run at the end of the text, else all but its last character, unless
/// it is the only one.
std::size_t end_of_space(std::string_view text, std::size_t at) {
  std::size_t last = at;
  std::size_t end = at;
  for (auto c = scan(text, end); c.is(char_class::space); c = scan(text, end)) {
    last = end;
    end += c.bytes;
  }
  return end == text.size() || last == at ? end : last;
}

std::size_t end_of_gpt2_word(std::string_view text, std::size_t at) {
  if (const auto n = contraction_bytes(text, at, letter_case::exact))
    return at + n;
  const auto first = scan(text, at);
  const auto body_at = first.code_point == ' ' ? at + 1 : at;
  const auto body = first.code_point == ' ' ? scan(text, body_at) : first;
  if (body.bytes != 0 && body.kind != char_class::space)
    return end_of_run(text, body_at, body.kind);
  return end_of_space(text, at);
}

/// \s*[\r\n]+ at `at`; `at` itself if there is no line break in the run.
std::size_t end_of_line_breaks(std::string_view text, std::size_t at) {
  std::size_t end = at;
  for (auto c = scan(text, at); c.is(char_class::space); c = scan(text, at)) {
    at += c.bytes;
    if (c.is_line_break())
      end = at;
  }
  return end;
}

/// qwen2 and llama3, which differ in how many numbers stand together.
std::size_t end_of_qwen2_word(std::string_view text, std::size_t at, int numbers_max) {
  if (const auto n = contraction_bytes(text, at, letter_case::ignored))
    return at + n;
  const auto first = scan(text, at);
  if (first.is(char_class::number)) {
    auto c = first;
    for (int i = 0; i < numbers_max && c.is(char_class::number); ++i) {
      at += c.bytes;
      c = scan(text, at);
    }
    return at;
  }
  const auto after_first = at + first.bytes;
  if (first.is(char_class::letter) || (!first.is_line_break() && scan(text, after_first).is(char_class::letter)))
    return end_of_run(text, after_first, char_class::letter);
  const auto body_at = first.code_point == ' ' ? after_first : at;
  if (scan(text, body_at).is_other()) {
    auto end = end_of_run(text, body_at, char_class::other);
    while (scan(text, end).is_line_break())
      ++end;
    return end;
  }
  const auto end = end_of_line_breaks(text, at);
  return end != at ? end : end_of_space(text, at);
}

struct named_pre_tokenizer {
  std::string_view name;
  pre_tokenizer value;
};

constexpr named_pre_tokenizer known[] = {
  {"gpt-2", pre_tokenizer::gpt2},       {"smollm", pre_tokenizer::smollm},   {"qwen2", pre_tokenizer::qwen2},
  {"llama-bpe", pre_tokenizer::llama3}, {"llama-v3", pre_tokenizer::llama3}, {"llama3", pre_tokenizer::llama3},
};

} // namespace

std::optional<pre_tokenizer> find_pre_tokenizer(std::string_view name) {
  for (const auto& entry : known)
    if (entry.name == name)
      return entry.value;
  return std::nullopt;
}

std::string_view pre_tokenizer_names() { return "gpt-2, smollm, qwen2, llama-bpe, llama-v3, llama3"; }

word_splitter::word_splitter(pre_tokenizer kind, std::string_view text) : kind_(kind), text_(text) {}

std::string_view word_splitter::next() {
  const auto begin = at_;
  if (begin == text_.size())
    return {};
  switch (kind_) {
    case pre_tokenizer::gpt2: at_ = end_of_gpt2_word(text_, begin); break;
    case pre_tokenizer::qwen2: at_ = end_of_qwen2_word(text_, begin, 1); break;
    case pre_tokenizer::llama3: at_ = end_of_qwen2_word(text_, begin, 3); break;
    case pre_tokenizer::smollm: {
      if (const auto c = scan(text_, begin); c.is(char_class::number)) {
        at_ = begin + c.bytes;
        break;
      }
      if (piece_end_ <= begin) {
        piece_end_ = begin;
        for (auto c = scan(text_, piece_end_); c.bytes != 0 && !c.is(char_class::number); c = scan(text_, piece_end_))
          piece_end_ += c.bytes;
      }
      // The piece ends where the number begins, and so does what the pattern can see.
      at_ = end_of_gpt2_word(text_.substr(0, piece_end_), begin);
      break;
    }
  }
  return text_.substr(begin, at_ - begin);
}

} // namespace troupe::text
