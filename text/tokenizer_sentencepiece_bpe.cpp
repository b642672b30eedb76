// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer_sentencepiece_bpe.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>

#include "text/unicode.hpp"

namespace troupe::text {

namespace {

constexpr std::uint32_t no_symbol = std::numeric_limits<std::uint32_t>::max();

std::string byte_token_text(unsigned byte) {
  char text[8];
  std::snprintf(text, sizeof text, "<0x%02X>", byte);
  return text;
}

} // namespace

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  result.reserve(text.size() + text.size() / 2);
  std::size_t at = 0;
  for (auto hit = text.find(from); hit != std::string_view::npos; hit = text.find(from, at)) {
    result.append(text.substr(at, hit - at)).append(to);
    at = hit + from.size();
  }
  result.append(text.substr(at));
  return result;
}

/// One text on its way to tokens; O(n log n), as each merge adds at most two candidates to the heap.
class sentencepiece_bpe::run {
public:
  run(const sentencepiece_bpe& bpe, std::string_view text) : bpe_(bpe), text_(text) {
    for (std::size_t at = 0; at < text.size();) {
      const auto c = read_char(text, at);
      // Ill-formed bytes stand alone; they end up as byte tokens.
      const std::uint32_t bytes = c.state == utf8_state::valid ? c.bytes : 1;
      const auto i = static_cast<std::uint32_t>(symbols_.size());
      symbols_.push_back({static_cast<std::uint32_t>(at), bytes, i == 0 ? no_symbol : i - 1, i + 1});
      at += bytes;
    }
    if (!symbols_.empty())
      symbols_.back().next = no_symbol;
  }

  std::vector<token_id> tokens() && {
    if (symbols_.empty())
      return {};
    for (std::uint32_t i = 0; symbols_[i].next != no_symbol; ++i)
      propose(i);
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end());
      const auto best = heap_.back();
      heap_.pop_back();
      apply(best);
    }
    std::vector<token_id> result;
    for (std::uint32_t i = 0; i != no_symbol; i = symbols_[i].next) {
      const auto piece = text_.substr(symbols_[i].at, symbols_[i].bytes);
      if (const auto found = bpe_.entries_.find(piece); found != bpe_.entries_.end())
        result.push_back(found->second.token);
      else
        for (const char c : piece)
          result.push_back(bpe_.byte_tokens_[static_cast<std::uint8_t>(c)]);
    }
    return result;
  }

private:
  struct symbol {
    std::uint32_t at;
    /// 0: merged into the symbol on its left.
    std::uint32_t bytes;
    std::uint32_t previous;
    std::uint32_t next;
  };

  struct candidate {
    float score;
    std::uint32_t left;
    /// Symbols only grow, so an equal sum means that both are as they were.
    std::uint32_t bytes;

    /// Of a max-heap: the highest score is on top, then the leftmost.
    bool operator<(const candidate& other) const {
      return score != other.score ? score < other.score : left > other.left;
    }
  };

  void propose(std::uint32_t left) {
    const auto& l = symbols_[left];
    const auto bytes = l.bytes + symbols_[l.next].bytes;
    if (bytes > bpe_.entry_bytes_max_)
      return;
    if (const auto found = bpe_.entries_.find(text_.substr(l.at, bytes)); found != bpe_.entries_.end()) {
      heap_.push_back({found->second.score, left, bytes});
      std::push_heap(heap_.begin(), heap_.end());
    }
  }

  void apply(const candidate& best) {
    auto& left = symbols_[best.left];
    if (left.bytes == 0 || left.next == no_symbol || left.bytes + symbols_[left.next].bytes != best.bytes)
      return;
    auto& right = symbols_[left.next];
    left.bytes = best.bytes;
    left.next = right.next;
    right.bytes = 0;
    if (left.next != no_symbol) {
      symbols_[left.next].previous = best.left;
      propose(best.left);
    }
    if (left.previous != no_symbol)
      propose(left.previous);
  }

  const sentencepiece_bpe& bpe_;
  std::string_view text_;
  std::vector<symbol> symbols_;
  std::vector<candidate> heap_;
};

expected<sentencepiece_bpe, error> sentencepiece_bpe::make(const vocabulary& v) {
  if (v.scores.size() != v.tokens.size())
    return fail(errc::resource, "tokenizer.ggml.scores: " + std::to_string(v.scores.size()) + " scores for "
                                  + std::to_string(v.tokens.size()) + " tokens");
  sentencepiece_bpe result;
  std::array<std::optional<token_id>, 256> byte_tokens;
  for (token_id id = 0; id < v.tokens.size(); ++id) {
    if (std::isnan(v.scores[id]))
      return fail(errc::resource, "tokenizer.ggml.scores: entry " + std::to_string(id) + " is not a number");
    const auto type = v.types.empty() ? token_type::normal : v.types[id];
    const auto& token = v.tokens[id];
    if (type == token_type::byte) {
      unsigned byte = 0;
      while (byte < 256 && byte_token_text(byte) != token)
        ++byte;
      if (byte == 256)
        return fail(errc::resource, "tokenizer.ggml.tokens: entry " + std::to_string(id) + ", '" + token
                                      + "', is a byte token by tokenizer.ggml.token_type, but not of the form <0x00>");
      byte_tokens[byte] = id;
    } else if (!token.empty() && type != token_type::control && type != token_type::unknown) {
      result.entries_.emplace(token, entry{id, v.scores[id]});
      result.entry_bytes_max_ = std::max(result.entry_bytes_max_, token.size());
    }
  }
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto token = byte_tokens[byte] ? byte_tokens[byte] : v.unk;
    if (!token)
      return fail(errc::resource, "tokenizer.ggml.tokens: no token for byte " + byte_token_text(byte)
                                    + ", and no tokenizer.ggml.unknown_token_id to stand for it");
    result.byte_tokens_[byte] = *token;
  }
  return result;
}

std::vector<token_id> sentencepiece_bpe::encode(std::string_view text, space_prefix prefix) const {
  const auto escaped =
    (prefix == space_prefix::yes ? std::string{escaped_space} : std::string{}) + replaced(text, " ", escaped_space);
  return run{*this, escaped}.tokens();
}

} // namespace troupe::text
