// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/standard_streams.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace troupe {

exit_code complain(const std::string& what, exit_code code) {
  std::fprintf(stderr, "troupe: %s\n", what.c_str());
  return code;
}

std::optional<std::string> read_standard_input() {
  std::string result;
  std::array<char, 65'536> piece{};
  while (const auto got = std::fread(piece.data(), 1, piece.size(), stdin)) {
    if (result.size() + got > standard_input_bytes_max) {
      std::fputs("troupe: standard input is larger than 64 MiB\n", stderr);
      return std::nullopt;
    }
    result.append(piece.data(), got);
  }
  if (std::ferror(stdin) != 0) {
    std::fprintf(stderr, "troupe: standard input: %s\n", std::strerror(errno));
    return std::nullopt;
  }
  return result;
}

bool flush_standard_output() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0)
    return true;
  std::fprintf(stderr, "troupe: standard output: %s\n", std::strerror(errno));
  return false;
}

} // namespace troupe
