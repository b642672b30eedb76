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
  if (tokenizer_->is_special(token))
    return specials_ == special_output::skip ? std::string{} : repairer_.push(tokenizer_->piece(token));
  const bool is_first = std::exchange(strips_space_, false);
  return repairer_.push(is_first ? tokenizer_->first_piece(token) : tokenizer_->piece(token));
}

std::string incremental_detokenizer::finish() { return repairer_.finish(); }

} // namespace troupe::text
