// SPDX-License-Identifier: Apache-2.0
#include "text/detokenizer.hpp"

#include <algorithm>
#include <utility>

namespace troupe::text {

incremental_detokenizer::incremental_detokenizer(const tokenizer& tok, std::span<const token_id> prompt,
                                                 special_output specials)
  : tokenizer_(&tok), specials_(specials),
    strips_space_(tok.adds_space_prefix()
                  && std::ranges::all_of(prompt, [&](token_id token) { return tok.is_special(token); })) {}

std::string incremental_detokenizer::push(token_id token) {
  auto piece = tokenizer_->piece(token);
  if (tokenizer_->is_special(token)) {
    if (specials_ == special_output::skip)
      return {};
  } else if (std::exchange(strips_space_, false) && piece.starts_with(' ')) {
    piece.remove_prefix(1);
  }
  return repairer_.push(piece);
}

std::string incremental_detokenizer::finish() { return repairer_.finish(); }

} // namespace troupe::text
