// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "actors/config/address.hpp"
#include "actors/config/quantity.hpp"

namespace troupe {

/// Times in configurations; converts to the duration of any clock.
using config_time = std::chrono::nanoseconds;

/// What a configuration file and its reader call an option.
struct field {
  std::string_view key;
  /// One or two sentences, for reference.conf.
  std::string_view sentence;
};

/// Both ends are allowed.
template <class T>
struct range {
  T least;
  T most;
};

struct integer_limits {
  dimension what = dimension::count;
  std::int64_t least = 0;
  std::int64_t most = 0;
};

/// Walks over the options of a node, each declared once, in a describe() function beside its struct
/// (node_config.hpp). The reader, and the writers of files and of reference.conf, are visitors.
///
/// A describe() calls the public members: one per option, in the order of reference.conf.
class field_visitor {
public:
  virtual ~field_visitor() = default;

  /// A map of options that is always in force.
  template <class Section>
  void section(Section& x, field f) {
    if (enter(f)) {
      describe(*this, x);
      leave();
    }
  }

  /// A map of options that may be given several times; the first is always in force.
  template <class Section>
  void sections(Section& first, std::vector<Section>& further, field f) {
    section(first, f);
    for (std::size_t i = 0; enter_further(f, i + 2, i < further.size() ? presence::present : presence::absent); ++i) {
      if (i == further.size())
        further.emplace_back();
      describe(*this, further[i]);
      leave();
    }
  }

  /// A map of options whose presence in the file makes the node run that role. Absent, it gets its defaults if the
  /// visitor enters it.
  template <class Section>
  void role(std::optional<Section>& x, field f) {
    if (!enter_role(f, x ? presence::present : presence::absent))
      return;
    if (!x)
      x.emplace();
    describe(*this, *x);
    leave();
  }

  template <std::integral Integer>
  void count(Integer& x, field f, range<std::int64_t> allowed) {
    std::int64_t value = static_cast<std::int64_t>(x);
    visit_integer(value, f, {dimension::count, allowed.least, allowed.most});
    x = static_cast<Integer>(value);
  }

  void bytes(std::uint64_t& x, field f, range<std::uint64_t> allowed) {
    auto value = static_cast<std::int64_t>(x);
    visit_integer(
      value, f, {dimension::bytes, static_cast<std::int64_t>(allowed.least), static_cast<std::int64_t>(allowed.most)});
    x = static_cast<std::uint64_t>(value);
  }

  void time(config_time& x, field f, range<config_time> allowed) {
    std::int64_t value = x.count();
    visit_integer(value, f, {dimension::time, allowed.least.count(), allowed.most.count()});
    x = config_time{value};
  }

  /// `names[i]` is how the enumerator of value i is written.
  template <class Enum>
    requires std::is_enum_v<Enum>
  void choice(Enum& x, field f, std::initializer_list<std::string_view> names) {
    auto index = static_cast<std::size_t>(x);
    visit_choice(index, f, {names.begin(), names.size()});
    x = static_cast<Enum>(index);
  }

  /// The first of `names` is how nothing is written, the one after `names[i]` the enumerator of value i.
  template <class Enum>
    requires std::is_enum_v<Enum>
  void choice(std::optional<Enum>& x, field f, std::span<const std::string_view> names) {
    auto index = x ? static_cast<std::size_t>(*x) + 1 : 0;
    visit_choice(index, f, names);
    x = index == 0 ? std::nullopt : std::optional{static_cast<Enum>(index - 1)};
  }

  void text(std::string& x, field f, std::size_t bytes_max) { visit_text(x, f, bytes_max); }

  /// Relative paths are relative to the file's folder. `example` stands in reference.conf if there is no default.
  void path(std::filesystem::path& x, field f, std::string_view example) { visit_path(x, f, example); }

  void address(listen_address& x, field f) { visit_address(x, f); }
  void addresses(std::vector<listen_address>& x, field f) { visit_addresses(x, f); }

protected:
  enum class presence : std::uint8_t { absent, present };

private:
  // Whether to walk over the section; if so, leave() follows.
  virtual bool enter(field) = 0;
  virtual bool enter_role(field, presence) = 0;
  // Whether there is an i-th map of that key, counted from 1; if so, leave() follows.
  virtual bool enter_further(field, std::size_t i, presence) = 0;
  virtual void leave() = 0;
  virtual void visit_integer(std::int64_t&, field, const integer_limits&) = 0;
  virtual void visit_choice(std::size_t& index, field, std::span<const std::string_view> names) = 0;
  virtual void visit_text(std::string&, field, std::size_t bytes_max) = 0;
  virtual void visit_path(std::filesystem::path&, field, std::string_view example) = 0;
  virtual void visit_address(listen_address&, field) = 0;
  virtual void visit_addresses(std::vector<listen_address>&, field) = 0;
};

} // namespace troupe
