// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/chat/line_reader.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string_view>
#include <thread>

#include "apps/troupe/chat/signal_pipe.hpp"

using namespace troupe::chat;

namespace {

struct pipe_pair {
  pipe_pair() { REQUIRE(::pipe(ends.data()) == 0); }
  ~pipe_pair() {
    ::close(ends[0]);
    finish();
  }
  void put(std::string_view text) const {
    CHECK(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void finish() {
    if (ends[1] >= 0)
      ::close(ends[1]);
    ends[1] = -1;
  }
  std::array<int, 2> ends{};
};

} // namespace

TEST_CASE("lines end with a line feed, the last one with the input") {
  pipe_pair pipe;
  pipe.put("one\ntwo\r\n\nlast");
  pipe.finish();
  line_reader lines{pipe.ends[0]};
  for (auto wanted : {"one", "two", "", "last"}) {
    const auto line = lines.next(-1);
    CHECK(line.end == line_end::line);
    CHECK(line.text == wanted);
  }
  CHECK(lines.next(-1).end == line_end::end_of_input);
  CHECK(lines.next(-1).end == line_end::end_of_input);
}

TEST_CASE("a line beyond the bound is skipped, and the next one read") {
  pipe_pair pipe;
  std::thread writer{[&pipe] {
    const std::string piece(1 << 16, 'x');
    for (int i = 0; i < 40; ++i)
      pipe.put(piece);
    pipe.put("\nnext\n");
  }};
  line_reader lines{pipe.ends[0]};
  CHECK(lines.next(-1).end == line_end::too_long);
  CHECK(lines.next(-1).text == "next");
  writer.join();
}

TEST_CASE("a signal interrupts waiting for a line and is taken once") {
  pipe_pair pipe;
  signal_pipe signals;
  REQUIRE(signals.open());
  line_reader lines{pipe.ends[0]};
  std::raise(SIGINT);
  CHECK(lines.next(signals.fd()).end == line_end::interrupted);
  CHECK(signals.take() == SIGINT);
  CHECK_FALSE(signals.take());
  pipe.put("after\n");
  CHECK(lines.next(signals.fd()).text == "after");
  std::raise(SIGTERM);
  std::raise(SIGINT);
  CHECK(signals.take() == SIGTERM);
}
