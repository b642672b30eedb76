// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/metrics_text.hpp"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <doctest/doctest.h>

#include "actors/frontend/frontend_metrics.hpp"
#include "tests/support/frontend_fixture.hpp"

using namespace troupe;

namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("metrics are written in Prometheus' text format") {
  caf::telemetry::metric_registry registry;
  const auto metrics = make_frontend_metrics(registry);
  count_request(metrics, "/a\"b\\c", 200);
  metrics.open_streams->inc(3);
  metrics.inter_token_latency->observe(0.0007);
  metrics.inter_token_latency->observe(0.003);
  metrics.inter_token_latency->observe(100);
  const auto text = metrics_text(registry);
  CHECK(contains(
    text,
    "# HELP troupe_rest_requests_total Requests by endpoint and status.\n# TYPE troupe_rest_requests_total counter\n"));
  CHECK(contains(text, "troupe_rest_requests_total{code=\"200\",endpoint=\"/a\\\"b\\\\c\"} 1\n"));
  CHECK(contains(text, "# TYPE troupe_rest_open_streams gauge\ntroupe_rest_open_streams 3\n"));
  CHECK(contains(text, "troupe_rest_inter_token_latency_seconds_bucket{le=\"0.0005\"} 0\n"));
  CHECK(contains(text, "troupe_rest_inter_token_latency_seconds_bucket{le=\"0.001\"} 1\n"));
  CHECK(contains(text, "troupe_rest_inter_token_latency_seconds_bucket{le=\"0.004\"} 2\n"));
  CHECK(contains(text, "troupe_rest_inter_token_latency_seconds_bucket{le=\"+Inf\"} 3\n"));
  CHECK(contains(text, "troupe_rest_inter_token_latency_seconds_count 3\n"));
  CHECK(contains(text, "troupe_rest_inter_token_latency_seconds_sum 100.0037\n"));
  CHECK(contains(text, "process_resident_memory_bytes "));
}

TEST_CASE("promtool finds no fault in the metrics of a whole actor system") {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) {
    MESSAGE("SKIPPED: promtool is not installed");
    return;
  }
  test::frontend_fixture node;
  const auto metrics = make_frontend_metrics(node.system().metrics());
  count_request(metrics, "/live", 200);
  const std::string file = std::string{TROUPE_BINARY_DIR} + "/metrics_text_test.prom";
  std::ofstream{file} << metrics_text(node.system().metrics());
  CHECK(std::system(("promtool check metrics <" + file).c_str()) == 0);
  std::ofstream{file} << "# TYPE wrong counter\nwrong 1\n";
  CHECK_MESSAGE(std::system(("promtool check metrics <" + file + " >/dev/null 2>&1").c_str()) != 0,
                "the judge judges nothing");
  std::remove(file.c_str());
}
