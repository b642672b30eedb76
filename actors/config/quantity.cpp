// SPDX-License-Identifier: Apache-2.0
#include "actors/config/quantity.hpp"

#include <array>
#include <span>

namespace troupe {

namespace {

struct unit {
  std::string_view name;
  std::int64_t scale;
};

// Smallest first: to_string takes the last that divides.
constexpr std::array time_units{unit{"ns", 1},
                                unit{"us", 1'000},
                                unit{"ms", 1'000'000},
                                unit{"s", 1'000'000'000},
                                unit{"min", 60'000'000'000},
                                unit{"h", 3'600'000'000'000}};
constexpr std::array byte_units{unit{"B", 1}, unit{"KiB", 1LL << 10}, unit{"MiB", 1LL << 20}, unit{"GiB", 1LL << 30},
                                unit{"TiB", 1LL << 40}};

std::span<const unit> units_of(dimension what) {
  switch (what) {
    case dimension::count: return {};
    case dimension::bytes: return byte_units;
    case dimension::time: return time_units;
  }
  return {};
}

} // namespace

std::int64_t unit_scale(dimension what, std::string_view name) {
  for (const unit& x : units_of(what))
    if (x.name == name)
      return x.scale;
  return 0;
}

std::string_view unit_names(dimension what) {
  switch (what) {
    case dimension::count: return "";
    case dimension::bytes: return "B, KiB, MiB, GiB, TiB";
    case dimension::time: return "ns, us, ms, s, min, h";
  }
  return "";
}

std::string to_string(dimension what, std::int64_t value) {
  const auto units = units_of(what);
  for (auto i = units.rbegin(); i != units.rend(); ++i)
    if (value != 0 && value % i->scale == 0)
      return std::to_string(value / i->scale) + std::string{i->name};
  if (what == dimension::time)
    return std::to_string(value) + "s"; // only zero comes here
  if (what == dimension::bytes)
    return std::to_string(value) + "B";
  return std::to_string(value);
}

} // namespace troupe
