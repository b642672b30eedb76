// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "messages/expected.hpp"

namespace troupe::text {

/// SentencePiece's precompiled table of replacements, with Hugging Face's reading of it: a grapheme of less than six
/// bytes is replaced as a whole if a prefix of it is in the table, else each of its characters by itself.
class charsmap {
public:
  static expected<charsmap, std::string> make(std::string_view bytes);

  /// Nothing if that has more than bytes_max bytes.
  std::optional<std::string> apply(std::string_view text, std::size_t bytes_max) const;

private:
  charsmap() = default;

  /// What the shortest prefix of `chunk` in the table stands for.
  std::optional<std::string_view> find(std::string_view chunk) const;
  /// Stops where `result` has more than bytes_max bytes.
  void append(std::string& result, std::string_view grapheme, std::size_t bytes_max) const;

  std::vector<std::uint32_t> units_;
  std::string strings_;
};

} // namespace troupe::text
