// SPDX-License-Identifier: Apache-2.0
#include "actors/config/read_config.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <system_error>

#include "actors/config/nearest_key.hpp"
#include "actors/config/syntax.hpp"
#include "actors/config/validate.hpp"

namespace troupe {

namespace {

namespace fs = std::filesystem;

/// Sections that may be given several times: field_visitor's sections().
constexpr std::array<std::string_view, 1> repeatable_sections{"troupe.model"};

std::string joined(std::span<const std::string_view> words) {
  std::string result;
  for (std::string_view word : words)
    result += (result.empty() ? "" : ", ") + std::string{word};
  return result;
}

/// The i-th entry of that key, counted from 1.
const syntax::entry* nth_of(const syntax::map& map, std::string_view key, std::size_t i) {
  for (const syntax::entry& x : map.entries)
    if (x.key == key && --i == 0)
      return &x;
  return nullptr;
}

/// Fills a node_config from a parsed file. What is absent keeps its default.
class reader final : public field_visitor {
public:
  reader(const syntax::map& root, std::string file, std::vector<fault>& faults)
    : file_(std::move(file)), folder_(fs::path{file_}.parent_path()), faults_(faults) {
    levels_.push_back({&root, "", {}});
  }

  void read(node_config& into) {
    section(into, {"troupe", "The root."});
    report_unknown_keys();
  }

  /// Sections with keys that nothing knows: what is missing there may only be misspelt.
  const std::vector<std::string>& doubtful_sections() const { return doubtful_sections_; }

private:
  struct level {
    /// nullptr: the file has no such section, its fields keep their defaults.
    const syntax::map* map;
    std::string path;
    std::vector<std::string_view> known;
  };

  bool enter(field f) override {
    const syntax::entry* found = find(f.key);
    const syntax::map* map = nullptr;
    if (found != nullptr) {
      map = std::get_if<syntax::map>(&found->content.data);
      if (map == nullptr)
        report(f, found->content, "expected a section { … }, found " + std::string{kind_of(found->content)});
    }
    levels_.push_back({map, path_of(f), {}});
    return true;
  }

  bool enter_further(field f, std::size_t i, presence) override {
    const syntax::map* around = levels_.back().map;
    const syntax::entry* found = around == nullptr ? nullptr : nth_of(*around, f.key, i);
    if (found == nullptr)
      return false;
    levels_.push_back({std::get_if<syntax::map>(&found->content.data), // the parser repeats nothing else
                       path_of(f) + "[" + std::to_string(i) + "]",
                       {}});
    return true;
  }

  bool enter_role(field f, presence) override {
    if (levels_.back().map == nullptr || levels_.back().map->find(f.key) == nullptr) {
      levels_.back().known.push_back(f.key);
      return false;
    }
    return enter(f);
  }

  void leave() override {
    report_unknown_keys();
    levels_.pop_back();
  }

  void visit_integer(std::int64_t& x, field f, const integer_limits& limits) override {
    const syntax::entry* found = find(f.key);
    if (found == nullptr)
      return;
    const auto* number = std::get_if<syntax::number>(&found->content.data);
    if (number == nullptr)
      return report(f, found->content,
                    "expected " + expectation(limits) + ", found " + std::string{kind_of(found->content)});
    // 0 needs no unit; a size without one would be bytes to some and MiB to others, so it is refused.
    const bool plain =
      limits.what == dimension::count || (number->unit.empty() && number->is_integer && number->integer == 0);
    const std::int64_t scale = plain && number->unit.empty() ? 1 : unit_scale(limits.what, number->unit);
    if (scale == 0)
      return report(f, found->content, "expected " + expectation(limits) + ", found " + wrong_unit(*number));
    if (number->is_integer) {
      std::int64_t scaled = 0;
      if (__builtin_mul_overflow(number->integer, scale, &scaled) || scaled < limits.least || scaled > limits.most)
        return report_range(f, found->content, limits);
      x = scaled;
      return;
    }
    if (limits.what == dimension::count)
      return report(f, found->content, "expected a whole number");
    const double scaled = number->real * static_cast<double>(scale);
    if (!(scaled >= static_cast<double>(limits.least) && scaled <= static_cast<double>(limits.most)))
      return report_range(f, found->content, limits);
    x = static_cast<std::int64_t>(scaled);
  }

  void visit_choice(std::size_t& index, field f, std::span<const std::string_view> names) override {
    const std::string* text = find_string(f);
    if (text == nullptr)
      return;
    const auto i = std::find(names.begin(), names.end(), *text);
    if (i != names.end())
      index = static_cast<std::size_t>(i - names.begin());
    else
      report(f, find(f.key)->content, "'" + *text + "' is none of " + joined(names));
  }

  void visit_text(std::string& x, field f, std::size_t bytes_max) override {
    const std::string* text = find_string(f);
    if (text == nullptr)
      return;
    if (text->size() > bytes_max)
      report(f, find(f.key)->content, "longer than " + std::to_string(bytes_max) + " bytes");
    else
      x = *text;
  }

  void visit_path(fs::path& x, field f, std::string_view) override {
    const std::string* text = find_string(f);
    if (text == nullptr || text->empty())
      return;
    if (text->find('\0') != std::string::npos || text->size() > 4'095)
      return report(f, find(f.key)->content, "not a path");
    std::error_code code;
    x = fs::absolute(folder_ / *text, code).lexically_normal();
    if (code)
      report(f, find(f.key)->content, "cannot be resolved: " + code.message());
  }

  void visit_address(listen_address& x, field f) override {
    const std::string* text = find_string(f);
    if (text == nullptr)
      return;
    if (auto parsed = parse_listen_address(*text))
      x = std::move(*parsed);
    else
      report(f, find(f.key)->content,
             "expected an address and a port like \"127.0.0.1:8000\" or \"[::1]:8000\", found '" + *text + "'");
  }

  void visit_addresses(std::vector<listen_address>& x, field f) override {
    const syntax::entry* found = find(f.key);
    if (found == nullptr)
      return;
    const auto* list = std::get_if<syntax::list>(&found->content.data);
    if (list == nullptr)
      return report(f, found->content,
                    "expected a list like [\"127.0.0.1:7400\"], found " + std::string{kind_of(found->content)});
    x.clear();
    for (const syntax::value& element : *list) {
      const auto* text = std::get_if<std::string>(&element.data);
      const auto parsed = text == nullptr ? std::nullopt : parse_listen_address(*text);
      if (parsed && parsed->port != 0)
        x.push_back(*parsed);
      else
        report(f, element,
               "expected addresses and ports like \"127.0.0.1:7400\", found "
                 + (text == nullptr ? std::string{kind_of(element)} : "'" + *text + "'"));
    }
  }

  // nullptr: absent, or not a string, which is reported.
  const std::string* find_string(field f) {
    const syntax::entry* found = find(f.key);
    if (found == nullptr)
      return nullptr;
    const auto* text = std::get_if<std::string>(&found->content.data);
    if (text == nullptr)
      report(f, found->content, "expected a string in quotes, found " + std::string{kind_of(found->content)});
    return text;
  }

  const syntax::entry* find(std::string_view key) {
    level& now = levels_.back();
    if (std::find(now.known.begin(), now.known.end(), key) == now.known.end())
      now.known.push_back(key);
    return now.map == nullptr ? nullptr : now.map->find(key);
  }

  void report_unknown_keys() {
    const level& now = levels_.back();
    if (now.map == nullptr)
      return;
    for (const syntax::entry& x : now.map->entries) {
      if (std::find(now.known.begin(), now.known.end(), x.key) != now.known.end())
        continue;
      const std::string_view nearest = nearest_key(x.key, now.known);
      report({x.key, ""}, x.content,
             nearest.empty() ? "unknown key; known here: " + joined(now.known)
                             : "unknown key; did you mean " + std::string{nearest} + "?");
      doubtful_sections_.push_back(now.path);
    }
  }

  static std::string expectation(const integer_limits& limits) {
    switch (limits.what) {
      case dimension::count: return "a number";
      case dimension::bytes:
        return "a size like " + to_string(limits.what, limits.most) + " (units: " + std::string{unit_names(limits.what)}
               + ")";
      case dimension::time: return "a time like 10s (units: " + std::string{unit_names(limits.what)} + ")";
    }
    return "";
  }

  static std::string wrong_unit(const syntax::number& x) {
    return x.unit.empty() ? "a number without unit" : "the unit '" + x.unit + "'";
  }

  void report_range(field f, const syntax::value& at, const integer_limits& limits) {
    report(f, at,
           "out of range; allowed are " + to_string(limits.what, limits.least) + " to "
             + to_string(limits.what, limits.most));
  }

  std::string path_of(field f) const {
    const std::string& path = levels_.back().path;
    return path.empty() ? std::string{f.key} : path + "." + std::string{f.key};
  }

  void report(field f, const syntax::value& at, std::string message) {
    if (faults_.size() < 2 * syntax::faults_max)
      faults_.push_back({file_, at.line, path_of(f), std::move(message)});
  }

  std::string file_;
  fs::path folder_;
  std::vector<fault>& faults_;
  std::vector<level> levels_;
  std::vector<std::string> doubtful_sections_;
};

// The line of the key, or of the innermost section around it that the file has.
int line_of(const syntax::map& root, std::string_view key) {
  int line = 1;
  const syntax::map* map = &root;
  while (map != nullptr && !key.empty()) {
    const auto dot = key.find('.');
    std::string_view name = key.substr(0, dot);
    std::size_t i = 1; // name[i]
    if (const auto bracket = name.find('['); bracket != std::string_view::npos) {
      std::from_chars(name.data() + bracket + 1, name.data() + name.size(), i);
      name = name.substr(0, bracket);
    }
    const syntax::entry* found = nth_of(*map, name, i);
    if (found == nullptr)
      break;
    line = found->content.line;
    map = std::get_if<syntax::map>(&found->content.data);
    key = dot == std::string_view::npos ? "" : key.substr(dot + 1);
  }
  return line;
}

bool has_fault_at(const std::vector<fault>& faults, std::string_view key) {
  return std::any_of(faults.begin(), faults.end(), [key](const fault& x) { return x.key == key; });
}

// Whether the key is the section's or lies in it.
bool is_within(std::string_view key, std::string_view section) {
  return section.empty() || key == section
         || (key.starts_with(section) && (key[section.size()] == '.' || key[section.size()] == '['));
}

// A value that could not be read must not lead to a second fault, about its absence or its default.
bool follows_from(const objection& x, const std::vector<fault>& faults, const std::vector<std::string>& doubtful) {
  if (x.what == objection::kind::wrong)
    return has_fault_at(faults, x.key) || (!x.compared_with.empty() && has_fault_at(faults, x.compared_with));
  return has_fault_at(faults, x.key) || std::any_of(doubtful.begin(), doubtful.end(), [&x](const auto& section) {
           return is_within(x.key, section);
         });
}

std::vector<fault> one_fault(const fs::path& file, std::string message) {
  return {{file.string(), 0, "", std::move(message)}};
}

} // namespace

expected<node_config, std::vector<fault>> read_config_text(std::string_view text, const fs::path& name) {
  syntax::document document = syntax::parse(text, name.string(), repeatable_sections);
  std::vector<fault> faults = std::move(document.faults);
  std::vector<std::string> doubtful;
  for (const fault& x : faults)
    doubtful.push_back(x.key.substr(0, x.key.find_last_of('.') == std::string::npos ? 0 : x.key.find_last_of('.')));
  node_config result;
  reader reading{document.root, name.string(), faults};
  reading.read(result);
  doubtful.insert(doubtful.end(), reading.doubtful_sections().begin(), reading.doubtful_sections().end());
  std::vector<fault> objections;
  for (objection& x : validate(result))
    if (!follows_from(x, faults, doubtful))
      objections.push_back({name.string(), line_of(document.root, x.key), x.key, std::move(x.message)});
  faults.insert(faults.end(), objections.begin(), objections.end());
  if (faults.empty())
    return result;
  std::stable_sort(faults.begin(), faults.end(), [](const fault& a, const fault& b) { return a.line < b.line; });
  return unexpected{std::move(faults)};
}

expected<node_config, std::vector<fault>> read_config(const fs::path& file) {
  std::error_code code;
  const auto status = fs::status(file, code);
  if (status.type() == fs::file_type::not_found)
    return unexpected{one_fault(file, "there is no such file")};
  if (code || !fs::is_regular_file(status))
    return unexpected{one_fault(file, code ? code.message() : "is not a file")};
  std::ifstream in{file, std::ios::binary};
  if (!in.is_open())
    return unexpected{one_fault(file, "cannot be opened")};
  std::string text(syntax::file_bytes_max + 1, '\0'); // one more, so that a larger file shows as such
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad())
    return unexpected{one_fault(file, "cannot be read")};
  text.resize(static_cast<std::size_t>(in.gcount()));
  return read_config_text(text, file);
}

} // namespace troupe
