// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "actors/frontend/http/http_exchange.hpp"
#include "actors/frontend/openai/api_error.hpp"
#include "actors/frontend/openai/response_writer.hpp"
#include "actors/frontend/stream/choice_output.hpp"
#include "actors/model/served_model.hpp"

namespace troupe {

/// One HTTP answer that tokens flow into: n choices of one or more prompts, as server-sent events or as
/// one body. I/O thread only. It ends once: whole, with an error, or abandoned by its client.
///
/// An error before the first byte is an HTTP error; after it, an error event and [DONE].
class client_stream {
public:
  using clock = std::chrono::steady_clock;

  struct options {
    std::shared_ptr<const served_model> model;
    openai::response_head head;
    choice_output::options output;
    bool streams = false;
    bool usage = false;
  };

  struct choice {
    request_id id;
    choice_output output;
    /// Tokens of its prompt, counted once per prompt: 0 for all but the first choice of a prompt.
    std::uint32_t prompt_tokens = 0;
    /// Not streamed: all so far.
    std::string text;
    std::string logprobs;
    bool has_role = false;
    clock::time_point last_tokens{};

    bool ended() const { return output.finish() != finish_reason::none; }
  };

  client_stream(std::shared_ptr<http_exchange>, options, std::vector<choice>);

  const std::vector<choice>& choices() const { return choices_; }
  http_exchange& exchange() const { return *exchange_; }
  bool streams() const { return options_.streams; }
  clock::time_point arrival() const { return arrival_; }

  /// Everything was answered, or nobody waits for it any more.
  bool ended() const { return ended_; }

  /// Takes tokens of one choice in and queues what has become certain; the last tokens of the last
  /// choice complete the answer. REQUIRES: index < choices().size()
  void push(std::size_t index, const stream_tokens& tokens, clock::time_point now);

  void fail(const openai::api_error&);

  /// The reader is too slow for what is queued.
  void give_up();

  /// The client is gone.
  void abandon() { ended_ = true; }

private:
  void write(std::string_view event);
  void push_event(choice& c, std::size_t index, std::string_view text);
  void complete();
  usage total() const;

  std::shared_ptr<http_exchange> exchange_;
  options options_;
  openai::event_writer events_;
  std::vector<choice> choices_;
  clock::time_point arrival_;
  std::size_t open_choices_;
  bool begun_ = false;
  bool ended_ = false;
};

} // namespace troupe
