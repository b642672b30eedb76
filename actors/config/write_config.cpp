// SPDX-License-Identifier: Apache-2.0
#include "actors/config/write_config.hpp"

#include "actors/config/syntax.hpp"

namespace troupe {

namespace {

using syntax::in_quotes;

class writer final : public field_visitor {
public:
  std::string run(node_config config) {
    section(config, {"troupe", ""});
    return std::move(text_);
  }

private:
  bool enter(field f) override {
    text_ += std::string{f.key} + " {\n";
    return true;
  }

  bool enter_role(field f, presence role) override { return role == presence::present && enter(f); }

  bool enter_further(field f, std::size_t, presence further) override {
    return further == presence::present && enter(f);
  }

  void leave() override { text_ += "}\n"; }

  void visit_integer(std::int64_t& x, field f, const integer_limits& limits) override {
    option(f, to_string(limits.what, x));
  }

  void visit_choice(std::size_t& index, field f, std::span<const std::string_view> names) override {
    option(f, in_quotes(names[index]));
  }

  void visit_text(std::string& x, field f, std::size_t) override { option(f, in_quotes(x)); }

  void visit_path(std::filesystem::path& x, field f, std::string_view) override { option(f, in_quotes(x.native())); }

  void visit_address(listen_address& x, field f) override { option(f, in_quotes(to_string(x))); }

  void visit_addresses(std::vector<listen_address>& x, field f) override {
    std::string shown;
    for (auto& address : x)
      shown += (shown.empty() ? "" : ", ") + in_quotes(to_string(address));
    option(f, "[" + shown + "]");
  }

  void option(field f, const std::string& value) { text_ += std::string{f.key} + " = " + value + "\n"; }

  std::string text_;
};

} // namespace

std::string write_config(const node_config& config) { return writer{}.run(config); }

} // namespace troupe
