// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/regex_translation.hpp"

#include <optional>

namespace troupe::text {

namespace {

// The contents of classes. White_Space, and all other code points.
constexpr std::string_view spaces =
  R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
constexpr std::string_view no_spaces =
  R"(\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff})";
constexpr std::string_view words = R"(\p{L}\p{M}\p{N}\p{Pc})";

constexpr int nesting_max = 100;

class translator {
public:
  explicit translator(std::string_view source) : source_(source) {}

  expected<std::string, std::string> run() && {
    while (!why_ && at_ < source_.size()) {
      if (source_[at_] == '\\')
        escape(false);
      else if (source_[at_] == '[')
        outer_class();
      else
        result_ += source_[at_++];
    }
    if (why_)
      return unexpected{*why_};
    return result_;
  }

private:
  void refuse(std::string why) {
    if (!why_)
      why_ = std::move(why);
  }

  /// A class of its own, or a part of one.
  void put_class(std::string_view content, bool inside, bool negated = false) {
    if (inside && negated)
      return refuse("a negated \\W or \\D inside a class");
    if (inside)
      result_ += content;
    else
      result_.append(negated ? "[^" : "[").append(content).append("]");
  }

  void escape(bool inside) {
    if (at_ + 1 >= source_.size())
      return refuse("a backslash at the end");
    const char c = source_[at_ + 1];
    at_ += 2;
    switch (c) {
      case 's': return put_class(spaces, inside);
      case 'S': return put_class(no_spaces, inside);
      case 'd': result_ += R"(\p{Nd})"; return;
      case 'D': result_ += R"(\P{Nd})"; return;
      case 'w': return put_class(words, inside);
      case 'W': return put_class(words, inside, true);
      // Named alike, but with another meaning or without one in PCRE2.
      case 'h':
      case 'H':
      case 'R':
      case 'X':
      case 'Z':
      case 'G':
      case 'K':
      case 'k':
      case 'g':
      case 'y':
      case 'Y':
      case 'M':
      case 'C':
      case 'N':
      case 'O':
      case 'b':
      case 'B': return refuse(std::string{"the escape \\"} + c);
      case 'u': {
        // Four hexadecimal digits.
        if (source_.size() - at_ < 4)
          return refuse("an unfinished \\u");
        result_.append("\\x{").append(source_.substr(at_, 4)).append("}");
        at_ += 4;
        return;
      }
      default: result_.append({'\\', c}); return;
    }
  }

  void outer_class() {
    result_ += '[';
    ++at_;
    if (at_ < source_.size() && source_[at_] == '^') {
      result_ += '^';
      ++at_;
    }
    class_content(1);
    result_ += ']';
  }

  /// Behind "[" or "[^" of a class, up to and with its "]".
  void class_content(int depth) {
    if (depth > nesting_max)
      return refuse("classes nested too deeply");
    for (bool first = true; !why_; first = false) {
      if (at_ >= source_.size())
        return refuse("a class without end");
      const char c = source_[at_];
      if (c == ']' && !first) {
        ++at_;
        return;
      }
      if (c == '\\') {
        escape(true);
      } else if (c == '&' && source_.substr(at_).starts_with("&&")) {
        return refuse("an intersection of classes (&&)");
      } else if (c == '[' && source_.substr(at_).starts_with("[:")) {
        return refuse("a POSIX class");
      } else if (c == '[') {
        ++at_;
        if (at_ < source_.size() && source_[at_] == '^')
          return refuse("a negated class inside a class");
        class_content(depth + 1);
      } else {
        if (c == ']')
          result_ += '\\';
        result_ += c;
        ++at_;
      }
    }
  }

  std::string_view source_;
  std::size_t at_ = 0;
  std::string result_;
  std::optional<std::string> why_;
};

} // namespace

expected<std::string, std::string> translate_regex(std::string_view oniguruma) { return translator{oniguruma}.run(); }

} // namespace troupe::text
