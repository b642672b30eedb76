// SPDX-License-Identifier: Apache-2.0
// The rules are those of Jinja's documentation, "Whitespace Control" and "Literals".
#include "text/jinja/lexer.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "text/jinja/error.hpp"
#include "text/jinja/unicode.hpp"

namespace troupe::text::jinja {

namespace {

std::string normalize_line_ends(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n')
        ++i;
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n')
    out.pop_back();
  return out;
}

bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'
         || static_cast<unsigned char>(c) >= 0x80;
}

bool is_digit_byte(char c) { return c >= '0' && c <= '9'; }

struct operator_entry {
  std::string_view text;
  token_kind kind;
};

// Longer ones first.
constexpr operator_entry operators[] = {
  {"//", token_kind::slash_slash}, {"**", token_kind::star_star},     {"==", token_kind::equal},
  {"!=", token_kind::not_equal},   {">=", token_kind::greater_equal}, {"<=", token_kind::less_equal},
  {"+", token_kind::plus},         {"-", token_kind::minus},          {"/", token_kind::slash},
  {"*", token_kind::star},         {"%", token_kind::percent},        {"~", token_kind::tilde},
  {"[", token_kind::bracket_open}, {"]", token_kind::bracket_close},  {"(", token_kind::paren_open},
  {")", token_kind::paren_close},  {"{", token_kind::brace_open},     {"}", token_kind::brace_close},
  {">", token_kind::greater},      {"<", token_kind::less},           {"=", token_kind::assign},
  {".", token_kind::dot},          {":", token_kind::colon},          {"|", token_kind::pipe},
  {",", token_kind::comma},        {";", token_kind::semicolon},
};

class lexer {
public:
  explicit lexer(std::string_view source) : source_(source) {}

  std::vector<token> run() {
    while (at_ < source_.size())
      lex_data();
    add(token_kind::end_of_source);
    return std::move(tokens_);
  }

private:
  [[noreturn]] void fail(std::string message) const { throw fault{{template_errc::syntax, std::move(message), line_}}; }

  bool looking_at(std::string_view text, std::size_t at) const { return source_.substr(at).starts_with(text); }

  token& add(token_kind kind) {
    tokens_.emplace_back();
    tokens_.back().kind = kind;
    tokens_.back().line = line_;
    return tokens_.back();
  }

  /// Moves on, counting lines.
  void advance_to(std::size_t at) {
    line_ += static_cast<std::uint32_t>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                                   source_.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
    at_ = at;
  }

  std::size_t skip_space(std::size_t at) const { return source_.size() - strip_left(source_.substr(at)).size(); }

  bool after_newline() const { return at_ == 0 || source_[at_ - 1] == '\n'; }

  /// Text from at_ to the tag at `tag`, after what the tag's sign and lstrip_blocks take away.
  void add_data(std::size_t tag, char sign, char opener) {
    std::string_view text = source_.substr(at_, tag - at_);
    if (sign == '-') {
      text = strip_right(text);
    } else if (sign != '+' && opener != '{') {
      const auto newline = text.rfind('\n');
      const auto line_start = newline == std::string_view::npos ? 0 : newline + 1;
      if ((line_start > 0 || after_newline()) && strip_left(text.substr(line_start)).empty())
        text = text.substr(0, line_start);
    }
    if (!text.empty())
      add(token_kind::data).text = text;
    advance_to(tag);
  }

  char sign_at(std::size_t at) const {
    return at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at] : '\0';
  }

  void lex_data() {
    std::size_t tag = at_;
    for (;; ++tag) {
      tag = source_.find('{', tag);
      if (tag == std::string_view::npos || tag + 1 == source_.size()) {
        add(token_kind::data).text = source_.substr(at_);
        return advance_to(source_.size());
      }
      if (const char next = source_[tag + 1]; next == '{' || next == '%' || next == '#')
        break;
    }
    const char opener = source_[tag + 1];
    const char sign = sign_at(tag + 2);
    add_data(tag, sign, opener);
    const std::size_t inside = tag + (sign != '\0' ? 3 : 2);
    if (opener == '#')
      return lex_comment(inside);
    if (opener == '%')
      if (const auto body = raw_body(inside))
        return lex_raw(*body);
    add(opener == '%' ? token_kind::block_begin : token_kind::variable_begin);
    advance_to(inside);
    lex_tag(opener == '%');
  }

  /// If `{%` is followed by `raw %}`: where the raw text starts.
  std::optional<std::size_t> raw_body(std::size_t inside) const {
    std::size_t at = skip_space(inside);
    if (!looking_at("raw", at))
      return std::nullopt;
    at = skip_space(at + 3);
    if (looking_at("-%}", at))
      return skip_space(at + 3);
    if (looking_at("%}", at))
      return at + 2;
    return std::nullopt;
  }

  /// The end of a closing delimiter at `at` ("%}" or "#}"), with sign and trimming; nothing if there is none.
  std::optional<std::size_t> close_of(std::string_view closer, std::size_t at) const {
    if (at < source_.size() && source_[at] == '+' && looking_at(closer, at + 1))
      return at + 1 + closer.size();
    if (at < source_.size() && source_[at] == '-' && looking_at(closer, at + 1))
      return skip_space(at + 1 + closer.size());
    if (!looking_at(closer, at))
      return std::nullopt;
    const std::size_t end = at + closer.size();
    return looking_at("\n", end) ? end + 1 : end;
  }

  void lex_comment(std::size_t inside) {
    const std::size_t closer = source_.find("#}", inside);
    if (closer == std::string_view::npos)
      fail("a comment has no end");
    const bool has_sign = closer > inside && sign_at(closer - 1) != '\0';
    advance_to(*close_of("#}", has_sign ? closer - 1 : closer));
  }

  void lex_raw(std::size_t body) {
    advance_to(body);
    for (std::size_t tag = body; (tag = source_.find("{%", tag)) != std::string_view::npos; tag += 2) {
      const char sign = sign_at(tag + 2);
      const std::size_t word = skip_space(tag + (sign != '\0' ? 3 : 2));
      if (!looking_at("endraw", word))
        continue;
      const auto end = close_of("%}", skip_space(word + 6));
      if (!end)
        continue;
      add_data(tag, sign, '%');
      return advance_to(*end);
    }
    fail("a raw block has no end");
  }

  void lex_tag(bool block) {
    std::vector<char> open;
    while (true) {
      advance_to(skip_space(at_));
      if (at_ >= source_.size())
        return; // the parser finds out
      if (open.empty()) {
        if (block) {
          if (const auto end = close_of("%}", at_)) {
            add(token_kind::block_end);
            return advance_to(*end);
          }
        } else if (looking_at("-}}", at_) || looking_at("}}", at_)) {
          add(token_kind::variable_end);
          return advance_to(source_[at_] == '-' ? skip_space(at_ + 3) : at_ + 2);
        }
      }
      lex_token(open);
    }
  }

  void lex_token(std::vector<char>& open) {
    const char c = source_[at_];
    if (is_digit_byte(c))
      return lex_number();
    if (is_name_byte(c)) {
      std::size_t end = at_;
      while (end < source_.size() && is_name_byte(source_[end]))
        ++end;
      add(token_kind::name).text = source_.substr(at_, end - at_);
      return advance_to(end);
    }
    if (c == '\'' || c == '"')
      return lex_string(c);
    lex_operator(open);
  }

  void lex_string(char quote) {
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote)
      end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size())
      fail("a string has no end");
    add(token_kind::string).text = unescape(source_.substr(at_ + 1, end - at_ - 1), line_);
    advance_to(end + 1);
  }

  void lex_operator(std::vector<char>& open) {
    for (const auto& op : operators) {
      if (!looking_at(op.text, at_))
        continue;
      const char c = op.text[0];
      if (op.text.size() == 1 && (c == '(' || c == '[' || c == '{'))
        open.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
      if (op.text.size() == 1 && (c == ')' || c == ']' || c == '}')) {
        if (open.empty())
          fail("unexpected " + in_quotes(op.text));
        if (open.back() != c)
          fail("unexpected " + in_quotes(op.text) + ", expected " + in_quotes({&open.back(), 1}));
        open.pop_back();
      }
      add(op.kind).text = op.text;
      return advance_to(at_ + op.text.size());
    }
    fail("unexpected character " + in_quotes(source_.substr(at_, decode(source_, at_).size)));
  }

  /// Digits with single underscores between them; returns the end.
  template <class Predicate>
  std::size_t skip_digits(std::size_t at, Predicate is_digit) const {
    while (at < source_.size()
           && (is_digit(source_[at]) || (source_[at] == '_' && at + 1 < source_.size() && is_digit(source_[at + 1]))))
      ++at;
    return at;
  }

  std::string digits_between(std::size_t from, std::size_t to) const {
    std::string digits{source_.substr(from, to - from)};
    std::erase(digits, '_');
    return digits;
  }

  void lex_number() {
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.'; // a.0.1 is two subscripts
    std::size_t end = skip_digits(at_, is_digit_byte);
    const std::size_t whole_end = end;
    if (end + 1 < source_.size() && source_[end] == '.' && is_digit_byte(source_[end + 1]))
      end = skip_digits(end + 1, is_digit_byte);
    if (end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
      const std::size_t digits = end + (sign_at(end + 1) != '\0' ? 2 : 1);
      if (digits < source_.size() && is_digit_byte(source_[digits]))
        end = skip_digits(digits, is_digit_byte);
    }
    if (end == whole_end || after_dot)
      return lex_integer(whole_end);
    const std::string digits = digits_between(at_, end);
    token& t = add(token_kind::real);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), t.real);
    if (parsed.ec == std::errc::result_out_of_range) // 1e999 is infinite, 1e-999 is zero
      t.real = digits.find("e-") != std::string::npos || digits.find("E-") != std::string::npos ? 0.0 : HUGE_VAL;
    advance_to(end);
  }

  void lex_integer(std::size_t end) {
    int base = 10;
    std::size_t start = at_;
    if (source_[at_] == '0' && at_ + 2 < source_.size()) {
      const char prefix = static_cast<char>(source_[at_ + 1] | 0x20);
      base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
      if (base != 10) {
        start = at_ + 2;
        end = skip_digits(start, [base](char c) {
          const int digit = is_digit_byte(c)                         ? c - '0'
                            : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                                     : 99;
          return digit < base;
        });
        if (end == start) { // "0x" and nothing: the number 0, then a name
          base = 10;
          start = at_;
          end = at_ + 1;
        }
      }
    }
    if (base == 10 && source_[at_] == '0') // 007 is 00 and 7, which no expression allows
      end = std::min(end, skip_digits(at_, [](char c) { return c == '0'; }));
    const std::string digits = digits_between(start, end);
    token& t = add(token_kind::integer);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), t.integer, base);
    if (parsed.ec != std::errc{})
      fail("integer " + in_quotes(digits) + " is out of range");
    advance_to(end);
  }

  std::string_view source_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
  std::vector<token> tokens_;
};

} // namespace

std::vector<token> tokenize(std::string_view source) {
  const std::string normalized = normalize_line_ends(source);
  return lexer{normalized}.run();
}

std::string describe(const token& t) {
  switch (t.kind) {
    case token_kind::end_of_source: return "the end of the template";
    case token_kind::data: return "text";
    case token_kind::variable_begin: return "'{{'";
    case token_kind::variable_end: return "'}}'";
    case token_kind::block_begin: return "'{%'";
    case token_kind::block_end: return "'%}'";
    case token_kind::string: return "a string";
    case token_kind::integer:
    case token_kind::real: return "a number";
    default: return in_quotes(t.text);
  }
}

} // namespace troupe::text::jinja
