// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <variant>

#include "messages/ids.hpp"
#include "text/pipeline/bpe_model.hpp"
#include "text/pipeline/token_buffer.hpp"
#include "text/pipeline/unigram_model.hpp"
#include "text/pipeline/word_batch.hpp"
#include "text/pipeline/workspace.hpp"

namespace troupe::text {

using word_model = std::variant<bpe_model, unigram_model>;

/// Words to tokens, each word of the text but once where the cache remembers it. All of them are borrowed.
class word_encoder final : public word_batch {
public:
  word_encoder(const word_model& m, workspace& w, token_buffer& to) : model_(m), workspace_(w), to_(to) {}

private:
  void take(words) override;

  void find_short(words);
  void find_others(words);
  void encode_new();
  void put_short(std::size_t begin, std::size_t end);
  void put(std::span<const token_id>);
  void remember(words, const batch_words::other_word&, std::span<const token_id>);

  const word_model& model_;
  workspace& workspace_;
  token_buffer& to_;
};

} // namespace troupe::text
