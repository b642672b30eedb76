// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace troupe::text {

/// How a text is cut into words before merges are applied; merges never cross a word. The patterns are
/// those that each model's tokenizer.json publishes.
enum class pre_tokenizer : std::uint8_t {
  /// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
  gpt2,
  /// Every \p{N} is cut out first and stands alone; gpt2 in each of the pieces between.
  smollm,
  /// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
  qwen2,
  /// As qwen2, with \p{N}{1,3}. A word that is a token is that token, whatever the merges say.
  llama3,
};

/// By the name in tokenizer.ggml.pre; nothing if this program doesn't have it.
std::optional<pre_tokenizer> find_pre_tokenizer(std::string_view name);

/// The names that find_pre_tokenizer knows, for messages.
std::string_view pre_tokenizer_names();

/// Walks through the words of a text in time linear in its length, without a regex engine. Bytes that
/// are not UTF-8 count as characters of class "other", so that no byte is lost: the words put
/// together are the text.
class word_splitter {
public:
  /// `text` must outlive the splitter.
  word_splitter(pre_tokenizer, std::string_view text);

  /// The next word; empty at the end.
  std::string_view next();

private:
  pre_tokenizer kind_;
  std::string_view text_;
  std::size_t at_ = 0;
  /// smollm: where the piece without numbers ends in which at_ lies.
  std::size_t piece_end_ = 0;
};

} // namespace troupe::text
