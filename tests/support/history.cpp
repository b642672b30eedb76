// SPDX-License-Identifier: Apache-2.0
#include "tests/support/history.hpp"

#include <utility>

namespace troupe::test {

void history::note_late(const std::string& request, const std::string& what) {
  if (excuses.contains(request))
    return;
  if (!requests.contains(request))
    add_defect(what + " for request " + request + ", which nobody made");
  else if (ends.contains(request))
    add_defect(what + " for request " + request + " after its end");
}

void history::add(accepted x) {
  auto name = x.request;
  if (!requests.emplace(name, std::move(x)).second)
    add_defect("request " + name + " was made twice");
}

void history::add(output x) {
  note_late(x.request, "output");
  outputs[x.request].push_back(std::move(x));
}

void history::add(ended x) {
  note_late(x.request, "an end");
  ends[x.request].push_back(std::move(x));
}

void history::add(excused x) { excuses.emplace(x.request, x); }

void history::add(at_rest x) { workers.push_back(std::move(x)); }

void history::add_defect(std::string what) { defects.push_back(std::move(what)); }

std::string text_of(const std::vector<token_id>& tokens) {
  std::string result;
  for (auto token : tokens)
    result += std::to_string(token) + ' ';
  return result;
}

namespace {

/// One request's part of a history, and what is wrong with it.
class request_check {
public:
  request_check(const history& all, const history::accepted& what, std::vector<std::string>& faults)
    : all_(all), what_(what), faults_(faults) {}

  void run() {
    collect_output();
    if (what_.text && !what_.text->starts_with(text_) && !all_.excuses.contains(what_.request))
      fault("the text is not the undisturbed one: '" + text_ + "' instead of '" + *what_.text + "'");
    auto ends = all_.ends.find(what_.request);
    if (ends == all_.ends.end()) {
      if (!all_.excuses.contains(what_.request))
        fault("it never ended");
      return;
    }
    if (ends->second.size() > 1)
      fault("it ended " + std::to_string(ends->second.size()) + " times");
    check_end(ends->second.front());
  }

private:
  void fault(const std::string& what) { faults_.push_back("request " + what_.request + ": " + what); }

  void collect_output() {
    auto found = all_.outputs.find(what_.request);
    if (found == all_.outputs.end())
      return;
    for (auto& o : found->second) {
      if (o.first_index && tokens_ && *o.first_index != *tokens_)
        fault("tokens from index " + std::to_string(*o.first_index) + " on came when it had "
              + std::to_string(*tokens_));
      if (o.tokens && tokens_)
        *tokens_ += *o.tokens;
      else
        tokens_.reset(); // a client that sees text only
      text_ += o.text;
    }
  }

  void check_end(const history::ended& end) {
    if (end.finish.empty() == end.failure.empty()) {
      fault("it ended without a finish reason and without an error, or with both");
      return;
    }
    if (end.finish.empty())
      return;
    if (what_.text && text_ != *what_.text)
      fault("it finished with '" + text_ + "' instead of '" + *what_.text + "'");
    if (what_.output_tokens && end.output_tokens != what_.output_tokens)
      fault("its usage says " + std::to_string(end.output_tokens.value_or(0)) + " tokens, not "
            + std::to_string(*what_.output_tokens));
    if (tokens_ && end.output_tokens && *end.output_tokens != *tokens_)
      fault("its usage says " + std::to_string(*end.output_tokens) + " tokens, and " + std::to_string(*tokens_)
            + " were sent");
  }

  const history& all_;
  const history::accepted& what_;
  std::vector<std::string>& faults_;
  std::string text_;
  std::optional<std::uint32_t> tokens_ = 0;
};

} // namespace

std::vector<std::string> check_history(const history& all) {
  auto faults = all.defects;
  for (auto& [name, what] : all.requests)
    request_check{all, what, faults}.run();
  for (auto& w : all.workers) {
    if (w.in_flight != 0)
      faults.push_back("worker " + w.worker + ": " + std::to_string(w.in_flight) + " requests are in flight at rest");
    if (w.free_blocks != w.blocks || w.quarantined_blocks != 0)
      faults.push_back("worker " + w.worker + ": at rest " + std::to_string(w.free_blocks) + " of "
                       + std::to_string(w.blocks) + " blocks are free, " + std::to_string(w.quarantined_blocks)
                       + " in quarantine");
  }
  return faults;
}

} // namespace troupe::test
