// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/http/connection.hpp"

#include <algorithm>
#include <optional>
#include <random>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <fmt/format.h>

#include "actors/frontend/http/exchange.hpp"

namespace troupe {

namespace http = boost::beast::http;

namespace {

using parser_type = http::request_parser<http::string_body>;

/// Of requests that are sent before the last one is answered. Beyond it the socket is not read.
constexpr std::size_t pipelined_bytes_max = 64 * 1024;
/// A client that does not read its answers gets no new ones.
constexpr std::size_t unread_answers_max = 64 * 1024;

http_method method_of(http::verb verb) {
  switch (verb) {
    case http::verb::get: return http_method::get;
    case http::verb::head: return http_method::head;
    case http::verb::post: return http_method::post;
    default: return http_method::other;
  }
}

std::string media_type(std::string_view value) {
  value = value.substr(0, value.find(';'));
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t'))
    value.remove_suffix(1);
  std::string out{value};
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  return out;
}

bool is_plain_id(std::string_view id) {
  return !id.empty() && id.size() <= 128
         && std::all_of(id.begin(), id.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

std::string make_id() {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  return fmt::format("req-{:016x}", random());
}

std::uint16_t status_of(const boost::system::error_code& ec) {
  if (ec == http::error::header_limit)
    return 431;
  if (ec == http::error::body_limit || ec == http::error::buffer_overflow)
    return 413;
  if (ec == http::error::bad_version)
    return 505;
  return 400;
}

} // namespace

struct connection::parsing {
  explicit parsing(const http_server_config& config) {
    parser.header_limit(config.header_bytes_max);
    parser.body_limit(config.body_bytes_max);
    parser.eager(true);
  }
  parser_type parser;
  bool header_seen = false;
};

connection::connection(connection_owner& owner, boost::asio::ip::tcp::socket socket)
  : owner_(owner), socket_(std::move(socket)), deadline_(clock::now() + owner.config().header_time) {}

connection::~connection() = default;

void connection::start() { wait_readable(); }

void connection::start_refused() {
  refuse(503, "too many connections", {{"Retry-After", "1"}});
  wait_readable();
}

void connection::check_deadlines(clock::time_point now) {
  if (state_ == state::closed)
    return;
  if (now >= write_deadline_)
    return abandon();
  if (now < deadline_)
    return;
  const bool in_request = parsing_ && (parsing_->header_seen || !in_.empty());
  if (state_ == state::reading && in_request)
    return refuse(408, "the request took too long to arrive");
  if (state_ == state::reading && !had_request_)
    report("it sent no request");
  abandon();
}

void connection::close() {
  if (state_ == state::closed)
    return;
  state_ = state::closed;
  boost::system::error_code ignored;
  socket_.close(ignored);
  owner_.release_body(std::exchange(reserved_body_, 0));
  parsing_.reset();
  owner_.closed(*this);
}

/// The client is gone, or is to be treated so.
void connection::abandon() {
  auto keep = shared_from_this();
  auto exchange = std::exchange(exchange_, nullptr);
  close();
  if (exchange)
    exchange->abandon();
}

void connection::wait_readable() {
  if (read_pending_ || peer_closed_ || state_ == state::closed
      || in_.size() >= pipelined_bytes_max + owner_.config().header_bytes_max)
    return;
  read_pending_ = true;
  socket_.async_wait(boost::asio::ip::tcp::socket::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& ec) {
                       self->read_pending_ = false;
                       if (ec || self->state_ == state::closed)
                         return;
                       self->on_readable();
                     });
}

void connection::on_readable() {
  boost::system::error_code ec;
  const auto n = socket_.read_some(owner_.scratch(), ec);
  if (ec == boost::asio::error::would_block || ec == boost::asio::error::interrupted)
    return wait_readable();
  if (ec)
    return on_peer_closed();
  if (state_ != state::lingering)
    in_.append(static_cast<const char*>(owner_.scratch().data()), n);
  parse();
  wait_readable();
}

/// End of input. A client that closes its sending side while it waits for an answer is taken to be gone:
/// that is how one that was killed looks.
void connection::on_peer_closed() {
  peer_closed_ = true;
  if (state_ == state::reading && queued() > 0) {
    close_after_ = true;
    return flush();
  }
  abandon();
}

void connection::parse() {
  if (in_parse_)
    return;
  auto keep = shared_from_this();
  in_parse_ = true;
  bool starved = false;
  auto goes_on = [&] {
    return !starved && state_ == state::reading && !close_after_ && !in_.empty() && queued() < unread_answers_max;
  };
  do {
    while (goes_on())
      starved = !parse_some();
    flush();
  } while (goes_on());
  in_parse_ = false;
}

/// False if it needs more bytes.
bool connection::parse_some() {
  if (!parsing_) {
    parsing_ = std::make_unique<parsing>(owner_.config());
    deadline_ = clock::now() + owner_.config().header_time;
  }
  auto& parser = parsing_->parser;
  boost::system::error_code ec;
  const auto used = parser.put(boost::asio::buffer(in_), ec);
  in_.erase(0, used);
  if (ec && ec != http::error::need_more) {
    report(ec.message());
    refuse(status_of(ec), fmt::format("malformed or oversized request: {}", ec.message()));
    return false;
  }
  if (parser.is_header_done() && !parsing_->header_seen)
    on_header();
  if (state_ != state::reading || close_after_)
    return false;
  if (parser.is_done()) {
    dispatch();
    return true;
  }
  return used > 0;
}

void connection::on_header() {
  const auto& config = owner_.config();
  auto& parser = parsing_->parser;
  const auto& message = parser.get();
  parsing_->header_seen = true;
  deadline_ = clock::now() + config.body_time;
  http_1_0_ = message.version() < 11;
  head_request_ = message.method() == http::verb::head;
  if (std::distance(message.begin(), message.end()) > static_cast<std::ptrdiff_t>(config.header_count_max))
    return refuse(431, fmt::format("more than {} header fields", config.header_count_max));
  if (!http_1_0_ && message.count(http::field::host) != 1)
    return refuse(400, "exactly one Host header is required");
  if (message.count(http::field::transfer_encoding) > 0 && !parser.chunked())
    return refuse(400, "of transfer encodings only chunked is supported");
  const auto length = parser.content_length();
  if (parser.is_done() && !length)
    return;
  const std::uint64_t wanted = length ? *length : config.body_bytes_max;
  if (!owner_.reserve_body(wanted))
    return refuse(503, "too many request bodies at a time", {{"Retry-After", "1"}});
  reserved_body_ = wanted;
  if (const auto expect = message[http::field::expect]; !expect.empty()) {
    if (!boost::beast::iequals(expect, "100-continue"))
      return refuse(417, "this expectation cannot be met");
    if (!parser.is_done() && !http_1_0_)
      out_ += "HTTP/1.1 100 Continue\r\n\r\n";
  }
}

void connection::dispatch() {
  auto done = std::move(parsing_);
  auto& message = done->parser.get();
  http_request request;
  request.method = method_of(message.method());
  const std::string_view target{message.target().data(), message.target().size()};
  request.path = target.substr(0, target.find('?'));
  const auto type = message[http::field::content_type];
  request.content_type = media_type({type.data(), type.size()});
  request.from_page = message.count(http::field::origin) > 0;
  const auto id = message["x-request-id"];
  request.id = is_plain_id({id.data(), id.size()}) ? std::string{id} : make_id();
  request.body = std::move(message.body());
  if (reserved_body_ > request.body.size())
    owner_.release_body(reserved_body_ - request.body.size());
  reserved_body_ = std::min<std::uint64_t>(reserved_body_, request.body.size());
  request.arrival = clock::now();
  close_after_ = !done->parser.keep_alive() || !owner_.keeps_alive();
  // close_after_ stops the parsing of later requests; the answer to this one is still to come.
  state_ = state::responding;
  had_request_ = true;
  deadline_ = clock::time_point::max();
  exchange_ = std::make_shared<exchange>(shared_from_this(), std::move(request));
  owner_.callbacks().on_request(exchange_);
}

void connection::report(std::string_view why) {
  if (owner_.callbacks().on_stranger)
    owner_.callbacks().on_stranger(socket_.native_handle(), why);
}

/// Answers without the handler, and closes: what follows on the connection cannot be trusted.
void connection::refuse(std::uint16_t status, std::string message, const http_headers& headers) {
  http_response response;
  response.status = status;
  response.headers = headers;
  // Plain enough that no escaping is needed: the texts are ours and Beast's.
  response.body = fmt::format(R"({{"error":{{"message":"{}","type":"{}","param":null,"code":null}}}})", message,
                              status < 500 ? "invalid_request_error" : "server_error");
  close_after_ = true;
  parsing_.reset();
  http_request unknown;
  unknown.id = make_id();
  respond(std::move(response), unknown);
}

} // namespace troupe
