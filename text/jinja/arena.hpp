// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe::text::jinja {

/// Memory of one render. Values point at each other freely and are freed together: no counts, no cycles that
/// leak, no destructor that recurses as deep as the data is nested.
class arena {
public:
  explicit arena(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}
  arena(const arena&) = delete;
  arena& operator=(const arena&) = delete;

  /// Throws std::bad_alloc beyond bytes_max.
  void* allocate(std::size_t bytes);

  template <class T>
  T* allocate_array(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= alignment);
    if (count > bytes_max_ / sizeof(T))
      throw std::bad_alloc{};
    return static_cast<T*>(allocate(count * sizeof(T)));
  }

  /// An object that is never destroyed.
  template <class T, class... Args>
  T* make(Args&&... args) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= alignment);
    return ::new (allocate(sizeof(T))) T{std::forward<Args>(args)...};
  }

  std::string_view copy(std::string_view text) {
    char* to = allocate_array<char>(text.size());
    if (!text.empty())
      std::memcpy(to, text.data(), text.size());
    return {to, text.size()};
  }

  std::uint64_t bytes_used() const { return used_; }

private:
  static constexpr std::size_t alignment = 8;

  std::uint64_t bytes_max_;
  std::uint64_t used_ = 0;
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  std::byte* next_ = nullptr;
  std::size_t left_ = 0;
};

/// A growing array in an arena. What it outgrows stays in the arena and is counted.
template <class T>
class growing {
public:
  explicit growing(arena& memory) : memory_(&memory) {}

  void push(const T& item) {
    if (size_ == capacity_)
      reserve(capacity_ == 0 ? 8 : capacity_ * 2);
    data_[size_++] = item;
  }

  void append(const T* items, std::size_t count) {
    if (count > capacity_ - size_)
      reserve(size_ + count > capacity_ * 2 ? size_ + count : capacity_ * 2);
    if (count != 0)
      std::memcpy(static_cast<void*>(data_ + size_), items, count * sizeof(T));
    size_ += count;
  }

  void reserve(std::size_t capacity) {
    T* grown = memory_->allocate_array<T>(capacity);
    if (size_ != 0)
      std::memcpy(static_cast<void*>(grown), data_, size_ * sizeof(T));
    data_ = grown;
    capacity_ = capacity;
  }

  void clear() { size_ = 0; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() const { return data_; }
  T& operator[](std::size_t i) const { return data_[i]; }
  T* begin() const { return data_; }
  T* end() const { return data_ + size_; }
  T& back() const { return data_[size_ - 1]; }

private:
  static_assert(std::is_trivially_copyable_v<T>);
  arena* memory_;
  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

/// A growing string in an arena.
class text_builder : public growing<char> {
public:
  using growing<char>::growing;
  using growing<char>::append;
  text_builder& operator+=(std::string_view text) { return append(text.data(), text.size()), *this; }
  text_builder& operator+=(char c) { return push(c), *this; }
  void append(std::size_t count, char c) {
    for (std::size_t i = 0; i < count; ++i)
      push(c);
  }
  std::string_view view() const { return {data(), size()}; }
};

} // namespace troupe::text::jinja
