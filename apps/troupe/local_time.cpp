// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/local_time.hpp"

#include <charconv>
#include <ctime>

namespace troupe {

namespace {

using namespace std::chrono;

/// Takes fixed-width numbers and separators off the front of a text.
class scanner {
public:
  explicit scanner(std::string_view text) : text_(text) {}

  bool number(std::size_t digits, int& into) {
    if (text_.size() < digits || text_.front() == '-')
      return false;
    const auto [end, code] = std::from_chars(text_.data(), text_.data() + digits, into);
    const bool whole = code == std::errc{} && end == text_.data() + digits;
    text_.remove_prefix(digits);
    return whole;
  }

  bool one_of(std::string_view separators) {
    if (text_.empty() || separators.find(text_.front()) == std::string_view::npos)
      return false;
    text_.remove_prefix(1);
    return true;
  }

  bool done() const { return text_.empty(); }

private:
  std::string_view text_;
};

local_seconds seconds_of(const year_month_day& date, int h, int m, int s) {
  return local_days{date} + hours{h} + minutes{m} + seconds{s};
}

} // namespace

std::optional<local_seconds> parse_local_time(std::string_view text) {
  scanner scan{text};
  int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0;
  if (!scan.number(4, y) || !scan.one_of("-") || !scan.number(2, mo) || !scan.one_of("-") || !scan.number(2, d))
    return std::nullopt;
  if (!scan.done() && (!scan.one_of("T ") || !scan.number(2, h) || !scan.one_of(":") || !scan.number(2, mi)))
    return std::nullopt;
  if (!scan.done() && (!scan.one_of(":") || !scan.number(2, s)))
    return std::nullopt;
  const year_month_day date{year{y}, month{static_cast<unsigned>(mo)}, day{static_cast<unsigned>(d)}};
  if (!scan.done() || !date.ok() || h > 23 || mi > 59 || s > 59)
    return std::nullopt;
  return seconds_of(date, h, mi, s);
}

local_seconds local_time_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  const year_month_day date{year{parts.tm_year + 1900}, month{static_cast<unsigned>(parts.tm_mon + 1)},
                            day{static_cast<unsigned>(parts.tm_mday)}};
  return seconds_of(date, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

} // namespace troupe
