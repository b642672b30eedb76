// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "actors/frontend/frontend_metrics.hpp"
#include "actors/frontend/http/http_exchange.hpp"
#include "actors/frontend/http/io_lane.hpp"
#include "actors/frontend/live_models.hpp"
#include "actors/frontend/node_status.hpp"
#include "actors/frontend/openai/request_parser.hpp"
#include "actors/frontend/prompt_builder.hpp"
#include "actors/frontend/stream/stream_table.hpp"
#include "actors/frontend/text_thread.hpp"
#include "messages/request/inference_request.hpp"

namespace troupe {

struct rest_api_config {
  std::vector<served_model> models;
  openai::request_limits limits;
  /// Answers in work at a time; one more is refused with errc::overloaded.
  std::uint32_t requests_max = 8192;
  /// Choices of one request: n times prompts.
  std::uint32_t choices_max = 64;
  /// Requests that wait for the text thread.
  std::uint32_t text_queue_max = 8192;
  std::chrono::nanoseconds request_time = std::chrono::seconds{600};
  std::chrono::nanoseconds queue_time = std::chrono::seconds{30};
  std::string version = "0.1.0";
};

/// The endpoints, as an object of the I/O thread. Requests that generate go I/O thread → text thread → I/O
/// thread → gateway; tokens come back through the stream table.
class rest_api : public std::enable_shared_from_this<rest_api> {
public:
  struct callbacks {
    /// Start generating.
    std::function<void(std::vector<inference_request>)> on_open;
    /// Stop generating.
    std::function<void(std::vector<request_id>)> on_unwanted;
    /// After drain(): nothing is in work any more.
    std::function<void()> on_drained;
    node_status::callbacks status;
  };

  rest_api(rest_api_config, std::shared_ptr<io_lane>, frontend_metrics, callbacks);

  // All on the I/O thread:
  void handle(std::shared_ptr<http_exchange>);
  void observe_answer(std::string_view path, std::uint16_t status) const;
  stream_table& streams() { return streams_; }
  node_status& status() { return status_; }
  /// From now on these models have workers.
  void follow(const live_models&);
  /// Refuses what comes from now on.
  void drain();
  /// Ends everything that is open with the error.
  void stop(const error&);

  /// Ends the text thread, which may hold the last reference to this object otherwise. From the owner's
  /// thread, before the I/O thread ends.
  void stop_text_thread() { text_.stop(); }

private:
  struct route;
  struct generation;
  /// As the fleet serves it, or did when it last did: its context is what a worker can hold.
  struct known_model {
    std::shared_ptr<const served_model> model;
    bool is_live = false;
  };
  static const std::vector<route>& routes();

  void answer_version(std::shared_ptr<http_exchange>);
  void answer_models(std::shared_ptr<http_exchange>);
  void answer_model(std::shared_ptr<http_exchange>, std::string_view name);
  void tokenize(std::shared_ptr<http_exchange>);
  void detokenize(std::shared_ptr<http_exchange>);

  // Generation: rest_generation.cpp
  void generate(std::shared_ptr<http_exchange>, openai::api);
  void prepare(generation&);
  void start(generation&);
  std::vector<inference_request> make_choices(generation&);
  void release();

  // Work on text: rest_text.cpp
  using text_job = std::function<http_response(rest_api&, const std::string& body)>;
  void answer_on_text_thread(std::shared_ptr<http_exchange>, text_job);
  /// An empty name means the first model, where a request need not name one.
  openai::result<std::shared_ptr<const served_model>> find_model(std::string_view name) const;
  static openai::api_error no_such_model(std::string_view name);

  rest_api_config config_;
  std::shared_ptr<io_lane> lane_;
  frontend_metrics metrics_;
  callbacks callbacks_;
  /// As their files say.
  std::vector<std::shared_ptr<const served_model>> files_;
  /// One for each file, in the same order. Written on the I/O thread, and read on both.
  std::vector<known_model> models_;
  mutable std::mutex models_mutex_;
  /// Text thread only.
  openai::request_parser parser_;
  stream_table streams_;
  node_status status_;
  /// Requests that generate, from admission to their last byte.
  std::uint32_t in_work_ = 0;
  std::uint64_t next_request_;
  bool draining_ = false;
  bool stopped_ = false;
  /// Last, so that its thread ends before anything that it uses.
  text_thread text_;
};

} // namespace troupe
