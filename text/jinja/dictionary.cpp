// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cmath>
#include <functional>

#include "text/jinja/operations.hpp"

namespace troupe::text::jinja {

namespace {

// Below this many entries a scan is quicker than an index.
constexpr std::uint32_t scanned_max = 8;

std::uint64_t mix(std::uint64_t h) {
  h ^= h >> 32;
  h *= 0x9e3779b97f4a7c15ULL;
  return h ^ (h >> 29);
}

} // namespace

std::uint64_t hash_of(runtime& rt, const value& v) {
  rt.charge();
  const depth_guard guard{rt};
  switch (v.type) {
    case kind::none: return 1;
    case kind::boolean:
    case kind::integer: return mix(static_cast<std::uint64_t>(v.as_integer()));
    case kind::real: // 1.0 and 1 are one key
      if (v.real == std::floor(v.real) && std::fabs(v.real) < 9.2e18)
        return mix(static_cast<std::uint64_t>(static_cast<std::int64_t>(v.real)));
      return mix(std::bit_cast<std::uint64_t>(v.real));
    case kind::string: rt.charge_bytes(v.size); return mix(std::hash<std::string_view>{}(v.text()));
    case kind::tuple: {
      std::uint64_t h = 7;
      for (const value& item : v.list())
        h = mix(h * 31 + hash_of(rt, item));
      return h;
    }
    case kind::undefined: return 2; // all of them are equal
    case kind::list:
    case kind::dict:
    case kind::view: rt.fail("a value of type " + std::string{type_name(v)} + " cannot be a key");
    case kind::range: return mix(static_cast<std::uint64_t>(v.range->size));
    default: return mix(reinterpret_cast<std::uintptr_t>(v.chars));
  }
}

bool dict_builder::insert(const value& key, const value& content) {
  rt_.charge();
  const auto same = [&](dict_entry& entry) {
    rt_.charge();
    return equal(rt_, entry.key, key);
  };
  if (entries_.size() < scanned_max) {
    hash_of(rt_, key); // fails on what cannot be a key
    for (auto& entry : entries_)
      if (same(entry))
        return entry.content = content, false;
    entries_.push({key, content});
    return true;
  }
  if (slots_.size() < entries_.size() * 2 + 2)
    rehash(static_cast<std::uint32_t>(std::bit_ceil(entries_.size() * 4)));
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash_of(rt_, key) & mask;; at = (at + 1) & mask) {
    if (slots_[at] == 0) {
      entries_.push({key, content});
      slots_[at] = static_cast<std::uint32_t>(entries_.size());
      return true;
    }
    if (auto& entry = entries_[slots_[at] - 1]; same(entry))
      return entry.content = content, false;
  }
}

void dict_builder::rehash(std::uint32_t slot_count) {
  slots_ = growing<std::uint32_t>{rt_.memory};
  slots_.reserve(slot_count);
  for (std::uint32_t i = 0; i < slot_count; ++i)
    slots_.push(0);
  const std::size_t mask = slot_count - 1;
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    std::size_t at = hash_of(rt_, entries_[i].key) & mask;
    while (slots_[at] != 0) {
      rt_.charge();
      at = (at + 1) & mask;
    }
    slots_[at] = i + 1;
  }
}

value dict_builder::finish() {
  value v = value::of(kind::dict);
  v.dict = rt_.memory.make<dictionary>(entries_.data(), static_cast<std::uint32_t>(entries_.size()), slots_.data(),
                                       static_cast<std::uint32_t>(slots_.size()));
  return v;
}

const value* find(runtime& rt, const dictionary& dict, const value& key) {
  if (dict.slots == nullptr) {
    hash_of(rt, key);
    for (std::uint32_t i = 0; i < dict.size; ++i)
      if (equal(rt, dict.entries[i].key, key))
        return &dict.entries[i].content;
    return nullptr;
  }
  const std::size_t mask = dict.slot_count - 1;
  for (std::size_t at = hash_of(rt, key) & mask; dict.slots[at] != 0; at = (at + 1) & mask) {
    rt.charge();
    const auto& entry = dict.entries[dict.slots[at] - 1];
    if (equal(rt, entry.key, key))
      return &entry.content;
  }
  return nullptr;
}

const value* find(runtime& rt, const dictionary& dict, std::string_view key) {
  return find(rt, dict, value::string(key));
}

} // namespace troupe::text::jinja
