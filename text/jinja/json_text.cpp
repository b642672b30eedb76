// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "text/jinja/operations.hpp"
#include "text/jinja/unicode.hpp"

namespace troupe::text::jinja {

namespace {

/// Python's json.dumps.
class json_writer {
public:
  json_writer(runtime& rt, text_builder& out, const json_format& format) : rt_(rt), out_(out), format_(format) {}

  void write(const value& v) {
    rt_.charge();
    const depth_guard guard{rt_};
    switch (v.type) {
      case kind::none: out_ += "null"; return;
      case kind::boolean: out_ += v.truth ? "true" : "false"; return;
      case kind::integer: out_ += std::to_string(v.integer); return;
      case kind::real: out_ += number(v.real); return;
      case kind::string: return write_string(v.text());
      case kind::list:
      case kind::tuple: return write_list(v.list());
      case kind::dict: return write_dict(*v.dict);
      default: rt_.fail("a value of type " + std::string{type_name(v)} + " has no JSON form");
    }
  }

private:
  static std::string number(double x) {
    if (std::isnan(x))
      return "NaN";
    if (std::isinf(x))
      return x < 0 ? "-Infinity" : "Infinity";
    return number_text(x);
  }

  void write_unit(unsigned unit) {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "\\u%04x", unit);
    out_ += text.data();
  }

  void write_ascii(char32_t c) {
    if (c >= 0x10000) {
      write_unit(0xd800 + static_cast<unsigned>((c - 0x10000) >> 10));
      c = 0xdc00 + ((c - 0x10000) & 0x3ff);
    }
    write_unit(static_cast<unsigned>(c));
  }

  void write_string(std::string_view text) {
    rt_.charge_bytes(text.size());
    out_ += '"';
    for (std::size_t at = 0; at < text.size();) {
      const char c = text[at];
      if (static_cast<unsigned char>(c) >= 0x80) {
        const auto point = decode(text, at);
        if (format_.ascii)
          write_ascii(point.value);
        else
          out_ += text.substr(at, point.size);
        at += point.size;
        continue;
      }
      ++at;
      switch (c) {
        case '"': out_ += "\\\""; break;
        case '\\': out_ += "\\\\"; break;
        case '\n': out_ += "\\n"; break;
        case '\r': out_ += "\\r"; break;
        case '\t': out_ += "\\t"; break;
        case '\f': out_ += "\\f"; break;
        case '\b': out_ += "\\b"; break;
        default:
          if (static_cast<unsigned char>(c) < 0x20)
            write_unit(static_cast<unsigned char>(c));
          else
            out_ += c;
      }
    }
    out_ += '"';
  }

  void new_line() {
    if (!format_.indent)
      return;
    out_ += '\n';
    for (std::uint32_t i = 0; i < level_; ++i)
      out_ += *format_.indent;
  }

  void separate(bool first) {
    if (!first)
      out_ += format_.item_separator;
    new_line();
  }

  void write_list(std::span<const value> items) {
    if (items.empty()) {
      out_ += "[]";
      return;
    }
    out_ += '[';
    ++level_;
    for (std::size_t i = 0; i < items.size(); ++i) {
      separate(i == 0);
      write(items[i]);
    }
    --level_;
    new_line();
    out_ += ']';
  }

  void write_key(const value& key) {
    switch (key.type) {
      case kind::string: return write_string(key.text());
      case kind::none: return write_string("null");
      case kind::boolean: return write_string(key.truth ? "true" : "false");
      case kind::integer: return write_string(std::to_string(key.integer));
      case kind::real: return write_string(number(key.real));
      default: rt_.fail("a key of type " + std::string{type_name(key)} + " has no JSON form");
    }
  }

  void write_dict(const dictionary& dict) {
    if (dict.size == 0) {
      out_ += "{}";
      return;
    }
    std::span<const dict_entry> entries{dict.entries, dict.size};
    if (format_.sorted) {
      dict_entry* copy = rt_.memory.allocate_array<dict_entry>(dict.size);
      std::copy(entries.begin(), entries.end(), copy);
      std::stable_sort(copy, copy + dict.size,
                       [this](const dict_entry& a, const dict_entry& b) { return less(rt_, a.key, b.key); });
      entries = {copy, dict.size};
    }
    out_ += '{';
    ++level_;
    bool first = true;
    for (const auto& entry : entries) {
      separate(first);
      first = false;
      write_key(entry.key);
      out_ += format_.key_separator;
      write(entry.content);
    }
    --level_;
    new_line();
    out_ += '}';
  }

  runtime& rt_;
  text_builder& out_;
  const json_format& format_;
  std::uint32_t level_ = 0;
};

} // namespace

void append_json(runtime& rt, text_builder& out, const value& v, const json_format& format) {
  json_writer{rt, out, format}.write(v);
}

} // namespace troupe::text::jinja
