// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/unigram_model.hpp"

#include <algorithm>

#include "text/unicode.hpp"

namespace troupe::text {

namespace {

constexpr double unknown_penalty = 10.0;

} // namespace

unigram_model::unigram_model(const tokenizer_description& d) {
  const auto& u = std::get<unigram_description>(d.model);
  scores_ = u.scores;
  unk_ = u.unk;
  byte_fallback_ = u.byte_fallback;
  byte_tokens_ = u.byte_tokens;
  std::vector<std::pair<std::string_view, token_id>> entries;
  for (token_id id = 0; id < d.tokens.size(); ++id)
    if (d.roles[id] != token_role::none)
      entries.emplace_back(d.tokens[id], id);
  unknown_score_ = (scores_.empty() ? 0.0 : *std::ranges::min_element(scores_)) - unknown_penalty;
  trie_ = byte_trie{std::move(entries)};
}

void unigram_model::find_best_way(std::string_view word, workspace& w) const {
  w.arrivals.assign(word.size() + 1, {});
  for (std::size_t at = 0; at < word.size();) {
    const auto c = read_char(word, at);
    const std::size_t bytes = c.state == utf8_state::valid ? c.bytes : 1;
    const double here = w.arrivals[at].score;
    bool is_token = false;
    const auto offer = [&](std::size_t length, double score, token_id token) {
      auto& there = w.arrivals[at + length];
      if (!there.reached || score > there.score)
        there = {score, static_cast<std::uint32_t>(at), token, true};
    };
    trie_.for_each_prefix(word, at, [&](std::size_t length, token_id token) {
      offer(length, scores_[token] + here, token);
      is_token = is_token || length == bytes;
    });
    if (!is_token)
      offer(bytes, unknown_score_ + here, unk_);
    at += bytes;
  }
  w.way.clear();
  for (auto at = static_cast<std::uint32_t>(word.size()); at > 0; at = w.arrivals[at].from)
    w.way.push_back(at);
}

void unigram_model::put_unknown(std::string_view text, token_buffer& to) const {
  const auto byte_token = [&](char c) { return byte_tokens_[static_cast<std::uint8_t>(c)]; };
  // Text that became unknown piece by piece may be a token as a whole.
  token_id whole = byte_trie::no_value;
  trie_.for_each_prefix(text, 0, [&](std::size_t length, token_id token) {
    if (length == text.size())
      whole = token;
  });
  if (whole != byte_trie::no_value)
    return to.push(whole);
  if (byte_fallback_ && std::ranges::all_of(text, [&](char c) { return byte_token(c).has_value(); })) {
    for (const char c : text)
      to.push(*byte_token(c));
    return;
  }
  to.push(unk_);
}

void unigram_model::encode(std::string_view word, workspace& w, token_buffer& to) const {
  find_best_way(word, w);
  std::size_t unknown_begin = 0;
  std::size_t unknown_bytes = 0;
  const auto put_waiting = [&] {
    if (unknown_bytes > 0)
      put_unknown(word.substr(unknown_begin, unknown_bytes), to);
    unknown_bytes = 0;
  };
  for (auto i = w.way.size(); i-- > 0;) {
    const auto end = w.way[i];
    const auto& step = w.arrivals[end];
    if (step.token == unk_) {
      if (unknown_bytes == 0)
        unknown_begin = step.from;
      unknown_bytes += end - step.from;
      continue;
    }
    put_waiting();
    to.push(step.token);
  }
  put_waiting();
}

} // namespace troupe::text
