// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "actors/frontend/http/connection.hpp"

namespace troupe {

/// What a handler holds of a connection: knows it until the answer is complete or the client is gone.
class connection::exchange : public http_exchange {
public:
  exchange(std::shared_ptr<connection> c, http_request r) : connection_(std::move(c)), request_(std::move(r)) {}

  http_request& request() override { return request_; }

  void respond(http_response r) override {
    if (auto c = detach())
      c->respond(std::move(r), request_);
  }

  void begin_events(const http_headers& headers) override {
    if (connection_)
      connection_->begin_events(headers, request_);
  }

  void write_event(std::string_view text) override {
    if (connection_)
      connection_->write_event(text);
  }

  void end_events() override {
    if (auto c = detach()) {
      c->end_chunks();
      c->end_response();
    }
  }

  void flush() override {
    if (connection_)
      connection_->flush();
  }

  std::size_t queued_bytes() const override { return connection_ ? connection_->queued() : 0; }

  void give_up() override {
    if (auto c = detach()) {
      c->end_chunks();
      c->give_up();
    }
  }

  void on_abandoned(std::function<void()> f) override { on_abandoned_ = std::move(f); }

  void abandon() {
    detach();
    if (auto f = std::exchange(on_abandoned_, nullptr))
      f();
  }

private:
  /// From now on the exchange does nothing.
  std::shared_ptr<connection> detach() { return std::exchange(connection_, nullptr); }

  std::shared_ptr<connection> connection_;
  http_request request_;
  std::function<void()> on_abandoned_;
};

} // namespace troupe
