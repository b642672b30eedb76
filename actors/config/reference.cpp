// SPDX-License-Identifier: Apache-2.0
#include "actors/config/reference.hpp"

#include <algorithm>

#include "actors/config/node_config.hpp"
#include "actors/config/syntax.hpp"

namespace troupe {

namespace {

constexpr std::size_t line_width = 110;

using syntax::in_quotes;

class writer final : public field_visitor {
public:
  std::string run() {
    comment(
      "Every option of a node, with its default. Written by `troupe check --reference`; a test compares it with the "
      "program. Relative paths are relative to this file.");
    node_config defaults;
    section(defaults, {"troupe", "The root of every configuration."});
    return std::move(text_);
  }

private:
  bool enter(field f) override {
    line("");
    comment(f.sentence);
    open(f);
    return true;
  }

  bool enter_role(field f, presence) override {
    line("");
    comment(std::string{f.sentence} + " A node runs this role if the section is present, even if empty.");
    open(f);
    return true;
  }

  bool enter_further(field, std::size_t, presence) override { return false; }

  void leave() override {
    indent_ -= 2;
    line("}");
  }

  void visit_integer(std::int64_t& x, field f, const integer_limits& limits) override {
    const auto shown = [&limits](std::int64_t value) { return to_string(limits.what, value); };
    option(f, "From " + shown(limits.least) + " to " + shown(limits.most) + ".", shown(x));
  }

  void visit_choice(std::size_t& index, field f, std::span<const std::string_view> names) override {
    std::string allowed;
    for (std::string_view name : names)
      allowed += (allowed.empty() ? "" : ", ") + in_quotes(name);
    option(f, "One of: " + allowed + ".", in_quotes(names[index]));
  }

  void visit_text(std::string& x, field f, std::size_t) override { option(f, "", in_quotes(x)); }

  void visit_path(std::filesystem::path& x, field f, std::string_view example) override {
    option(f, "", in_quotes(x.empty() ? example : std::string_view{x.native()}));
  }

  void visit_address(listen_address& x, field f) override { option(f, "", in_quotes(to_string(x))); }

  void visit_addresses(std::vector<listen_address>& x, field f) override {
    std::string shown;
    for (auto& address : x)
      shown += (shown.empty() ? "" : ", ") + in_quotes(to_string(address));
    option(f, "", "[" + shown + "]");
  }

  void option(field f, const std::string& bounds, const std::string& value) {
    comment(std::string{f.sentence} + (bounds.empty() ? "" : " " + bounds));
    line(std::string{f.key} + " = " + value);
  }

  void open(field f) {
    line(std::string{f.key} + " {");
    indent_ += 2;
  }

  // Wrapped at words.
  void comment(std::string_view sentence) {
    std::string now = "#";
    while (!sentence.empty()) {
      const std::string_view word = sentence.substr(0, sentence.find(' '));
      sentence.remove_prefix(std::min(sentence.size(), word.size() + 1));
      if (indent_ + now.size() + 1 + word.size() > line_width) {
        line(now);
        now = "#";
      }
      now += " " + std::string{word};
    }
    line(now);
  }

  void line(std::string_view content) {
    text_ += (content.empty() ? "" : std::string(indent_, ' ')) + std::string{content} + "\n";
  }

  std::size_t indent_ = 0;
  std::string text_;
};

} // namespace

std::string reference_config() { return writer{}.run(); }

} // namespace troupe
