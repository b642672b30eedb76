// SPDX-License-Identifier: Apache-2.0
// The global functions: Jinja's, and the two that transformers adds.
#include <array>
#include <ctime>
#include <locale.h>
#include <time.h>

#include "text/jinja/builtins.hpp"
#include "text/jinja/interpreter.hpp"

namespace troupe::text::jinja {

namespace {

value range(interpreter& in, const arguments& args) {
  constexpr std::uint64_t range_items_max = 100'000; // the sandbox's own limit
  auto& rt = in.rt();
  const bound_arguments bound{rt, "range", args, {"*start", "*stop", "*step"}, 1};
  std::int64_t start = 0;
  std::int64_t stop = expect_integer(rt, *bound[0], "the bound of 'range'");
  if (bound[1] != nullptr) {
    start = stop;
    stop = expect_integer(rt, *bound[1], "the bound of 'range'");
  }
  const std::int64_t step = bound[2] != nullptr ? expect_integer(rt, *bound[2], "the step of 'range'") : 1;
  if (step == 0)
    rt.fail("the step of 'range' cannot be zero");
  // Unsigned, so that no difference overflows.
  const auto distance = [](std::int64_t from, std::int64_t to) {
    return static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from);
  };
  std::uint64_t size = 0;
  if (step > 0 && start < stop)
    size = (distance(start, stop) - 1) / static_cast<std::uint64_t>(step) + 1;
  else if (step < 0 && start > stop)
    size = (distance(stop, start) - 1) / distance(step, 0) + 1;
  if (size > range_items_max)
    rt.fail_limit("the range's size", range_items_max);
  return make_range(rt, {start, stop, step, static_cast<std::int64_t>(size)});
}

/// The entries of dict(pairs or dict, name=value …), also namespace's.
value dict(interpreter& in, const arguments& args) {
  auto& rt = in.rt();
  dict_builder entries{rt};
  if (args.positional.size() > 1)
    rt.fail("'dict' takes not more than 1 argument");
  if (!args.positional.empty()) {
    const value& from = args.positional[0];
    if (from.is(kind::dict)) {
      for (std::uint32_t i = 0; i < from.dict->size; ++i)
        entries.insert(from.dict->entries[i].key, from.dict->entries[i].content);
    } else {
      for (const value& item : items_of(rt, from)) {
        const auto pair = items_of(rt, item);
        if (pair.size() != 2)
          rt.fail("'dict' takes pairs");
        entries.insert(pair[0], pair[1]);
      }
    }
  }
  for (const auto& keyword : args.named)
    entries.insert(value::string(keyword.name), keyword.content);
  return entries.finish();
}

value name_space_of(interpreter& in, const arguments& args) {
  auto& rt = in.rt();
  const value entries = dict(in, args);
  value v = value::of(kind::name_space);
  v.space = rt.memory.make<name_space>(growing<dict_entry>{rt.memory});
  for (std::uint32_t i = 0; i < entries.dict->size; ++i) {
    const auto& entry = entries.dict->entries[i];
    expect_string(rt, entry.key, "an attribute's name");
    v.space->attributes.push(entry);
  }
  return v;
}

value raise_exception(interpreter& in, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "raise_exception", args, {"message"}, 1};
  rt.fail(template_errc::refused, std::string{to_text(rt, *bound[0])});
}

/// Python's own additions to strftime, for a time without a zone.
std::string expand_format(std::string_view format) {
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    const char next = i + 1 < format.size() ? format[i + 1] : '\0';
    if (format[i] != '%' || next == '\0') {
      out += format[i];
      continue;
    }
    ++i;
    if (next == 'f')
      out += "000000";
    else if (next != 'z' && next != 'Z')
      out.append({'%', next});
  }
  return out;
}

std::tm calendar_of(std::chrono::local_seconds time) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date{day};
  const hh_mm_ss clock{time - day};
  std::tm out{};
  out.tm_year = static_cast<int>(date.year()) - 1900;
  out.tm_mon = static_cast<int>(static_cast<unsigned>(date.month())) - 1;
  out.tm_mday = static_cast<int>(static_cast<unsigned>(date.day()));
  out.tm_hour = static_cast<int>(clock.hours().count());
  out.tm_min = static_cast<int>(clock.minutes().count());
  out.tm_sec = static_cast<int>(clock.seconds().count());
  out.tm_wday = static_cast<int>(weekday{day}.c_encoding());
  out.tm_yday = static_cast<int>((day - local_days{date.year() / January / 1}).count());
  out.tm_isdst = -1;
  return out;
}

value strftime_now(interpreter& in, const arguments& args) {
  constexpr std::size_t format_bytes_max = 1024;
  auto& rt = in.rt();
  const bound_arguments bound{rt, "strftime_now", args, {"format"}, 1};
  const std::string_view format = expect_string(rt, *bound[0], "the format of 'strftime_now'");
  if (format.size() > format_bytes_max || format.find('\0') != std::string_view::npos)
    rt.fail("the format of 'strftime_now' is too long or holds a zero byte");
  const std::string expanded = expand_format(format);
  if (expanded.empty())
    return value::string({});
  static const locale_t c_locale = ::newlocale(LC_ALL_MASK, "C", nullptr); // the process's may be another
  const std::tm calendar = calendar_of(in.now());
  std::array<char, 16 * format_bytes_max> out{};
  const std::size_t size = ::strftime_l(out.data(), out.size(), expanded.c_str(), &calendar, c_locale);
  return make_string(rt, {out.data(), size});
}

value cycler(interpreter& in, const arguments& args) {
  auto& rt = in.rt();
  if (args.positional.empty() || !args.named.empty())
    rt.fail("'cycler' takes at least one item");
  value v = value::of(kind::cycler);
  v.cycle = rt.memory.make<cycle_state>(*make_list(rt, args.positional).items);
  return v;
}

value joiner(interpreter& in, const arguments& args) {
  auto& rt = in.rt();
  const bound_arguments bound{rt, "joiner", args, {"sep"}};
  const value separator[] = {bound[0] != nullptr ? *bound[0] : value::string(", ")};
  value v = value::of(kind::joiner);
  v.cycle = rt.memory.make<cycle_state>(*make_list(rt, separator).items);
  return v;
}

} // namespace

std::span<const function_entry> global_functions() {
  static const std::array<function_entry, 7> entries{{
    {"range", range},
    {"dict", dict},
    {"namespace", name_space_of},
    {"raise_exception", raise_exception},
    {"strftime_now", strftime_now},
    {"cycler", cycler},
    {"joiner", joiner},
  }};
  return entries;
}

} // namespace troupe::text::jinja
