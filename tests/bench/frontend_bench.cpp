// SPDX-License-Identifier: Apache-2.0
// Streamed tokens per CPU-second of the frontend (goal P3), against a bare send() loop of the same chunks to
// the same readers. A forked process reads; the feeder's own CPU time is taken off.
//
//   frontend_bench [streams] [tokens per stream] [pairs]
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <poll.h>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/frontend_fixture.hpp"
#include "tests/support/raw_http_client.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

struct options {
  std::size_t streams = 64;
  std::uint32_t tokens = 2000;
  int pairs = 5;
};

double seconds(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

/// Reads all connections until each has ended or sent the last chunk. In the child.
[[noreturn]] void read_all(std::vector<int> sockets) {
  std::vector<pollfd> polled;
  for (int fd : sockets)
    polled.push_back({fd, POLLIN, 0});
  std::vector<std::string> tails(sockets.size());
  std::size_t open = sockets.size();
  static char buffer[1 << 18];
  while (open > 0 && ::poll(polled.data(), polled.size(), 20'000) > 0)
    for (std::size_t i = 0; i < polled.size(); ++i) {
      if (!(polled[i].revents & (POLLIN | POLLHUP)))
        continue;
      const auto n = ::recv(polled[i].fd, buffer, sizeof buffer, 0);
      auto& tail = tails[i];
      if (n > 0)
        tail.append(buffer + std::max<ssize_t>(0, n - 5), static_cast<std::size_t>(std::min<ssize_t>(5, n)));
      if (tail.size() > 5)
        tail.erase(0, tail.size() - 5);
      if (n <= 0 || tail == "0\r\n\r\n") {
        polled[i].fd = -1;
        --open;
      }
    }
  ::_exit(open == 0 ? 0 : 1);
}

int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
    std::abort();
  return fd;
}

/// Tokens per CPU-second of this process without the feeder; 0 if the run is void.
double measure_frontend(const options& o) {
  int channel[2];
  if (::pipe(channel) != 0)
    std::abort();
  const auto child = ::fork(); // before there are threads
  if (child == 0) {
    std::uint16_t port = 0;
    if (::read(channel[0], &port, sizeof port) != sizeof port)
      ::_exit(1);
    std::vector<int> sockets;
    const auto request =
      post("/v1/chat/completions", R"({"model":"bytes","stream":true,"messages":[{"role":"user","content":"x"}]})");
    for (std::size_t i = 0; i < o.streams; ++i) {
      sockets.push_back(connect_to(port));
      if (::send(sockets.back(), request.data(), request.size(), 0) < 0)
        ::_exit(1);
    }
    read_all(std::move(sockets));
  }
  frontend_fixture node;
  const auto port = node.port();
  if (::write(channel[1], &port, sizeof port) != sizeof port)
    std::abort();
  const auto sessions = node.sessions().wait_for(o.streams, std::chrono::seconds{20});
  const auto metrics = make_frontend_metrics(node.system().metrics());
  const auto process_begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
  const auto feeder_begin = seconds(CLOCK_THREAD_CPUTIME_ID);
  for (std::uint32_t step = 0; step < o.tokens; ++step) {
    std::vector<stream_tokens> batch;
    batch.reserve(sessions.size());
    for (const auto& s : sessions) {
      stream_tokens& t = batch.emplace_back();
      t.attempt = 1;
      t.request = s.request.id;
      t.first_index = step;
      t.tokens.push_back({static_cast<token_id>('a' + step % 26), 0, {}});
      if (step + 1 == o.tokens)
        t.finish = finish_reason::length;
    }
    node.feed(std::move(batch));
    // A worker computes between steps; here the I/O thread is waited for, so that no reader falls behind.
    while (metrics.tokens->value() < static_cast<std::int64_t>((step + 1) * o.streams))
      std::this_thread::sleep_for(std::chrono::microseconds{50});
  }
  node.wait_for_open_streams(0);
  const auto used =
    (seconds(CLOCK_PROCESS_CPUTIME_ID) - process_begin) - (seconds(CLOCK_THREAD_CPUTIME_ID) - feeder_begin);
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(channel[0]);
  ::close(channel[1]);
  if (status != 0 || metrics.slow_readers->value() > 0)
    return 0;
  return static_cast<double>(o.streams) * o.tokens / used;
}

double measure_send(const options& o) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener, 1024) != 0
      || ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    std::abort();
  const auto child = ::fork();
  if (child == 0) {
    std::vector<int> sockets;
    for (std::size_t i = 0; i < o.streams; ++i)
      sockets.push_back(connect_to(ntohs(address.sin_port)));
    read_all(std::move(sockets));
  }
  std::vector<int> sockets;
  for (std::size_t i = 0; i < o.streams; ++i) {
    sockets.push_back(::accept(listener, nullptr, nullptr));
    const int one = 1;
    ::setsockopt(sockets.back(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  // What one token's event takes, chunk framing included.
  const std::string chunk = "c6\r\ndata: " + std::string(190, 'x') + "\n\n\r\n";
  const auto begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
  for (std::uint32_t step = 0; step < o.tokens; ++step)
    for (int fd : sockets)
      if (::send(fd, chunk.data(), chunk.size(), MSG_NOSIGNAL) < 0)
        return 0;
  const auto used = seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
  for (int fd : sockets)
    ::close(fd);
  ::close(listener);
  int status = 0;
  ::waitpid(child, &status, 0);
  return static_cast<double>(o.streams) * o.tokens / used;
}

/// In a process of its own, so that forks happen without threads.
double in_process(double (*measure)(const options&), const options& o) {
  int channel[2];
  if (::pipe(channel) != 0)
    std::abort();
  const auto child = ::fork();
  if (child == 0) {
    const double result = measure(o);
    const auto written = ::write(channel[1], &result, sizeof result);
    ::_exit(written == sizeof result ? 0 : 1);
  }
  double result = 0;
  if (::read(channel[0], &result, sizeof result) != sizeof result)
    result = 0;
  ::waitpid(child, nullptr, 0);
  ::close(channel[0]);
  ::close(channel[1]);
  return result;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

} // namespace

int main(int argc, char** argv) {
  options o;
  if (argc > 1)
    o.streams = std::strtoul(argv[1], nullptr, 10);
  if (argc > 2)
    o.tokens = static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 10));
  if (argc > 3)
    o.pairs = std::atoi(argv[3]);
  std::vector<double> ours;
  std::vector<double> bare;
  for (int i = 0; i < o.pairs; ++i) {
    const bool ours_first = i % 2 == 0;
    if (!ours_first)
      bare.push_back(in_process(measure_send, o));
    const double rate = in_process(measure_frontend, o);
    if (rate > 0)
      ours.push_back(rate);
    if (ours_first)
      bare.push_back(in_process(measure_send, o));
    std::printf("pair %d: frontend %.0f, bare send() %.0f tokens per CPU-second\n", i + 1, rate, bare.back());
  }
  std::printf("%zu streams of %u tokens, median of %zu: frontend %.0f, bare send() %.0f, share %.1f %%\n", o.streams,
              o.tokens, ours.size(), median(ours), median(bare), 100 * median(ours) / median(bare));
  return ours.empty() ? 1 : 0;
}
