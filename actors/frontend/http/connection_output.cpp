// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include "actors/frontend/http/connection.hpp"
#include "actors/frontend/http/exchange.hpp"
#include "actors/frontend/http_status.hpp"

namespace troupe {

namespace {

/// How long a closed-for-sending connection waits for the client's end, so that unread input does not
/// turn the close into a reset that destroys the answer on its way.
constexpr std::chrono::seconds linger_time{1};

void append_hex(std::string& out, std::size_t value) {
  char digits[2 * sizeof value];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value, 16).ptr);
}

} // namespace

void connection::write_head(std::uint16_t status, std::string_view content_type, const http_headers& headers,
                            const http_request& to) {
  if (owner_.callbacks().on_answer)
    owner_.callbacks().on_answer(to.path, status);
  out_ += "HTTP/1.1 ";
  out_ += std::to_string(status);
  out_ += ' ';
  out_ += http_reason(status);
  out_ += "\r\nContent-Type: ";
  out_ += content_type;
  out_ += "\r\nx-request-id: ";
  out_ += to.id;
  for (const auto& [name, value] : headers) {
    out_ += "\r\n";
    out_ += name;
    out_ += ": ";
    out_ += value;
  }
  out_ += close_after_ ? "\r\nConnection: close\r\n" : "\r\n";
  if (http_1_0_ && !close_after_)
    out_ += "Connection: keep-alive\r\n";
}

void connection::respond(http_response response, const http_request& to) {
  write_head(response.status, response.content_type, response.headers, to);
  out_ += "Content-Length: ";
  out_ += std::to_string(response.body.size());
  out_ += "\r\n\r\n";
  if (!head_request_)
    out_ += response.body;
  end_response();
}

void connection::begin_events(const http_headers& headers, const http_request& to) {
  if (http_1_0_) // no chunks there: the end of the connection is the end of the answer
    close_after_ = true;
  write_head(200, "text/event-stream; charset=utf-8", headers, to);
  out_ +=
    http_1_0_ ? "Cache-Control: no-cache\r\n\r\n" : "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
}

void connection::write_event(std::string_view text) {
  if (text.empty()) // an empty chunk would end the answer
    return;
  if (http_1_0_) {
    out_ += text;
    return;
  }
  append_hex(out_, text.size());
  out_ += "\r\n";
  out_ += text;
  out_ += "\r\n";
}

void connection::end_chunks() {
  if (!http_1_0_)
    out_ += "0\r\n\r\n";
}

/// The answer is complete in out_. Next request, or the end.
void connection::end_response() {
  auto keep = shared_from_this();
  exchange_.reset();
  owner_.release_body(std::exchange(reserved_body_, 0));
  state_ = state::reading;
  head_request_ = false;
  deadline_ = clock::now() + owner_.config().idle_time;
  if (in_parse_) // parse() goes on with the next request and flushes at the end
    return;
  parse();
  wait_readable();
}

void connection::flush() {
  if (write_pending_ || state_ == state::closed)
    return;
  while (queued() > 0) {
    boost::system::error_code ec;
    const auto n = socket_.write_some(boost::asio::buffer(out_.data() + sent_, queued()), ec);
    sent_ += n;
    if (ec == boost::asio::error::interrupted || !ec)
      continue;
    if (ec != boost::asio::error::would_block)
      return abandon();
    if (n > 0 || write_deadline_ == clock::time_point::max())
      write_deadline_ = clock::now() + owner_.config().write_stall_time;
    // The sent part is cut off now and then, not at each write.
    if (sent_ > out_.size() / 2) {
      out_.erase(0, sent_);
      sent_ = 0;
    }
    write_pending_ = true;
    socket_.async_wait(boost::asio::ip::tcp::socket::wait_write,
                       [self = shared_from_this()](const boost::system::error_code& failed) {
                         self->write_pending_ = false;
                         if (failed || self->state_ == state::closed)
                           return;
                         self->write_deadline_ = clock::now() + self->owner_.config().write_stall_time;
                         self->flush();
                       });
    return;
  }
  on_drained();
}

void connection::on_drained() {
  out_.clear();
  sent_ = 0;
  write_deadline_ = clock::time_point::max();
  if (state_ != state::reading)
    return;
  if (close_after_)
    return linger();
  // Answers that waited for this client may have held up later requests.
  if (!in_parse_ && !in_.empty() && !parsing_) {
    parse();
    wait_readable();
  }
}

void connection::linger() {
  if (peer_closed_)
    return close();
  state_ = state::lingering;
  in_.clear();
  deadline_ = clock::now() + linger_time;
  boost::system::error_code ec;
  socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send, ec);
  if (ec)
    return close();
  wait_readable();
}

void connection::give_up() {
  close_after_ = true;
  end_response();
  if (state_ == state::reading) // not drained yet
    deadline_ = clock::now() + owner_.config().give_up_time;
}

} // namespace troupe
