// SPDX-License-Identifier: Apache-2.0
#include "tests/support/frontend_fixture.hpp"

#include <algorithm>
#include <thread>

#include <caf/init_global_meta_objects.hpp>

#include "messages/init_messages.hpp"

namespace troupe::test {

namespace {

struct fake_session_state {
  static inline const char* name = "troupe.test.fake-session";

  fake_session_state(request_session_actor::pointer s, request_id id, fake_sessions* log)
    : self(s), request(id), sessions(log) {}

  request_session_actor::behavior_type make_behavior() {
    return {
      [this](const generation_failed&) { self->quit(); },
      [this](const cancel_request&) {
        sessions->note_cancelled(request);
        self->quit();
      },
    };
  }

  request_session_actor::pointer self;
  request_id request;
  fake_sessions* sessions;
};

} // namespace

void init_frontend_types() {
  static std::once_flag once;
  std::call_once(once, [] {
    init_messages();
    caf::init_global_meta_objects<caf::id_block::troupe_frontend>();
    caf::core::init_global_meta_objects();
  });
}

request_session_actor fake_sessions::make(caf::actor_system& system, inference_request request) {
  auto handle = system.spawn<request_session_actor::stateful_impl<fake_session_state>>(request.id, this);
  std::lock_guard lock{mutex_};
  sessions_.push_back({std::move(request), handle});
  changed_.notify_all();
  return handle;
}

void fake_sessions::note_cancelled(request_id id) {
  std::lock_guard lock{mutex_};
  for (auto& s : sessions_)
    if (s.request.id == id)
      s.cancelled = true;
  changed_.notify_all();
}

void fake_sessions::end_all(caf::scoped_actor& self) {
  for (auto& s : wait_for(0)) {
    self->send_exit(s.handle, caf::exit_reason::user_shutdown);
    self->wait_for(s.handle);
  }
}

std::size_t fake_sessions::cancelled() const {
  return static_cast<std::size_t>(
    std::count_if(sessions_.begin(), sessions_.end(), [](const session& s) { return s.cancelled; }));
}

std::vector<fake_sessions::session> fake_sessions::wait_for(std::size_t count, std::chrono::milliseconds time) {
  std::unique_lock lock{mutex_};
  changed_.wait_for(lock, time, [&] { return sessions_.size() >= count; });
  return sessions_;
}

std::size_t fake_sessions::wait_for_cancelled(std::size_t count, std::chrono::milliseconds time) {
  std::unique_lock lock{mutex_};
  changed_.wait_for(lock, time, [&] { return cancelled() >= count; });
  return cancelled();
}

frontend_fixture::frontend_fixture(rest_gateway_config config) {
  init_frontend_types();
  config_.set("caf.scheduler.policy", "sharing");
  config_.set("caf.scheduler.max-threads", 2);
  system_ = std::make_unique<caf::actor_system>(config_);
  config.http.port = 0;
  if (config.api.models.empty())
    config.api.models.push_back(byte_model());
  config.session_factory = [system = system_.get(), sessions = sessions_, hub = hub_](inference_request request,
                                                                                      stream_hub_actor h) {
    *hub = h; // before the test knows of the session, under whose lock it learns of it
    return sessions->make(*system, std::move(request));
  };
  std::vector<std::string> models;
  for (auto& model : config.api.models)
    models.push_back(model.name);
  gateway_ = spawn_rest_gateway(*system_, std::move(config));
  serve(models);
  caf::scoped_actor self{*system_};
  self->request(gateway_, std::chrono::seconds{5}, find_address{})
    .receive([this](const rest_address& a) { port_ = a.port; }, [](const caf::error&) {});
}

frontend_fixture::~frontend_fixture() { stop(); }

void frontend_fixture::stop() {
  if (!gateway_)
    return;
  caf::scoped_actor self{*system_};
  self->send_exit(gateway_, caf::exit_reason::user_shutdown);
  self->wait_for(gateway_);
  gateway_ = nullptr;
  sessions_->end_all(self);
}

void frontend_fixture::serve(const std::vector<std::string>& models, std::uint32_t tokens_max) {
  fleet_snapshot fleet;
  for (auto& model : models) {
    worker_record record;
    record.model = model;
    record.roles = role_decode;
    record.blocks = 1;
    record.block_tokens = record.context_tokens = tokens_max;
    fleet.members.push_back({record, nullptr});
  }
  caf::scoped_actor self{*system_};
  // The answer is not before the I/O thread was told.
  self->request(gateway_, std::chrono::seconds{5}, fleet).receive([] {}, [](const caf::error&) {});
}

bool frontend_fixture::feed(std::vector<stream_tokens> streams) {
  caf::scoped_actor self{*system_};
  bool acknowledged = false;
  self->request(*hub_, std::chrono::seconds{5}, token_batch{worker_id{1}, epoch{1}, std::move(streams)})
    .receive([&] { acknowledged = true; }, [](const caf::error&) {});
  return acknowledged;
}

bool frontend_fixture::feed(const inference_request& to, std::uint32_t first_index, std::string_view text,
                            finish_reason finish) {
  return feed({tokens_of(to.id, first_index, text, finish)});
}

bool frontend_fixture::wait_for_open_streams(std::int64_t count) {
  const auto metrics = make_frontend_metrics(system_->metrics());
  for (int i = 0; i < 500; ++i) {
    if (metrics.open_streams->value() == count)
      return true;
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  return false;
}

stream_tokens tokens_of(request_id id, std::uint32_t first_index, std::string_view text, finish_reason finish) {
  stream_tokens out;
  out.attempt = 1;
  out.request = id;
  out.first_index = first_index;
  for (unsigned char byte : text)
    out.tokens.push_back({byte, -0.5f, {}});
  out.finish = finish;
  return out;
}

} // namespace troupe::test
