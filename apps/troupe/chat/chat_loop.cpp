// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/chat/chat_loop.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "apps/troupe/chat/chat_api.hpp"
#include "apps/troupe/chat/http_client.hpp"
#include "apps/troupe/chat/line_reader.hpp"
#include "apps/troupe/chat/signal_pipe.hpp"
#include "apps/troupe/chat/sse_parser.hpp"

namespace troupe::chat {

namespace {

constexpr std::size_t document_bytes_max = 1 << 20;
constexpr std::size_t answer_bytes_max = 16 << 20;

// A server's text must not steer the terminal: of control characters only line ends and tabs pass.
void print_plain(std::FILE* to, std::string_view text) {
  for (char c : text)
    if (const auto byte = static_cast<unsigned char>(c); (byte >= 0x20 && byte != 0x7f) || c == '\n' || c == '\t')
      std::fputc(c, to);
  std::fflush(to);
}

void print_text(std::string_view text) { print_plain(stdout, text); }
void print_error(const std::string& message) { print_plain(stderr, "troupe: " + message + "\n"); }

enum class outcome : std::uint8_t { answered, interrupted, failed };

struct answer {
  outcome how{};
  std::string text;
  std::string reason;
};

/// Takes a response apart while it comes: events of a success, the body of a refusal.
class answer_receiver {
public:
  bool take(http_status status, std::string_view piece) {
    if (status.code != 200) {
      body_.append(piece.substr(0, document_bytes_max - body_.size()));
      return true;
    }
    const auto events = parser_.feed(piece);
    if (!events)
      return refuse("the server sent an event of more than 1 MiB");
    for (const sse_event& event : *events) {
      const auto what = read_stream_event(event.data);
      if (std::holds_alternative<stream_done>(what))
        return done_ = true;
      if (const auto* error = std::get_if<stream_error>(&what))
        return refuse(error->message);
      const std::string& text = std::get<stream_text>(what).text;
      if (text_.size() + text.size() > answer_bytes_max)
        return refuse("the answer is longer than 16 MiB");
      print_text(text);
      text_ += text;
    }
    return true;
  }

  answer result(const expected<http_status, http_error>& end) && {
    if (!reason_.empty())
      return {outcome::failed, std::move(text_), std::move(reason_)};
    if (done_)
      return {outcome::answered, std::move(text_), ""};
    if (!end && end.error().code == http_errc::interrupted)
      return {outcome::interrupted, std::move(text_), ""};
    if (!end)
      return {outcome::failed, std::move(text_), end.error().context};
    if (end->code != 200)
      return {outcome::failed, "", "the server answered " + std::to_string(end->code) + ": " + error_message(body_)};
    return {outcome::failed, std::move(text_), "the stream ended early"};
  }

private:
  bool refuse(std::string reason) {
    reason_ = std::move(reason);
    return false;
  }

  sse_parser parser_;
  bool done_ = false;
  std::string text_;
  std::string reason_;
  std::string body_;
};

class session {
public:
  session(const chat_options& options, signal_pipe& signals) : options_(options), signals_(signals) {}

  exit_code run() {
    if (!find_model())
      return stopped_ ? exit_code::interrupted : exit_code::peer;
    return options_.question ? run_question(*options_.question) : run_lines();
  }

private:
  bool find_model() {
    std::string body;
    const auto collect = [&body](http_status, std::string_view piece) {
      body += piece;
      return body.size() <= document_bytes_max;
    };
    http_timeouts timeouts;
    timeouts.idle = std::chrono::seconds{10};
    const auto end = exchange(options_.server, {"GET", "/v1/models", ""}, signals_.fd(), collect, timeouts);
    if (!end) {
      stopped_ = end.error().code == http_errc::interrupted;
      if (!stopped_)
        print_error("http://" + authority(options_.server) + ": " + end.error().context);
      return false;
    }
    const auto found = end->code == 200 ? first_model(body) : std::nullopt;
    if (found)
      model_ = *found;
    else
      print_error("http://" + authority(options_.server) + " names no model: " + error_message(body));
    return found.has_value();
  }

  exit_code run_question(const std::string& question) {
    const answer got = ask(question);
    if (!got.text.empty() || got.how == outcome::answered)
      print_text("\n");
    if (got.how == outcome::failed)
      print_error(got.reason);
    switch (got.how) {
      case outcome::answered: return exit_code::ok;
      case outcome::interrupted: return exit_code::interrupted;
      case outcome::failed: return exit_code::peer;
    }
    return exit_code::internal;
  }

  exit_code run_lines() {
    const bool person = ::isatty(STDIN_FILENO) != 0;
    if (person)
      print_text(model_ + ". Ctrl-C stops an answer, /reset forgets the conversation, Ctrl-D ends.\n");
    line_reader lines{STDIN_FILENO};
    for (;;) {
      if (person)
        print_text("> ");
      line_result line = lines.next(signals_.fd());
      switch (line.end) {
        case line_end::line: break;
        case line_end::end_of_input:
          if (person)
            print_text("\n"); // the shell's prompt gets a line of its own
          return exit_code::ok;
        case line_end::too_long:
          print_error("a line of more than 1 MiB is ignored");
          if (!person)
            return exit_code::usage;
          continue;
        case line_end::interrupted:
          if (signals_.take() == SIGTERM)
            return exit_code::ok;
          if (!person)
            return exit_code::interrupted;
          lines.forget_partial_line();
          print_text("\n");
          continue;
      }
      if (line.text == "/exit")
        return exit_code::ok;
      if (line.text == "/reset")
        turns_.clear();
      else if (line.text.starts_with('/') && person)
        print_error("there are /reset and /exit");
      else if (line.text.find_first_not_of(" \t") != std::string::npos)
        if (const auto end = run_turn(line.text, person))
          return *end;
    }
  }

  // nullopt: the conversation goes on.
  std::optional<exit_code> run_turn(const std::string& question, bool person) {
    const answer got = ask(question);
    print_text("\n");
    switch (got.how) {
      case outcome::answered: return std::nullopt;
      case outcome::interrupted:
        if (signals_.take() == SIGTERM)
          return exit_code::ok;
        return person ? std::nullopt : std::optional{exit_code::interrupted};
      case outcome::failed: print_error(got.reason); return person ? std::nullopt : std::optional{exit_code::peer};
    }
    return exit_code::internal;
  }

  answer ask(const std::string& question) {
    turns_.push_back({"user", question});
    answer_receiver receiver;
    const auto end =
      exchange(options_.server, {"POST", "/v1/chat/completions", request_body(model_, turns_)}, signals_.fd(),
               [&receiver](http_status status, std::string_view piece) { return receiver.take(status, piece); });
    answer result = std::move(receiver).result(end);
    if (result.how == outcome::failed)
      turns_.pop_back(); // as if it had not been asked
    else
      turns_.push_back({"assistant", result.text});
    return result;
  }

  const chat_options& options_;
  signal_pipe& signals_;
  std::string model_;
  std::vector<turn> turns_;
  bool stopped_ = false;
};

} // namespace

exit_code run_chat(const chat_options& options) {
  signal_pipe signals;
  if (!signals.open()) {
    print_error("no pipe could be had");
    return exit_code::resource;
  }
  return session{options, signals}.run();
}

} // namespace troupe::chat
