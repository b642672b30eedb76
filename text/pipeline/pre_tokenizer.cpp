// SPDX-License-Identifier: Apache-2.0
#include "text/pipeline/pre_tokenizer.hpp"

#include <algorithm>

#include "text/pipeline/byte_alphabet.hpp"
#include "text/pipeline/character_table.hpp"
#include "text/pipeline/split_merger.hpp"
#include "text/pipeline/split_pattern_scan.hpp"
#include "text/unicode.hpp"

namespace troupe::text {

namespace {

constexpr bool is_ascii_punctuation(char32_t c) {
  return (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) || (c >= 0x7B && c <= 0x7E);
}

character_table::flags flags_of(const utf8_char& c) {
  return c.state == utf8_state::valid ? character_table::get().of(c.code_point) : character_table::flags{0};
}

} // namespace

/// One text on its way through the steps. Steps that change the text change a copy, whose words are handed over
/// before it dies.
class pre_tokenizer::run {
public:
  run(const pre_tokenizer& owner, word_batch& batch, text_growth& growth)
    : steps_(owner.steps_), batch_(batch), growth_(growth) {}

  void go(std::size_t step, std::string_view text, place where) {
    if (text.empty())
      return;
    if (step == steps_.size())
      return batch_.add(text);
    std::visit([&](const auto& s) { apply(s, step + 1, text, where); }, steps_[step]);
  }

private:
  /// Takes the pieces of `text` on to a step.
  auto onward(std::size_t next, std::string_view text, place where) {
    return [this, next, begin = text.data(), where](std::string_view piece) {
      go(next, piece, piece.data() == begin ? where : place::behind);
    };
  }

  void apply(const split_known& s, std::size_t next, std::string_view text, place where) {
    const auto* end = text.data() + text.size();
    with_scanner(s.pattern, [&](auto scanner) {
      for (const auto* p = text.data(); p != end;) {
        const auto* word_end = scanner.end_of_match(p, end);
        const std::string_view word{p, static_cast<std::size_t>(word_end - p)};
        if (next == steps_.size())
          batch_.add(word);
        else
          go(next, word, p == text.data() ? where : place::behind);
        p = word_end;
      }
      return 0;
    });
  }

  void apply(const split_found& s, std::size_t next, std::string_view text, place where) {
    split_merger merger{text, s.behavior, onward(next, text, where)};
    std::size_t at = 0;
    for (auto hit = s.pattern.find(text, at); hit; hit = s.pattern.find(text, at)) {
      merger.add(at, hit->begin, s.invert);
      merger.add(hit->begin, hit->end, !s.invert);
      at = hit->end;
    }
    merger.add(at, text.size(), s.invert);
    merger.finish();
  }

  void apply(const split_characters& s, std::size_t next, std::string_view text, place where) {
    split_merger merger{text, s.behavior, onward(next, text, where)};
    std::size_t open = 0;
    for (std::size_t at = 0; at < text.size();) {
      const auto c = read_char(text, at);
      if ((flags_of(c) & s.flags) != 0 || (s.ascii_punctuation && is_ascii_punctuation(c.code_point))) {
        merger.add(open, at, false);
        open = at + c.bytes;
        merger.add(at, open, true);
      }
      at += c.bytes;
    }
    merger.add(open, text.size(), false);
    merger.finish();
  }

  void apply(const pre_tokenize::whitespace&, std::size_t next, std::string_view text, place where) {
    enum class kind : std::uint8_t { space, word, other };
    const auto kind_at = [&](const utf8_char& c) {
      const auto f = flags_of(c);
      return (f & character_table::word) != 0    ? kind::word
             : (f & character_table::space) != 0 ? kind::space
                                                 : kind::other;
    };
    const auto emit = onward(next, text, where);
    std::size_t begin = 0;
    auto current = kind::space;
    for (std::size_t at = 0; at < text.size();) {
      const auto c = read_char(text, at);
      if (const auto k = kind_at(c); k != current) {
        if (current != kind::space)
          emit(text.substr(begin, at - begin));
        current = k;
        begin = at;
      }
      at += c.bytes;
    }
    if (current != kind::space)
      emit(text.substr(begin));
  }

  void apply(const pre_tokenize::metaspace& m, std::size_t next, std::string_view text, place where) {
    std::string changed;
    changed.reserve(text.size() + text.size() / 2);
    const bool begins_so = text.front() == ' ' || text.starts_with(m.replacement);
    if (!begins_so
        && (m.scheme == prepend_scheme::always || (m.scheme == prepend_scheme::first && where == place::beginning)))
      changed = m.replacement;
    for (const char c : text)
      if (c == ' ')
        changed += m.replacement;
      else
        changed += c;
    if (!growth_.allow(text.size(), changed.size()))
      return;
    const auto* outer_end = batch_.enter_buffer(changed.data() + changed.size());
    if (!m.split) {
      go(next, changed, where);
    } else {
      split_merger merger{std::string_view{changed}, split_behavior::merged_with_next, onward(next, changed, where)};
      std::size_t at = 0;
      for (auto hit = changed.find(m.replacement); hit != std::string::npos; hit = changed.find(m.replacement, at)) {
        merger.add(at, hit, false);
        at = hit + m.replacement.size();
        merger.add(hit, at, true);
      }
      merger.add(at, changed.size(), false);
      merger.finish();
    }
    batch_.enter_buffer(outer_end);
  }

  void apply(const prefix_space&, std::size_t next, std::string_view text, place where) {
    if (text.front() == ' ')
      return go(next, text, where);
    if (!growth_.allow(text.size(), text.size() + 1))
      return;
    const auto changed = ' ' + std::string{text};
    const auto* outer_end = batch_.enter_buffer(changed.data() + changed.size());
    go(next, changed, where);
    batch_.enter_buffer(outer_end);
  }

  void apply(const to_byte_alphabet&, std::size_t next, std::string_view text, place where) {
    const auto changed = encode_byte_alphabet(text);
    if (!growth_.allow(text.size(), changed.size()))
      return;
    const auto* outer_end = batch_.enter_buffer(changed.data() + changed.size());
    go(next, changed, where);
    batch_.enter_buffer(outer_end);
  }

  void apply(const cut& c, std::size_t next, std::string_view text, place where) {
    const auto emit = onward(next, text, where);
    std::size_t begin = 0;
    for (auto hit = text.find(c.mark, 1); hit != std::string_view::npos; hit = text.find(c.mark, hit + 1))
      if (!c.joined[static_cast<std::uint8_t>(text[hit - 1])]) {
        emit(text.substr(begin, hit - begin));
        begin = hit;
      }
    emit(text.substr(begin));
  }

  const std::vector<step>& steps_;
  word_batch& batch_;
  text_growth& growth_;
};

expected<void, error> pre_tokenizer::add(const pre_tokenizer_step& description, std::size_t index) {
  const auto refused = [&](const std::string& why) {
    return fail(errc::resource, "pre-tokenizer, step " + std::to_string(index) + ": " + why);
  };
  if (const auto* s = std::get_if<pre_tokenize::split>(&description)) {
    auto pattern = pattern_matcher::make(s->pattern);
    if (!pattern)
      return refused(pattern.error());
    // Such a pattern leaves nothing between its matches.
    const bool keeps_matches =
      s->behavior == split_behavior::isolated || (s->behavior == split_behavior::removed && s->invert);
    if (const auto known = pattern->known(); known && keeps_matches)
      steps_.emplace_back(split_known{*known});
    else
      steps_.emplace_back(split_found{std::move(*pattern), s->behavior, s->invert});
  } else if (const auto* d = std::get_if<pre_tokenize::digits>(&description)) {
    steps_.emplace_back(split_characters{character_table::number, false,
                                         d->individual ? split_behavior::isolated : split_behavior::contiguous});
  } else if (const auto* p = std::get_if<pre_tokenize::punctuation>(&description)) {
    steps_.emplace_back(split_characters{character_table::punctuation, true, p->behavior});
  } else if (std::holds_alternative<pre_tokenize::whitespace>(description)) {
    steps_.emplace_back(pre_tokenize::whitespace{});
  } else if (std::holds_alternative<pre_tokenize::whitespace_split>(description)) {
    steps_.emplace_back(split_characters{character_table::space, false, split_behavior::removed});
  } else if (const auto* m = std::get_if<pre_tokenize::metaspace>(&description)) {
    if (m->replacement.empty())
      return refused("an empty replacement");
    steps_.emplace_back(*m);
  } else if (const auto* b = std::get_if<pre_tokenize::byte_level>(&description)) {
    if (std::ranges::any_of(steps_, [](const step& s) { return std::holds_alternative<to_byte_alphabet>(s); }))
      return refused("a second ByteLevel, which would write the alphabet's characters in the alphabet");
    if (b->add_prefix_space)
      steps_.emplace_back(prefix_space{});
    if (b->use_regex)
      steps_.emplace_back(split_known{split_pattern::gpt2});
    steps_.emplace_back(to_byte_alphabet{});
  }
  return {};
}

expected<pre_tokenizer, error> pre_tokenizer::make(const std::vector<pre_tokenizer_step>& steps) {
  pre_tokenizer result;
  for (std::size_t i = 0; i < steps.size(); ++i)
    if (auto ok = result.add(steps[i], i); !ok)
      return unexpected{ok.error()};
  if (!result.steps_.empty() && std::holds_alternative<to_byte_alphabet>(result.steps_.back())) {
    result.steps_.pop_back();
    result.words_are_bytes_ = true;
  }
  return result;
}

void pre_tokenizer::split(std::string_view text, place where, word_batch& batch, text_growth& growth) const {
  run{*this, batch, growth}.go(0, text, where);
  batch.flush();
}

} // namespace troupe::text
