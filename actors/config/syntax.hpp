// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "actors/config/fault.hpp"

namespace troupe::syntax {

/// Bounds of a configuration file.
constexpr std::size_t file_bytes_max = 1 << 20;
constexpr int depth_max = 32;
/// Entries of one map and elements of one list.
constexpr std::size_t entries_max = 1'024;
/// More faults than a person reads; parsing ends there.
constexpr std::size_t faults_max = 100;

struct entry;
struct value;

/// 12, -3, 0.5, 10s, 1GiB: the digits and the letters that follow without a space.
struct number {
  double real = 0;
  /// Meaningless unless is_integer.
  std::int64_t integer = 0;
  bool is_integer = false;
  std::string unit;
};

using list = std::vector<value>;

struct map {
  std::vector<entry> entries;
  /// The line of its `{`; 0 if only dotted keys made it.
  int opened_line = 0;

  /// The first of that key.
  const entry* find(std::string_view key) const;
};

struct value {
  int line = 0;
  std::variant<bool, number, std::string, list, map> data;
};

struct entry {
  std::string key;
  value content;
};

/// The text as a string of the syntax, quotes included.
std::string in_quotes(std::string_view text);

/// "a string", "a number", … for messages.
std::string_view kind_of(const value&);

struct document {
  map root;
  std::vector<fault> faults;
};

/// Parses CAF's configuration syntax: `key = value` or `key { … }`, entries separated by new lines or
/// commas, dotted keys, # comments; values are true, false, numbers with an optional unit, "strings" or
/// 'strings', [lists] and maps. After a syntax error it goes on at the next line, so that one run finds
/// all faults; `root` holds what could be read. `name` is the file's name in faults. A key is given once, but for
/// sections whose full dotted keys are in `repeatable`: each `key { … }` is an entry then, and dotted keys add to the
/// first.
document parse(std::string_view text, std::string_view name, std::span<const std::string_view> repeatable = {});

} // namespace troupe::syntax
