// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "text/tokenizer_description.hpp"
#include "text/tokenizer_json/json_node.hpp"

namespace troupe::text {

// The readers of tokenizer.json's parts. Each appends to a description and notes what is wrong at its node.

void read_normalizer(const json_node&, std::vector<normalizer_step>&);
void read_pre_tokenizer(const json_node&, std::vector<pre_tokenizer_step>&);
void read_decoder(const json_node&, std::vector<decoder_step>&);

/// Tokens around a text. Ids are not checked.
struct surrounding_tokens {
  std::vector<token_id> prefix;
  std::vector<token_id> suffix;
};
surrounding_tokens read_post_processor(const json_node&);

/// Fills in tokens, roles and model. REQUIRES: `added` has been read
void read_model(const json_node&, tokenizer_description&);

/// {"String": …} or {"Regex": …}
text_pattern read_pattern(const json_node&);
prepend_scheme read_prepend_scheme(const json_node& metaspace);

} // namespace troupe::text
