// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdio>

#include "text/jinja/interpreter.hpp"
#include "text/jinja/operations.hpp"
#include "text/jinja/unicode.hpp"

namespace troupe::text::jinja {

namespace {

void append_escaped(text_builder& out, char32_t c) {
  std::array<char, 12> text{};
  const auto point = static_cast<unsigned>(c);
  const int n = c < 0x100     ? std::snprintf(text.data(), text.size(), "\\x%02x", point)
                : c < 0x10000 ? std::snprintf(text.data(), text.size(), "\\u%04x", point)
                              : std::snprintf(text.data(), text.size(), "\\U%08x", point);
  out += std::string_view{text.data(), static_cast<std::size_t>(n)};
}

void append_quoted(runtime& rt, text_builder& out, std::string_view text) {
  rt.charge_bytes(text.size() * 8);
  const bool double_quotes = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = double_quotes ? '"' : '\'';
  out += quote;
  for (std::size_t at = 0; at < text.size();) {
    const auto c = decode(text, at);
    const std::string_view bytes = text.substr(at, c.size);
    at += c.size;
    if (c.value == static_cast<unsigned char>(quote) || c.value == '\\') {
      out += '\\';
      out += bytes;
    } else if (c.value == '\n') {
      out += "\\n";
    } else if (c.value == '\r') {
      out += "\\r";
    } else if (c.value == '\t') {
      out += "\\t";
    } else if (!c.valid || !is_printable(c.value)) {
      append_escaped(out, c.value);
    } else {
      out += bytes;
    }
  }
  out += quote;
}

void append_items(runtime& rt, text_builder& out, std::span<const value> items) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i != 0)
      out += ", ";
    append_representation(rt, out, items[i]);
  }
}

void append_dict(runtime& rt, text_builder& out, std::span<const dict_entry> entries) {
  out += '{';
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (i != 0)
      out += ", ";
    append_representation(rt, out, entries[i].key);
    out += ": ";
    append_representation(rt, out, entries[i].content);
  }
  out += '}';
}

void append_view(runtime& rt, text_builder& out, const value& v) {
  switch (v.view->part) {
    case view_part::keys: out += "dict_keys(["; break;
    case view_part::values: out += "dict_values(["; break;
    case view_part::items: out += "dict_items(["; break;
  }
  append_items(rt, out, items_of(rt, v));
  out += "])";
}

void append_range(text_builder& out, const range_bounds& r) {
  out += "range(" + std::to_string(r.start) + ", " + std::to_string(r.stop);
  if (r.step != 1)
    out += ", " + std::to_string(r.step);
  out += ")";
}

void append_namespace(runtime& rt, text_builder& out, const name_space& space) {
  out += "<Namespace {";
  for (std::size_t i = 0; i < space.attributes.size(); ++i) {
    if (i != 0)
      out += ", ";
    append_representation(rt, out, space.attributes[i].key);
    out += ": ";
    append_representation(rt, out, space.attributes[i].content);
  }
  out += "}>";
}

} // namespace

void append_representation(runtime& rt, text_builder& out, const value& v) {
  rt.charge();
  const depth_guard guard{rt};
  switch (v.type) {
    case kind::undefined: out += "Undefined"; return;
    case kind::none: out += "None"; return;
    case kind::boolean: out += v.truth ? "True" : "False"; return;
    case kind::integer: out += std::to_string(v.integer); return;
    case kind::real: out += number_text(v.real); return;
    case kind::string:
      if (v.marked)
        out += "Markup(";
      append_quoted(rt, out, v.text());
      if (v.marked)
        out += ')';
      return;
    case kind::list:
      out += '[';
      append_items(rt, out, v.list());
      out += ']';
      return;
    case kind::tuple:
      out += '(';
      append_items(rt, out, v.list());
      out += v.items->size == 1 ? ",)" : ")";
      return;
    case kind::dict: return append_dict(rt, out, {v.dict->entries, v.dict->size});
    case kind::view: return append_view(rt, out, v);
    case kind::range: return append_range(out, *v.range);
    case kind::name_space: return append_namespace(rt, out, *v.space);
    case kind::macro:
      out += "<Macro ";
      append_quoted(rt, out, v.macro->node->name);
      out += '>';
      return;
    case kind::iterator:
    case kind::loop:
    case kind::method:
    case kind::function:
    case kind::cycler:
    case kind::joiner: // Python prints an address; there is nothing to be equal to
      out += '<';
      out += type_name(v);
      out += '>';
      return;
  }
}

std::string_view to_text(runtime& rt, const value& v) {
  if (v.is(kind::string))
    return v.text();
  if (v.is(kind::undefined))
    return {};
  text_builder out{rt.memory};
  append_representation(rt, out, v);
  return as_string(rt, out).text();
}

} // namespace troupe::text::jinja
