// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/word_encoder.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace troupe::text {

namespace {

constexpr auto few_tokens = word_cache::few_tokens;

bool is_short(std::string_view word) { return word.size() <= word_cache::short_bytes_max; }

} // namespace

void word_encoder::take(words batch) {
  auto& b = workspace_.batch;
  find_short(batch);
  find_others(batch);
  if (b.new_count > 0)
    encode_new();
  // What is copied of the last word may be more than it has.
  b.other_tokens.reserve(few_tokens);
  std::size_t at = 0;
  for (const auto& other : std::span{b.others}.first(b.others_count)) {
    put_short(at, other.index);
    at = other.index + 1u;
    const auto tokens =
      b.other_tokens.at(other.kind == batch_words::other_kind::known ? other.tokens : b.new_tokens[other.new_index]);
    put(tokens);
    if (other.kind == batch_words::other_kind::first_time)
      remember(batch, other, tokens);
  }
  put_short(at, batch.count);
}

/// Looks up the short words. Those that their cache does not have become `others`, as the longer ones do.
void word_encoder::find_short(words batch) {
  auto& b = workspace_.batch;
  const auto& cache = workspace_.cache;
  for (std::size_t i = 0; i < batch.count; ++i)
    if (const auto word = batch.first[i]; is_short(word)) {
      b.keys[i] = word_cache::key_of(word, batch.readable_end);
      b.sets[i] = word_cache::set_of(b.keys[i]);
      cache.prefetch(b.sets[i]);
    }
  b.others_count = 0;
  for (std::size_t i = 0; i < batch.count; ++i) {
    const auto word = batch.first[i];
    auto& known = b.known[i];
    const auto count = is_short(word) ? cache.find_short(b.keys[i], b.sets[i], known.tokens.data()) : -1;
    known.count = static_cast<std::uint32_t>(count);
    if (count >= 0)
      continue;
    auto& other = b.others[b.others_count++];
    other.index = static_cast<std::uint32_t>(i);
    other.place = word_cache::long_place_of(word);
    cache.prefetch_long(word, other.place);
  }
}

/// Looks up the others. What the cache does not have is new.
void word_encoder::find_others(words batch) {
  auto& b = workspace_.batch;
  b.new_count = 0;
  b.other_tokens.clear();
  if (b.others_count == 0)
    return;
  // One more than the index of a new word, by its place.
  batch_words::per_word<std::uint16_t> new_at{};
  static_assert(size_max < UINT16_MAX);
  for (auto& other : std::span{b.others}.first(b.others_count)) {
    const auto word = batch.first[other.index];
    const auto begin = b.other_tokens.size();
    if (workspace_.cache.find_long(word, other.place, b.other_tokens)) {
      // A copy, because what is new may take its place in the cache.
      other.tokens = {begin, b.other_tokens.size() - begin};
      other.kind = batch_words::other_kind::known;
      continue;
    }
    auto& same = new_at[other.place.middle % size_max];
    const bool is_again = same != 0 && b.new_words[same - 1u] == word;
    other.kind = is_again ? batch_words::other_kind::again : batch_words::other_kind::first_time;
    if (!is_again) {
      b.new_words[b.new_count++] = word;
      same = static_cast<std::uint16_t>(b.new_count);
    }
    other.new_index = same - 1u;
  }
}

void word_encoder::encode_new() {
  auto& b = workspace_.batch;
  const auto new_words = std::span{b.new_words}.first(b.new_count);
  if (const auto* bpe = std::get_if<bpe_model>(&model_))
    return bpe->encode(new_words, workspace_.bpe, b.other_tokens, b.new_tokens);
  for (std::size_t i = 0; i < b.new_count; ++i) {
    const auto begin = b.other_tokens.size();
    std::get<unigram_model>(model_).encode(new_words[i], workspace_.unigram, b.other_tokens);
    b.new_tokens[i] = {begin, b.other_tokens.size() - begin};
  }
}

/// Puts down the tokens of words that are all in the cache of short words.
void word_encoder::put_short(std::size_t begin, std::size_t end) {
  const auto& known = workspace_.batch.known;
  auto* place = to_.reserve((end - begin) * word_cache::short_tokens_max + 1);
  auto* const first = place;
  for (auto i = begin; i < end; ++i) {
    std::memcpy(place, known[i].tokens.data(), sizeof known[i].tokens);
    place += known[i].count;
  }
  to_.commit(static_cast<std::size_t>(place - first));
}

/// REQUIRES: few_tokens may be read
void word_encoder::put(std::span<const token_id> tokens) {
  auto* place = to_.reserve(std::max(tokens.size(), few_tokens));
  if (tokens.size() <= few_tokens)
    std::memcpy(place, tokens.data(), few_tokens * sizeof(token_id));
  else
    std::ranges::copy(tokens, place);
  to_.commit(tokens.size());
}

void word_encoder::remember(words batch, const batch_words::other_word& other, std::span<const token_id> tokens) {
  const auto& b = workspace_.batch;
  const auto word = batch.first[other.index];
  if (is_short(word) && tokens.size() <= word_cache::short_tokens_max)
    workspace_.cache.insert_short(b.keys[other.index], b.sets[other.index], tokens);
  else
    workspace_.cache.insert_long(word, other.place, tokens);
}

} // namespace troupe::text
