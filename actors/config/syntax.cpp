// SPDX-License-Identifier: Apache-2.0
#include "actors/config/syntax.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace troupe::syntax {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_key_char(char c) { return is_digit(c) || is_letter(c) || c == '-' || c == '_'; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

bool is_utf8(std::string_view text) {
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t code_point = 0;
    const auto taken = utf8proc_iterate(at, left, &code_point);
    if (taken <= 0)
      return false;
    at += taken;
    left -= taken;
  }
  return true;
}

/// Recursive descent. Every function that returns false has reported a fault and left the cursor at the
/// end of the line (or before the `}` that ends the map), where its caller goes on.
class parser {
public:
  parser(std::string_view text, std::string_view name, std::span<const std::string_view> repeatable)
    : text_(text), name_(name), repeatable_(repeatable) {}

  document run() {
    if (text_.size() > file_bytes_max)
      report(0, "", "the file is larger than 1 MiB");
    else if (!is_utf8(text_))
      report(0, "", "the file is not valid UTF-8");
    else
      parse_root();
    return std::move(result_);
  }

private:
  void parse_root() {
    parse_entries(result_.root, "", 0);
    while (!done()) { // parse_entries stops at a } without a {
      report(line_, "", "this } closes nothing");
      ++at_;
      parse_entries(result_.root, "", 0);
    }
  }

  // Entries up to the end of the file or a `}`, which it leaves to the caller.
  void parse_entries(map& into, const std::string& path, int depth) {
    for (skip_space_and_commas(); !done() && peek() != '}'; skip_space_and_commas())
      if (!parse_entry(into, path, depth) || !expect_entry_end(path))
        skip_rest();
  }

  bool parse_entry(map& into, const std::string& path, int depth) {
    const std::string key = take_key();
    if (key.empty())
      return report(line_, path, "expected a key (letters, digits, - and _), found " + shown_next());
    const std::string full = path.empty() ? key : path + "." + key;
    if (depth >= depth_max)
      return report(line_, path, "nested deeper than 32 levels");
    if (!done() && peek() == '.') {
      ++at_;
      entry* inner = find_or_add_map(into, key, full);
      return inner != nullptr && parse_entry(std::get<map>(inner->content.data), full, depth + 1);
    }
    const int key_line = line_;
    skip_blanks();
    if (!done() && (peek() == '=' || peek() == ':')) {
      ++at_;
      skip_blanks();
    } else if (done() || peek() != '{') {
      return report(key_line, full, "expected = or { after the key, found " + shown_next());
    }
    if (!done() && peek() == '{')
      return parse_block(into, key, full, depth);
    auto parsed = parse_value(full, depth + 1);
    return parsed && add(into, key, full, std::move(*parsed));
  }

  // `{ … }`. Dotted keys may add to the same section before or after; a second pair of braces is a
  // mistake more often than a wish, where it is not the next of several.
  bool parse_block(map& into, const std::string& key, const std::string& full, int depth) {
    const int opened = line_;
    ++at_;
    entry* found = find_or_add_map(into, key, full);
    if (found == nullptr)
      return --at_, false; // skip_rest then skips the whole block
    if (std::get<map>(found->content.data).opened_line > 0 && is_repeatable(full)) {
      if (!append(into, key, full, value{opened, map{}}))
        return --at_, false;
      found = &into.entries.back();
    }
    map& inner = std::get<map>(found->content.data);
    if (inner.opened_line > 0)
      report(opened, full, "this section is given twice; first in line " + std::to_string(inner.opened_line));
    else
      inner.opened_line = opened;
    found->content.line = opened;
    parse_entries(inner, full, depth + 1);
    if (done())
      return report(opened, full, "this { is never closed");
    ++at_;
    return true;
  }

  std::optional<value> parse_value(const std::string& full, int depth) {
    value result{line_, false};
    if (done() || peek() == '\n' || peek() == '#') {
      report(line_, full, "a value is missing");
      return std::nullopt;
    }
    const char c = peek();
    if (c == '"' || c == '\'')
      return parse_string(full);
    if (c == '[')
      return parse_list(full, depth);
    if (is_digit(c) || c == '-' || c == '+' || c == '.')
      return parse_number(full);
    if (is_letter(c))
      return parse_word(full);
    report(line_, full, "expected a value, found " + shown_next());
    return std::nullopt;
  }

  std::optional<value> parse_word(const std::string& full) {
    const std::string word = take_while(is_key_char);
    if (word == "true" || word == "false")
      return value{line_, word == "true"};
    report(line_, full, "a string needs quotes: \"" + word + "\"");
    return std::nullopt;
  }

  std::optional<value> parse_number(const std::string& full) {
    const std::size_t begin = at_;
    if (peek() == '-' || peek() == '+')
      ++at_;
    while (!done() && (is_digit(peek()) || peek() == '.'))
      ++at_;
    if (at_ + 1 < text_.size() && (peek() == 'e' || peek() == 'E') && // 1e-3
        (is_digit(text_[at_ + 1]) || text_[at_ + 1] == '-' || text_[at_ + 1] == '+')) {
      at_ += 2;
      while (!done() && is_digit(peek()))
        ++at_;
    }
    std::string_view digits = text_.substr(begin, at_ - begin);
    const std::string shown{digits};
    if (digits.front() == '+')
      digits.remove_prefix(1);
    number result;
    const char* const end = digits.data() + digits.size();
    const auto real = std::from_chars(digits.data(), end, result.real);
    if (real.ec != std::errc{} || real.ptr != end || !std::isfinite(result.real)) {
      report(line_, full, "'" + shown + "' is not a number, or is too large");
      return std::nullopt;
    }
    const auto integer = std::from_chars(digits.data(), end, result.integer);
    result.is_integer = integer.ec == std::errc{} && integer.ptr == end;
    result.unit = take_while(is_letter);
    return value{line_, std::move(result)};
  }

  std::optional<value> parse_string(const std::string& full) {
    const char quote = peek();
    ++at_;
    std::string result;
    for (; !done() && peek() != '\n'; ++at_) {
      char c = peek();
      if (c == quote) {
        ++at_;
        return value{line_, std::move(result)};
      }
      if (c == '\\' && ++at_ < text_.size()) {
        const auto escaped = unescape(peek());
        if (!escaped) {
          report(line_, full, "unknown escape \\" + shown_next() + "; there are \\n \\t \\r \\\\ \\\" \\'");
          return std::nullopt;
        }
        c = *escaped;
      } else if (static_cast<unsigned char>(c) < 0x20 && c != '\t') {
        report(line_, full, "a control character in a string");
        return std::nullopt;
      }
      result += c;
    }
    report(line_, full, "the string does not end in this line");
    return std::nullopt;
  }

  static std::optional<char> unescape(char c) {
    switch (c) {
      case 'n': return '\n';
      case 't': return '\t';
      case 'r': return '\r';
      case '\\':
      case '"':
      case '\'': return c;
      default: return std::nullopt;
    }
  }

  std::optional<value> parse_list(const std::string& full, int depth) {
    const int opened = line_;
    ++at_;
    list elements;
    for (;;) {
      skip_space();
      if (done()) {
        report(opened, full, "this [ is never closed");
        return std::nullopt;
      }
      if (peek() == ']')
        return ++at_, value{opened, std::move(elements)};
      if (depth >= depth_max || elements.size() >= entries_max) {
        report(line_, full, depth >= depth_max ? "nested deeper than 32 levels" : "more than 1024 elements");
        return std::nullopt;
      }
      auto element = parse_value(full, depth + 1);
      if (!element)
        return std::nullopt;
      elements.push_back(std::move(*element));
      skip_space();
      if (!done() && peek() == ',')
        ++at_;
      else if (!done() && peek() != ']') {
        report(line_, full, "expected , or ] in the list, found " + shown_next());
        return std::nullopt;
      }
    }
  }

  bool expect_entry_end(const std::string& path) {
    skip_blanks();
    if (done() || peek() == '\n' || peek() == ',' || peek() == '}' || peek() == '#')
      return true;
    return report(line_, path, "expected the end of the line after the value, found " + shown_next());
  }

  bool add(map& into, const std::string& key, const std::string& full, value content) {
    if (const entry* old = into.find(key))
      return report(content.line, full, "given twice; first in line " + std::to_string(old->content.line)), true;
    return append(into, key, full, std::move(content));
  }

  bool append(map& into, const std::string& key, const std::string& full, value content) {
    if (into.entries.size() >= entries_max)
      return report(content.line, full, "more than 1024 entries");
    into.entries.push_back({key, std::move(content)});
    return true;
  }

  bool is_repeatable(std::string_view full) const {
    return std::find(repeatable_.begin(), repeatable_.end(), full) != repeatable_.end();
  }

  // nullptr, and a fault, if the key already names something else.
  entry* find_or_add_map(map& into, const std::string& key, const std::string& full) {
    if (into.find(key) == nullptr && !add(into, key, full, value{line_, map{}}))
      return nullptr;
    entry* found = const_cast<entry*>(into.find(key));
    if (!std::holds_alternative<map>(found->content.data)) {
      report(line_, full,
             "given twice; first in line " + std::to_string(found->content.line) + " as "
               + std::string{kind_of(found->content)});
      return nullptr;
    }
    return found;
  }

  // To the end of the line, over blocks that begin in it, but not over the } of the map around it.
  void skip_rest() {
    int open = 0;
    for (; !done(); ++at_) {
      const char c = peek();
      if (c == '\n' && open == 0)
        return;
      if (c == '\n')
        ++line_;
      else if (c == '#')
        skip_comment();
      else if (c == '"' || c == '\'')
        skip_quoted(c);
      else if (c == '{')
        ++open;
      else if (c == '}' && open-- == 0)
        return;
    }
  }

  // Leaves the cursor on the last character before the end of the line.
  void skip_comment() {
    while (at_ + 1 < text_.size() && text_[at_ + 1] != '\n')
      ++at_;
  }

  // Leaves the cursor on the closing quote; a quote without a partner in its line is skipped alone.
  void skip_quoted(char quote) {
    for (std::size_t i = at_ + 1; i < text_.size() && text_[i] != '\n'; ++i) {
      if (text_[i] == '\\')
        ++i;
      else if (text_[i] == quote) {
        at_ = i;
        return;
      }
    }
  }

  void skip_blanks() {
    while (!done() && is_blank(peek()))
      ++at_;
  }

  void skip_space() {
    for (; !done(); ++at_) {
      if (peek() == '#')
        skip_comment();
      else if (peek() == '\n')
        ++line_;
      else if (!is_blank(peek()))
        return;
    }
  }

  void skip_space_and_commas() {
    for (skip_space(); !done() && peek() == ','; skip_space())
      ++at_;
  }

  template <class Predicate>
  std::string take_while(Predicate wanted) {
    const std::size_t begin = at_;
    while (!done() && wanted(peek()))
      ++at_;
    return std::string{text_.substr(begin, at_ - begin)};
  }

  std::string take_key() { return take_while(is_key_char); }

  std::string shown_next() const {
    if (at_ >= text_.size())
      return "the end of the file";
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (c == '\n' || c == '\r')
      return "the end of the line";
    if (c < 0x20 || c == 0x7f)
      return "a control character";
    std::size_t length = 1; // a whole character of UTF-8
    while (at_ + length < text_.size() && (static_cast<unsigned char>(text_[at_ + length]) & 0xC0) == 0x80)
      ++length;
    return "'" + std::string{text_.substr(at_, length)} + "'";
  }

  // Always false, so that a function can report and give up in one statement.
  bool report(int line, const std::string& key, std::string message) {
    if (result_.faults.size() < faults_max)
      result_.faults.push_back({std::string{name_}, line, key, std::move(message)});
    if (result_.faults.size() == faults_max) {
      result_.faults.push_back({std::string{name_}, line, "", "too many faults: the rest is not read"});
      at_ = text_.size();
    }
    return false;
  }

  bool done() const { return at_ >= text_.size(); }
  char peek() const { return text_[at_]; }

  std::string_view text_;
  std::string_view name_;
  std::span<const std::string_view> repeatable_;
  std::size_t at_ = 0;
  int line_ = 1;
  document result_;
};

} // namespace

const entry* map::find(std::string_view key) const {
  const auto i = std::find_if(entries.begin(), entries.end(), [key](const entry& x) { return x.key == key; });
  return i == entries.end() ? nullptr : &*i;
}

std::string in_quotes(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    switch (c) {
      case '\n': result += "\\n"; break;
      case '\r': result += "\\r"; break;
      case '"':
      case '\\': result += '\\'; [[fallthrough]];
      default: result += c;
    }
  }
  return result + "\"";
}

std::string_view kind_of(const value& x) {
  constexpr std::string_view names[] = {"true or false", "a number", "a string", "a list", "a section"};
  return names[x.data.index()];
}

document parse(std::string_view text, std::string_view name, std::span<const std::string_view> repeatable) {
  return parser{text, name, repeatable}.run();
}

} // namespace troupe::syntax
