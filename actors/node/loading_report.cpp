// SPDX-License-Identifier: Apache-2.0
#include "actors/node/loading_report.hpp"

#include <unistd.h>

#include <cmath>
#include <cstdio>

#include <fmt/format.h>

#include "actors/log/log.hpp"

namespace troupe {

namespace {

constexpr double giga = 1e9;
constexpr const char* clear_line = "\r\033[K";

std::uint64_t tenths_of(const gpu::host::load_progress& p) {
  return p.bytes_total == 0 ? 10 : p.bytes_done * 10 / p.bytes_total;
}

} // namespace

std::string to_string(const gpu::host::load_progress& p, std::chrono::duration<double> passed) {
  const auto done = static_cast<double>(p.bytes_done);
  const auto total = static_cast<double>(p.bytes_total);
  const auto rate = passed.count() > 0 ? done / passed.count() : 0;
  auto result = fmt::format("{:.2f} of {:.2f} GB, {:.2f} GB/s", done / giga, total / giga, rate / giga);
  if (rate > 0 && p.bytes_done < p.bytes_total)
    result += fmt::format(", {:.0f} s left", std::ceil((total - done) / rate));
  return result;
}

loading_report::loading_report() : is_terminal_(::isatty(STDERR_FILENO) == 1) {}

loading_report::~loading_report() {
  if (is_terminal_ && tenths_ != 0)
    std::fputs(clear_line, stderr);
}

void loading_report::update(const gpu::host::load_progress& p) {
  const auto tenths = tenths_of(p);
  const auto text = to_string(p, clock::now() - begin_);
  if (is_terminal_) {
    std::fputs(fmt::format("{}loading the model: {}", clear_line, text).c_str(), stderr);
    std::fflush(stderr);
  } else if (tenths > tenths_) {
    log_info("model", "loading", {{"percent", std::to_string(tenths * 10)}, {"progress", text}});
  }
  tenths_ = tenths;
}

} // namespace troupe
