// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace troupe {

/// An error code with what was known where the error was born: names, sizes, offsets.
template <class Code>
struct failure {
  Code code{};
  std::string context;

  friend bool operator==(const failure&, const failure&) = default;
};

template <class E>
struct unexpected {
  E error;
};
template <class E>
unexpected(E) -> unexpected<E>;

/// Either a value or an error: what a function that can fail for an operating reason returns.
/// A subset of C++23's std::expected, which replaces it once the compiler has it.
template <class T, class E>
class [[nodiscard]] expected {
public:
  expected(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  template <class G>
  expected(unexpected<G> u) : content_(std::in_place_index<1>, std::move(u.error)) {}

  explicit operator bool() const noexcept { return content_.index() == 0; }
  bool has_value() const noexcept { return content_.index() == 0; }

  /// REQUIRES: has_value()
  T& value() & { return assert(has_value()), *std::get_if<0>(&content_); }
  const T& value() const& { return assert(has_value()), *std::get_if<0>(&content_); }
  T&& value() && { return assert(has_value()), std::move(*std::get_if<0>(&content_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  /// REQUIRES: !has_value()
  E& error() & { return assert(!has_value()), *std::get_if<1>(&content_); }
  const E& error() const& { return assert(!has_value()), *std::get_if<1>(&content_); }
  E&& error() && { return assert(!has_value()), std::move(*std::get_if<1>(&content_)); }

private:
  std::variant<T, E> content_;
};

/// Success without a value, or an error.
template <class E>
class [[nodiscard]] expected<void, E> {
public:
  expected() = default;
  template <class G>
  expected(unexpected<G> u) : error_(std::in_place_index<1>, std::move(u.error)) {}

  explicit operator bool() const noexcept { return error_.index() == 0; }
  bool has_value() const noexcept { return error_.index() == 0; }
  /// REQUIRES: !has_value()
  const E& error() const { return assert(!has_value()), *std::get_if<1>(&error_); }

private:
  std::variant<std::monostate, E> error_;
};

} // namespace troupe
