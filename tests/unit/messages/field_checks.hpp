// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/pfr/core.hpp>
#include <caf/actor_control_block.hpp>
#include <caf/string_view.hpp>

namespace troupe::test {

/// An inspector that only counts the fields which an inspect() names.
class field_counter {
public:
  static constexpr bool is_loading = false;

  std::size_t count() const { return count_; }

  template <class T>
  field_counter& object(T&) {
    return *this;
  }
  template <class T>
  int field(caf::string_view, T&) {
    return 0;
  }
  template <class... Fields>
  bool fields(Fields...) {
    count_ = sizeof...(Fields);
    return true;
  }
  /// A strong id is its value.
  template <class T>
  bool apply(T&) {
    count_ = 1;
    return true;
  }

private:
  std::size_t count_ = 0;
};

template <class T>
void find_unfilled(const T& x, const T& unfilled, const std::string& path, std::vector<std::string>& found);

template <class T, std::size_t... Is>
void find_unfilled_fields(const T& x, const T& unfilled, const std::string& path, std::vector<std::string>& found,
                          std::index_sequence<Is...>) {
  (find_unfilled(boost::pfr::get<Is>(x), boost::pfr::get<Is>(unfilled), path + "." + std::to_string(Is), found), ...);
}

/// Appends what is wrong with a sample: a field that has its default value, so that bytes would not show
/// where it is, a vector of fewer than two entries, or a field that inspect() forgot. Fields are named by
/// their position. Handles are passed over: samples have null ones.
template <class T>
void find_unfilled(const T& x, const T& unfilled, const std::string& path, std::vector<std::string>& found) {
  if constexpr (std::is_same_v<T, caf::strong_actor_ptr> || requires { typename T::signatures; }) {
    return;
  } else if constexpr (requires { typename T::allocator_type; } && !std::is_same_v<T, std::string>) {
    if (x.size() < 2)
      found.push_back(path + " has fewer than two entries");
    for (std::size_t i = 0; i < x.size(); ++i)
      find_unfilled(x[i], {}, path + "[" + std::to_string(i) + "]", found);
  } else if constexpr (requires { x.has_value(); }) {
    if (x)
      find_unfilled(*x, {}, path, found);
    else
      found.push_back(path + " is not set");
  } else if constexpr (std::is_aggregate_v<T>) {
    constexpr auto fields = boost::pfr::tuple_size_v<T>;
    field_counter counter;
    auto copy = x;
    if (!inspect(counter, copy) || counter.count() != fields)
      found.push_back(path + " has " + std::to_string(fields) + " fields, its inspect() names "
                      + std::to_string(counter.count()));
    find_unfilled_fields(x, unfilled, path, found, std::make_index_sequence<fields>{});
  } else if (x == unfilled) {
    found.push_back(path + " has its default value");
  }
}

} // namespace troupe::test
