// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/stream_hub.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <doctest/doctest.h>

#include "tests/support/frontend_fixture.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

/// Runs at once, on the hub's own thread.
struct inline_lane : io_lane {
  void post(std::function<void()> work) override {
    ++posts;
    work();
  }
  int posts = 0;
};

struct hub_fixture {
  hub_fixture() {
    init_frontend_types();
    config.set("caf.scheduler.max-threads", 1);
    system = std::make_unique<caf::actor_system>(config);
    self = std::make_unique<caf::scoped_actor>(*system);
    stream_hub_config c;
    c.lane = lane;
    c.deliver = [this](const std::vector<stream_tokens>& batch) {
      for (const auto& s : batch) {
        for (const auto& t : s.tokens)
          text[s.request.value] += static_cast<char>(t.token);
        if (s.finish != finish_reason::none)
          text[s.request.value] += '.';
      }
    };
    c.fail = [this](request_id id, const error& e) { failures[id.value].push_back(e); };
    hub = system->spawn<frontend_hub_actor::stateful_impl<stream_hub_state>>(std::move(c));
  }

  ~hub_fixture() {
    sessions.end_all(*self);
    (*self)->send_exit(hub, caf::exit_reason::user_shutdown);
    (*self)->wait_for(hub);
  }

  request_session_actor open(std::uint64_t id, bool bound = true) {
    (*self)->send(hub, open_choice{request_id{id}});
    if (!bound)
      return request_session_actor{};
    inference_request r;
    r.id = request_id{id};
    auto session = sessions.make(*system, r);
    (*self)->send(hub, bind_session{request_id{id}, session});
    return session;
  }

  bool feed(std::vector<stream_tokens> streams) {
    bool acknowledged = false;
    (*self)
      ->request(hub, std::chrono::seconds{5}, token_batch{worker_id{1}, epoch{1}, std::move(streams)})
      .receive([&] { acknowledged = true; }, [](const caf::error&) {});
    return acknowledged;
  }

  /// Tokens of `attempt` are taken from now on.
  stream_progress progress(std::uint64_t id, std::uint32_t attempt = 1) {
    stream_progress out;
    (*self)
      ->request(hub, std::chrono::seconds{5}, find_stream_progress{request_id{id}, attempt})
      .receive([&](stream_progress& p) { out = std::move(p); }, [](const caf::error&) {});
    return out;
  }

  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
  std::unique_ptr<caf::scoped_actor> self;
  std::shared_ptr<inline_lane> lane = std::make_shared<inline_lane>();
  fake_sessions sessions;
  frontend_hub_actor hub;
  std::map<std::uint64_t, std::string> text;
  std::map<std::uint64_t, std::vector<error>> failures;
};

} // namespace

TEST_CASE("a batch is posted once, whatever the number of its streams, and acknowledged") {
  hub_fixture f;
  f.open(1);
  f.open(2);
  CHECK(f.feed({tokens_of(request_id{1}, 0, "ab"), tokens_of(request_id{2}, 0, "c")}));
  CHECK(f.lane->posts == 1);
  CHECK(f.text[1] == "ab");
  CHECK(f.text[2] == "c");
}

TEST_CASE("tokens that a stream has, and those of unknown streams, are dropped and acknowledged") {
  hub_fixture f;
  f.open(1);
  CHECK(f.feed({tokens_of(request_id{1}, 0, "abc")}));
  CHECK(f.feed({tokens_of(request_id{1}, 1, "bcd")}));
  CHECK(f.feed({tokens_of(request_id{1}, 0, "abcd")}));
  CHECK(f.feed({tokens_of(request_id{9}, 0, "x")}));
  CHECK(f.text[1] == "abcd");
  CHECK(f.text.count(9) == 0);
  CHECK(f.lane->posts == 2);
  const auto p = f.progress(1);
  CHECK(!p.ended);
  CHECK(std::string(p.emitted.begin(), p.emitted.end()) == "abcd");
}

TEST_CASE("once a request was placed again, tokens of the worker that was given up are dropped") {
  hub_fixture f;
  f.open(1);
  CHECK(f.feed({tokens_of(request_id{1}, 0, "ab")}));
  CHECK(f.progress(1, 2).emitted.size() == 2);
  CHECK(f.feed({tokens_of(request_id{1}, 2, "xy", finish_reason::stop)}));
  auto next = tokens_of(request_id{1}, 2, "c");
  next.attempt = 2;
  CHECK(f.feed({next}));
  CHECK(f.text[1] == "abc");
  CHECK_FALSE(f.progress(1, 2).ended);
}

TEST_CASE("the last token ends the choice: its session is told, later tokens are dropped") {
  hub_fixture f;
  f.open(1);
  CHECK(f.feed({tokens_of(request_id{1}, 0, "ab", finish_reason::stop)}));
  CHECK(f.sessions.wait_for_cancelled(1) == 1);
  CHECK(f.feed({tokens_of(request_id{1}, 0, "ab", finish_reason::stop)}));
  CHECK(f.feed({tokens_of(request_id{1}, 2, "c")}));
  CHECK(f.text[1] == "ab.");
  CHECK(f.progress(1).ended);
  CHECK(f.progress(77).ended);
  CHECK(f.failures.empty());
}

TEST_CASE("an end without tokens counts if it is at the stream's end, and not if it is an old worker's") {
  hub_fixture f;
  f.open(1);
  CHECK(f.feed({tokens_of(request_id{1}, 0, "abc")}));
  CHECK(f.feed({tokens_of(request_id{1}, 0, "ab", finish_reason::length)}));
  CHECK(f.text[1] == "abc");
  CHECK(f.feed({tokens_of(request_id{1}, 3, "", finish_reason::length)}));
  CHECK(f.text[1] == "abc.");
}

TEST_CASE("a gap never reaches a client: the stream fails") {
  hub_fixture f;
  f.open(1);
  CHECK(f.feed({tokens_of(request_id{1}, 0, "a")}));
  CHECK(f.feed({tokens_of(request_id{1}, 2, "c")}));
  CHECK(f.text[1] == "a");
  REQUIRE(f.failures[1].size() == 1);
  CHECK(f.failures[1][0].code == errc::internal);
  CHECK(f.sessions.wait_for_cancelled(1) == 1);
}

TEST_CASE("a choice that is over before its session is known tells it when it is") {
  hub_fixture f;
  f.open(1, false);
  f.open(2, false);
  (*f.self)->send(f.hub, close_choices{{request_id{1}}});
  CHECK(f.feed({tokens_of(request_id{1}, 0, "a"), tokens_of(request_id{2}, 0, "b", finish_reason::stop)}));
  CHECK(f.text.count(1) == 0);
  CHECK(f.text[2] == "b.");
  for (std::uint64_t id : {1, 2}) {
    inference_request r;
    r.id = request_id{id};
    (*f.self)->send(f.hub, bind_session{request_id{id}, f.sessions.make(*f.system, r)});
  }
  CHECK(f.sessions.wait_for_cancelled(2) == 2);
  CHECK(f.failures.empty());
}

TEST_CASE("a session that gives up, and one that dies, fail their streams once") {
  hub_fixture f;
  f.open(1);
  auto dying = f.open(2);
  (*f.self)->send(f.hub, generation_failed{request_id{1}, 1, errc::worker_lost, "gone"});
  (*f.self)->send(f.hub, generation_failed{request_id{1}, 1, errc::worker_lost, "gone"});
  CHECK(f.progress(1).ended);
  (*f.self)->send_exit(dying, caf::exit_reason::kill);
  (*f.self)->wait_for(dying);
  while (!f.progress(2).ended) {
  }
  CHECK(f.failures[1].size() == 1);
  CHECK(f.failures[1][0].code == errc::worker_lost);
  CHECK(f.failures[2].size() == 1);
}
