// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "messages/ids.hpp"

namespace troupe::test {

/// What clients and workers saw in one run, in order: whoever runs a scenario writes it, check_history judges it. The
/// real nodes' tests write the same as JSON lines (read_history).
struct history {
  /// A request that a frontend has accepted. What is not known is not checked.
  struct accepted {
    std::string request;
    /// What the undisturbed run gives.
    std::optional<std::string> text;
    std::optional<std::uint32_t> output_tokens;
  };
  /// What its client got.
  struct output {
    std::string request;
    std::optional<std::uint32_t> first_index;
    std::optional<std::uint32_t> tokens;
    std::string text;
  };
  /// An end that its client saw: a finish reason, or the code of an error event.
  struct ended {
    std::string request;
    std::string finish;
    std::string failure;
    std::optional<std::uint32_t> output_tokens;
  };
  /// From now on its client expects nothing: it went away, or the frontend that had its connection died.
  struct excused {
    std::string request;
    std::string why;
  };
  /// A worker's blocks after all faults are over and nothing runs.
  struct at_rest {
    std::string worker;
    std::uint32_t blocks = 0;
    std::uint32_t free_blocks = 0;
    std::uint32_t quarantined_blocks = 0;
    std::uint32_t in_flight = 0;
  };

  std::map<std::string, accepted> requests;
  std::map<std::string, std::vector<output>> outputs;
  std::map<std::string, std::vector<ended>> ends;
  std::map<std::string, excused> excuses;
  std::vector<at_rest> workers;
  /// What an observer saw that must never happen, e.g. a step that read a wrong KV block.
  std::vector<std::string> defects;

  void add(accepted);
  void add(output);
  void add(ended);
  void add(excused);
  void add(at_rest);
  void add_defect(std::string what);

private:
  /// A client that was told of the end must get nothing more.
  void note_late(const std::string& request, const std::string& what);
};

/// Text of tokens, for runs without a tokenizer.
std::string text_of(const std::vector<token_id>&);

/// Sentences about what must hold whatever fails, and does not: a request ends exactly once, by a finish or an error
/// event; token indices go from 0 without gap or repeat; a finished request's text is the undisturbed one and its usage
/// what was sent, and what a failed one had got is a prefix of it; at rest nothing is in flight and all blocks are
/// free.
std::vector<std::string> check_history(const history&);

} // namespace troupe::test
