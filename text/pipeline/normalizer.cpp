// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/normalizer.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include <utf8proc.h>

#include "text/pipeline/character_table.hpp"
#include "text/unicode.hpp"

namespace troupe::text {

namespace {

struct form_properties {
  character_table::flags unsafe;
  int options;
};

form_properties properties_of(normal_form form) {
  switch (form) {
    case normal_form::nfc: return {character_table::nfc_unsafe, UTF8PROC_COMPOSE};
    case normal_form::nfd: return {character_table::nfd_unsafe, UTF8PROC_DECOMPOSE};
    case normal_form::nfkc: return {character_table::nfkc_unsafe, UTF8PROC_COMPOSE | UTF8PROC_COMPAT};
    case normal_form::nfkd: break;
  }
  return {character_table::nfkd_unsafe, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT};
}

/// A piece of a text that is normalized by itself: what comes before and behind cannot change it.
struct unsafe_piece {
  std::size_t begin;
  std::size_t end;
};

/// Where the character that ends before `end` begins, but not before `from`; `end` itself if the bytes are not UTF-8.
std::size_t begin_of_last(std::string_view text, std::size_t from, std::size_t end) {
  for (std::size_t bytes = 1; bytes <= std::min<std::size_t>(4, end - from); ++bytes) {
    const auto c = read_char(text.substr(0, end), end - bytes);
    if (c.state == utf8_state::valid && c.bytes == bytes)
      return end - bytes;
  }
  return end;
}

/// The first such piece at `from` or behind; empty and at the end of the text if there is none.
unsafe_piece find_unsafe(std::string_view text, std::size_t from, character_table::flags unsafe) {
  const auto& table = character_table::get();
  const auto& leads = table.unsafe_leads(unsafe);
  const auto may_be_unsafe = [&](std::size_t at) { return leads[static_cast<std::uint8_t>(text[at])]; };
  const auto is_unsafe = [&](const utf8_char& c) {
    return c.state == utf8_state::valid && (table.of(c.code_point) & unsafe) != 0;
  };
  for (auto at = from; at < text.size();) {
    // Most texts have no such byte for long.
    for (; text.size() - at >= 8; at += 8)
      if ((may_be_unsafe(at) | may_be_unsafe(at + 1) | may_be_unsafe(at + 2) | may_be_unsafe(at + 3)
           | may_be_unsafe(at + 4) | may_be_unsafe(at + 5) | may_be_unsafe(at + 6) | may_be_unsafe(at + 7))
          != 0)
        break;
    while (at < text.size() && may_be_unsafe(at) == 0)
      ++at;
    if (at == text.size())
      break;
    auto c = read_char(text, at);
    if (!is_unsafe(c)) {
      at += c.bytes;
      continue;
    }
    const auto begin = begin_of_last(text, from, at);
    do
      at += c.bytes;
    while (at < text.size() && is_unsafe(c = read_char(text, at)));
    return {begin, at};
  }
  return {text.size(), text.size()};
}

/// utf8proc's normal form of a piece of well-formed text.
void append_normal_form(std::string& result, std::string_view piece, int options) {
  utf8proc_uint8_t* mapped = nullptr;
  const auto bytes =
    utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(piece.data()), static_cast<utf8proc_ssize_t>(piece.size()),
                 &mapped, static_cast<utf8proc_option_t>(options | UTF8PROC_STABLE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner{mapped, &std::free};
  if (bytes < 0)
    result += piece; // out of memory, or not the text that find_unsafe saw
  else
    result.append(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(bytes));
}

/// `map` of each well-formed character, with the bytes that it has been read from.
template <class Map>
std::string mapped(std::string_view text, Map map) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto c = read_char(text, at);
    const auto bytes = text.substr(at, c.bytes);
    if (c.state == utf8_state::valid)
      map(result, c.code_point, bytes);
    else
      result += bytes;
    at += c.bytes;
  }
  return result;
}

std::string lower_case(std::string_view text) {
  return mapped(text, [](std::string& result, char32_t c, std::string_view) {
    // The one character whose small form is two, whatever stands around it.
    if (c == 0x130)
      result += "i\u0307";
    else
      result += to_utf8(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  });
}

std::string without_marks(std::string_view text) {
  const auto& table = character_table::get();
  return mapped(text, [&table](std::string& result, char32_t c, std::string_view bytes) {
    if ((table.of(c) & character_table::mark) == 0)
      result += bytes;
  });
}

constexpr bool nmt_drops(char32_t c) {
  return (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
}

constexpr bool nmt_spaces(char32_t c) {
  return c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028
         || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
}

std::string nmt_text(std::string_view text) {
  return mapped(text, [](std::string& result, char32_t c, std::string_view bytes) {
    if (!nmt_drops(c))
      result += nmt_spaces(c) ? std::string_view{" "} : bytes;
  });
}

std::string_view stripped(std::string_view text, const normalize::strip& which) {
  std::size_t begin = text.size();
  std::size_t end = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto c = read_char(text, at);
    if (c.state != utf8_state::valid || !is_white_space(c.code_point)) {
      begin = std::min(begin, at);
      end = at + c.bytes;
    }
    at += c.bytes;
  }
  begin = which.left ? begin : 0;
  end = which.right ? end : text.size();
  return begin < end ? text.substr(begin, end - begin) : std::string_view{};
}

} // namespace

std::string_view to_normal_form(std::string_view text, normal_form form, std::string& buffer) {
  const auto [unsafe, options] = properties_of(form);
  auto piece = find_unsafe(text, 0, unsafe);
  if (piece.begin == text.size())
    return text;
  std::string result;
  result.reserve(text.size() + text.size() / 8);
  std::size_t at = 0;
  while (piece.begin != text.size()) {
    result += text.substr(at, piece.begin - at);
    append_normal_form(result, text.substr(piece.begin, piece.end - piece.begin), options);
    at = piece.end;
    piece = find_unsafe(text, at, unsafe);
  }
  result += text.substr(at);
  buffer = std::move(result);
  return buffer;
}

std::optional<std::string> replaced(std::string_view text, const pattern_matcher& pattern, std::string_view content,
                                    std::size_t bytes_max) {
  std::string result;
  result.reserve(text.size() + text.size() / 2);
  std::size_t at = 0;
  for (auto hit = pattern.find(text, at); hit; hit = pattern.find(text, at)) {
    result.append(text.substr(at, hit->begin - at)).append(content);
    at = hit->end;
    if (result.size() > bytes_max)
      return std::nullopt;
  }
  result.append(text.substr(at));
  if (result.size() > bytes_max)
    return std::nullopt;
  return result;
}

expected<normalizer, error> normalizer::make(const std::vector<normalizer_step>& steps) {
  normalizer result;
  for (const auto& s : steps) {
    const auto refused = [&](const std::string& why) {
      return fail(errc::resource, "normalizer, step " + std::to_string(result.steps_.size()) + ": " + why);
    };
    if (const auto* r = std::get_if<normalize::replace>(&s)) {
      auto pattern = pattern_matcher::make(r->pattern);
      if (!pattern)
        return refused(pattern.error());
      result.steps_.emplace_back(replace{std::move(*pattern), r->content});
    } else if (const auto* c = std::get_if<normalize::charsmap>(&s)) {
      auto table = charsmap::make(c->bytes);
      if (!table)
        return refused(table.error());
      result.steps_.emplace_back(std::move(*table));
    } else {
      std::visit(
        [&](const auto& other) {
          if constexpr (std::is_constructible_v<step, decltype(other)>)
            result.steps_.emplace_back(other);
        },
        s);
    }
  }
  return result;
}

std::optional<std::string_view> normalizer::apply(std::string_view text, std::string& buffer,
                                                  text_growth& growth) const {
  struct applier {
    std::string_view text;
    std::string& buffer;
    text_growth& growth;

    std::string_view keep(std::string changed) {
      buffer = std::move(changed);
      return buffer;
    }
    /// What a step gave up because it became too long is nothing.
    std::string_view keep(std::optional<std::string> changed) {
      if (changed)
        return keep(*std::move(changed));
      growth.exceed();
      return {};
    }
    std::size_t bytes_max() const { return growth.most_of(text.size()); }
    std::string_view operator()(const normalize::unicode& u) { return to_normal_form(text, u.form, buffer); }
    std::string_view operator()(const normalize::lowercase&) { return keep(lower_case(text)); }
    std::string_view operator()(const normalize::strip_accents&) { return keep(without_marks(text)); }
    std::string_view operator()(const replace& r) { return keep(replaced(text, r.pattern, r.content, bytes_max())); }
    std::string_view operator()(const normalize::prepend& p) {
      return text.empty() ? text : keep(p.text + std::string{text});
    }
    std::string_view operator()(const normalize::strip& s) { return stripped(text, s); }
    std::string_view operator()(const normalize::nmt&) { return keep(nmt_text(text)); }
    std::string_view operator()(const charsmap& c) { return keep(c.apply(text, bytes_max())); }
  };
  for (const auto& s : steps_) {
    const auto before = text.size();
    text = std::visit(applier{text, buffer, growth}, s);
    if (!growth.allow(before, text.size()))
      return std::nullopt;
  }
  return text;
}

} // namespace troupe::text
