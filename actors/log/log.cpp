// SPDX-License-Identifier: Apache-2.0
#include "actors/log/log.hpp"

#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace troupe {

namespace {

constexpr std::size_t queued_lines_max = 8'192;

/// What a session owns: the queue's thread ends with it. Lines in the queue hold the logger, so it is declared before the
/// pool: the thread is joined first, and the logger ends here and not on it.
struct pipeline {
  std::shared_ptr<spdlog::async_logger> logger;
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::string process;
};

std::atomic<log_level> least_level{log_level::info};
std::atomic<log_format> line_format{log_format::text};
// Read through std::atomic_load: a caller may log while another thread ends the session.
std::shared_ptr<pipeline> current;

std::shared_ptr<pipeline> make_pipeline(std::string_view process) {
  auto result = std::make_shared<pipeline>();
  result->process = process;
  result->pool = std::make_shared<spdlog::details::thread_pool>(queued_lines_max, 1);
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  result->logger = std::make_shared<spdlog::async_logger>("troupe", std::move(sink), result->pool,
                                                          spdlog::async_overflow_policy::overrun_oldest);
  result->logger->set_pattern("%v"); // the line is made by format_line
  result->logger->set_level(spdlog::level::trace);
  return result;
}

void write_now(const std::string& line) { std::fputs((line + "\n").c_str(), stderr); }

} // namespace

log_session::log_session(log_config config, std::string_view process) {
  least_level = config.level;
  line_format = config.format;
  try {
    std::atomic_store(&current, make_pipeline(process));
  } catch (const std::exception& e) { // no thread to be had: lines are then written by their callers
    log_warning("log", "lines are written without a queue", {{"reason", e.what()}});
  }
}

void write_log_at_once() {
  auto last = std::atomic_exchange(&current, std::shared_ptr<pipeline>{});
  if (!last)
    return;
  const auto dropped = last->pool->overrun_counter();
  last.reset(); // joins the queue's thread, after it has written everything (unless a caller holds on: then it does)
  if (dropped > 0)
    log_warning("log", "lines were dropped because they came faster than they could be written", {{"lines", dropped}});
}

log_session::~log_session() {
  write_log_at_once();
  least_level = log_level::info;
  line_format = log_format::text;
}

void log_at(log_level level, std::string_view component, std::string_view message,
            std::initializer_list<log_field> fields) {
  if (level < least_level.load(std::memory_order_relaxed) || level == log_level::off)
    return;
  const auto now = std::atomic_load(&current);
  std::vector<log_field> all{fields};
  if (now && !now->process.empty())
    all.emplace_back("process", now->process);
  const std::string line = format_line({std::chrono::system_clock::now(), level, component, message, all}, line_format);
  if (now)
    now->logger->log(spdlog::level::info, line);
  else
    write_now(line);
}

} // namespace troupe
