// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>

#include "actors/frontend/rest_gateway.hpp"
#include "tests/support/byte_model.hpp"

namespace troupe::test {

/// Registers the message types that a frontend needs.
void init_frontend_types();

/// What fake sessions saw. Thread-safe.
class fake_sessions {
public:
  struct session {
    inference_request request;
    request_session_actor handle;
    bool cancelled = false;
  };

  /// A session that does nothing but note that it was told to end, upon which it ends.
  request_session_actor make(caf::actor_system&, inference_request);
  void note_cancelled(request_id);

  /// Ends those that are left, which refer to this object, and waits for it.
  void end_all(caf::scoped_actor&);

  /// Waits until that many sessions were made. Fewer if the time ends.
  std::vector<session> wait_for(std::size_t count, std::chrono::milliseconds = std::chrono::seconds{5});
  /// Waits until that many were told to end.
  std::size_t wait_for_cancelled(std::size_t count, std::chrono::milliseconds = std::chrono::seconds{5});

private:
  std::size_t cancelled() const;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<session> sessions_;
};

/// A gateway with a byte_model() and fake sessions; the test plays the worker. All models are served at first.
class frontend_fixture {
public:
  explicit frontend_fixture(rest_gateway_config = {});
  ~frontend_fixture();

  std::uint16_t port() const { return port_; }
  fake_sessions& sessions() { return *sessions_; }
  const rest_gateway_actor& gateway() const { return gateway_; }
  caf::actor_system& system() { return *system_; }

  /// Sends tokens as a worker does and waits for the acknowledgement. False: none came.
  bool feed(std::vector<stream_tokens> streams);
  /// The bytes of `text` as tokens of one choice.
  bool feed(const inference_request& to, std::uint32_t first_index, std::string_view text,
            finish_reason finish = finish_reason::none);
  stream_hub_actor hub() const { return *hub_; }

  /// As the directory does: these models have a decode worker each, that holds so many tokens.
  void serve(const std::vector<std::string>& models, std::uint32_t tokens_max = 1 << 20);

  /// Waits until the gauge of open streams is that. False: the time ended.
  bool wait_for_open_streams(std::int64_t count);
  /// Ends the gateway and waits for that.
  void stop();

private:
  caf::actor_system_config config_;
  std::unique_ptr<caf::actor_system> system_;
  std::shared_ptr<fake_sessions> sessions_ = std::make_shared<fake_sessions>();
  std::shared_ptr<stream_hub_actor> hub_ = std::make_shared<stream_hub_actor>();
  rest_gateway_actor gateway_;
  std::uint16_t port_ = 0;
};

stream_tokens tokens_of(request_id, std::uint32_t first_index, std::string_view text,
                        finish_reason = finish_reason::none);

} // namespace troupe::test
