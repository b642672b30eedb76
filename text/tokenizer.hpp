// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "messages/errc.hpp"
#include "messages/expected.hpp"
#include "messages/ids.hpp"
#include "text/tokenizer_description.hpp"
#include "text/vocabulary.hpp"

namespace troupe::text {

/// Whether "<|im_end|>" in a text is the token or eleven characters. Text from outside is never parsed;
/// what a chat template wrote is.
enum class parse_special : std::uint8_t { no, yes };

/// Whether BOS and EOS are put around the text, as far as the vocabulary wants them.
enum class add_special : std::uint8_t { no, yes };

/// Whether control and unknown tokens (BOS, end of turn …) show in decoded text.
enum class special_output : std::uint8_t { skip, keep };

/// Text to token ids and back for one vocabulary. Ids are those that llama.cpp gives for the same GGUF file, and
/// Hugging Face's `tokenizers` for the same tokenizer.json. Immutable: any number of threads may use one object.
class tokenizer {
public:
  struct encode_options {
    parse_special parse = parse_special::no;
    add_special add = add_special::no;
  };

  /// Checks everything in the vocabulary; an error names the GGUF key that is wrong.
  static expected<tokenizer, error> make(const vocabulary&);
  /// From whatever file the description was read.
  static expected<tokenizer, error> make(tokenizer_description);

  tokenizer(tokenizer&&) noexcept;
  tokenizer& operator=(tokenizer&&) noexcept;
  ~tokenizer();

  /// Longest text that encode takes; 1 GiB.
  static constexpr std::size_t text_bytes_max = std::size_t{1} << 30;
  /// The most that normalizer and pre-tokenizer may add to a text of so many bytes before the model gets it. What real
  /// files do stays below 22 times its length (U+FDFA in NFKC and the byte alphabet); 64 MiB is eight requests of the
  /// largest default size. Longer texts may always be all spaces that become U+2581.
  static constexpr std::size_t growth_max(std::size_t text_bytes) {
    return std::max(std::min((std::size_t{64} << 10) + 32 * text_bytes, std::size_t{64} << 20), 2 * text_bytes);
  }

  /// Added tokens are found in every text, special ones only with parse_special::yes: the leftmost
  /// first, of several at one place the longest. Bytes that are not UTF-8 are encoded as they are.
  /// Time is O(n log n) in the length of the text (of its longest word, with byte-level BPE), memory in
  /// the order of 100 bytes per byte of text at worst.
  /// errc::context_too_long if the text is longer than text_bytes_max, or grows by more than growth_max.
  expected<std::vector<token_id>, error> encode(std::string_view text, encode_options) const;
  expected<std::vector<token_id>, error> encode(std::string_view text) const { return encode(text, encode_options{}); }

  /// The bytes of all tokens, not necessarily UTF-8. Inverse of encode: the space that the vocabulary
  /// puts before a text is taken away again. REQUIRES: every token < size()
  std::string decode(std::span<const token_id> tokens, special_output = special_output::skip) const;

  /// The bytes that a token stands for, possibly part of a character; a control token's name, such as
  /// "<|im_end|>". Valid as long as the tokenizer. REQUIRES: token < size()
  std::string_view piece(token_id token) const;

  /// The bytes that a token adds at the beginning of a text: its piece without the space that encode puts there.
  /// REQUIRES: token < size()
  std::string_view first_piece(token_id token) const;

  std::size_t size() const;
  std::optional<token_id> bos() const;
  std::optional<token_id> eos() const;
  /// Whether encode puts BOS before the text with add_special::yes.
  bool adds_bos() const;
  /// Whether encode puts a space before the text; decoded text then begins with one too many.
  bool adds_space_prefix() const;

  /// A control or unknown token. REQUIRES: token < size()
  bool is_special(token_id token) const;

  /// EOS, end of turn, and the control tokens whose names are known to end an answer; in ascending order.
  std::span<const token_id> end_of_generation_tokens() const;
  /// False for what is not a token.
  bool is_end_of_generation(token_id token) const;

private:
  struct content;
  explicit tokenizer(std::unique_ptr<const content>);
  static tokenizer finished(std::unique_ptr<content>, const tokenizer_description&);
  std::unique_ptr<const content> content_;
};

} // namespace troupe::text
