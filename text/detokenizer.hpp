// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "messages/ids.hpp"
#include "text/tokenizer.hpp"
#include "text/unicode.hpp"

namespace troupe::text {

/// Tokens in, text out, as soon as it is certain. The text is well-formed UTF-8: an unfinished character is
/// held back, ill-formed bytes become U+FFFD as in Python's errors="replace". All that push and finish
/// return, put together, depends on the tokens alone.
class incremental_detokenizer {
public:
  /// The text continues `prompt`. If that is nothing but special tokens (BOS), the text is a beginning,
  /// and the space that SentencePiece puts before a text is taken away; after any other prompt a first
  /// space separates words and stays. `tok` must outlive the detokenizer.
  /// REQUIRES: every token < tok.size()
  incremental_detokenizer(const tokenizer& tok, std::span<const token_id> prompt, special_output);

  /// The text that has become certain; may be empty. REQUIRES: token < size() of the tokenizer
  std::string push(token_id token);

  /// The rest: U+FFFD if a character is unfinished. Nothing may be pushed afterwards.
  std::string finish();

private:
  const tokenizer* tokenizer_;
  special_output specials_;
  /// The next plain token is the first of the text and may begin with a space too many.
  bool strips_space_;
  utf8_repairer repairer_;
};

} // namespace troupe::text
