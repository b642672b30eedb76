// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "messages/ids.hpp"

namespace troupe::text {

// What a tokenizer is made of, whatever file it comes from: a text goes through added tokens, normalizer,
// pre-tokenizer, model and post-processor to ids, and ids through the decoder to text. The words are those of
// Hugging Face's tokenizer.json; vocabulary_description.hpp says the same of GGUF's.

enum class pattern_kind : std::uint8_t { literal, regex };

/// Literal text, or a regular expression in Oniguruma's syntax.
struct text_pattern {
  pattern_kind kind = pattern_kind::literal;
  std::string text;
};

// -- added tokens ---------------------------------------------------------------------------------

/// A token that is found in a text as a whole, before anything else looks at the text.
struct added_token {
  token_id id = 0;
  std::string content;
  /// Found only where special tokens are parsed, and not shown in decoded text.
  bool special = false;
  /// Takes the white space before or behind it along.
  bool lstrip = false;
  bool rstrip = false;
  /// Only where no letter, digit, mark or underscore touches it.
  bool single_word = false;
  /// Its normalized form is searched in the normalized text.
  bool normalized = false;
};

// -- normalizer -----------------------------------------------------------------------------------

enum class normal_form : std::uint8_t { nfc, nfd, nfkc, nfkd };

namespace normalize {
struct unicode {
  normal_form form{};
};
struct lowercase {};
/// Drops marks.
struct strip_accents {};
struct replace {
  text_pattern pattern;
  std::string content;
};
/// Does nothing to an empty text.
struct prepend {
  std::string text;
};
struct strip {
  bool left = false;
  bool right = false;
};
/// Drops some control characters and makes spaces of others.
struct nmt {};
/// SentencePiece's table of replacements: the length of a double array in bytes (little endian), the array,
/// then strings that end in 0.
struct charsmap {
  std::string bytes;
};
} // namespace normalize

using normalizer_step =
  std::variant<normalize::unicode, normalize::lowercase, normalize::strip_accents, normalize::replace,
               normalize::prepend, normalize::strip, normalize::nmt, normalize::charsmap>;

// -- pre-tokenizer --------------------------------------------------------------------------------

/// What becomes of a match of a pattern that splits a text.
enum class split_behavior : std::uint8_t { removed, isolated, merged_with_previous, merged_with_next, contiguous };

enum class prepend_scheme : std::uint8_t { first, always, never };

namespace pre_tokenize {
struct split {
  text_pattern pattern;
  split_behavior behavior = split_behavior::isolated;
  /// What lies between matches counts as matches.
  bool invert = false;
};
struct digits {
  bool individual = false;
};
struct punctuation {
  split_behavior behavior = split_behavior::isolated;
};
/// Words, and runs of what is neither word nor white space; white space is dropped.
struct whitespace {};
struct whitespace_split {};
struct metaspace {
  /// One character, which stands for a space.
  std::string replacement;
  prepend_scheme scheme = prepend_scheme::always;
  bool split = true;
};
/// Splits by GPT-2's pattern if `use_regex`, and writes bytes in GPT-2's alphabet.
struct byte_level {
  bool add_prefix_space = true;
  bool use_regex = true;
};
} // namespace pre_tokenize

using pre_tokenizer_step =
  std::variant<pre_tokenize::split, pre_tokenize::digits, pre_tokenize::punctuation, pre_tokenize::whitespace,
               pre_tokenize::whitespace_split, pre_tokenize::metaspace, pre_tokenize::byte_level>;

// -- model ----------------------------------------------------------------------------------------

/// What a token is to the model.
enum class token_role : std::uint8_t {
  /// Not of the model: an id without a token, or a token that no text becomes.
  none,
  /// Text may become it.
  text,
  /// Stands for a byte of what has no token.
  byte,
};

struct bpe_merge {
  token_id left = 0;
  token_id right = 0;
  token_id result = 0;
  /// The lower applies first; among equals the leftmost pair.
  std::uint32_t rank = 0;
};

/// Byte pair encoding: each character is a symbol, the adjacent pair of the lowest rank merges, until no
/// pair has a merge.
struct bpe_description {
  /// Of two merges of one pair the first counts.
  std::vector<bpe_merge> merges;
  /// Characters that are no tokens but that merges name, as ids that follow those of the tokens.
  std::vector<std::string> virtual_characters;
  /// A character that is no token becomes byte tokens if there are all that it needs; else `unk`; without that it
  /// is dropped. A virtual character that stays alone becomes byte tokens: all of its bytes have one.
  bool byte_fallback = false;
  std::array<std::optional<token_id>, 256> byte_tokens{};
  std::optional<token_id> unk;
  /// Unknown characters side by side are one token.
  bool fuse_unk = false;
  /// A word that is a token is that token, whatever the merges say.
  bool ignore_merges = false;
};

/// The sequence of tokens with the highest sum of scores.
struct unigram_description {
  /// One per token; infinite for what the model doesn't have. The least one counts whatever its token's role.
  std::vector<double> scores;
  token_id unk = 0;
  /// Unknown characters become byte tokens if there are all that they need.
  bool byte_fallback = false;
  std::array<std::optional<token_id>, 256> byte_tokens{};
};

using model_description = std::variant<bpe_description, unigram_description>;

// -- decoder --------------------------------------------------------------------------------------

namespace decode {
struct byte_level {};
struct byte_fallback {};
struct fuse {};
struct replace {
  text_pattern pattern;
  std::string content;
};
/// Takes away up to `start` characters `content` before each token and `stop` behind; after `fuse`, of the whole text.
struct strip {
  std::string content;
  std::uint32_t start = 0;
  std::uint32_t stop = 0;
};
struct metaspace {
  std::string replacement;
  prepend_scheme scheme = prepend_scheme::always;
};
/// Puts a space between tokens: what Hugging Face does where a file has no decoder.
struct join {};
} // namespace decode

using decoder_step = std::variant<decode::byte_level, decode::byte_fallback, decode::fuse, decode::replace,
                                  decode::strip, decode::metaspace, decode::join>;

// -- all of it ------------------------------------------------------------------------------------

/// Readers of files resolve names to ids; tokenizer::make checks that every id is one.
struct tokenizer_description {
  /// By id; empty where there is no token.
  std::vector<std::string> tokens;
  /// One per token.
  std::vector<token_role> roles;
  std::vector<added_token> added;
  std::vector<normalizer_step> normalizer;
  std::vector<pre_tokenizer_step> pre_tokenizer;
  model_description model;
  std::vector<decoder_step> decoder;
  /// What the post-processor puts around a text.
  std::vector<token_id> prefix;
  std::vector<token_id> suffix;
  std::optional<token_id> bos;
  std::optional<token_id> eos;
  /// Tokens that end a generation beside `eos`, in any order.
  std::vector<token_id> end_tokens;
};

} // namespace troupe::text
