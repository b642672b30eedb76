// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/node_status.hpp"

#include <utility>

#include "actors/frontend/openai/http_answers.hpp"
#include "actors/frontend/openai/json_writer.hpp"

namespace troupe {

using openai::append_string;
using openai::append_unsigned;
using openai::json_answer;

namespace {

constexpr std::size_t health_questions_max = 64;

} // namespace

void node_status::answer_live(const std::shared_ptr<http_exchange>& exchange) {
  exchange->respond(json_answer(R"({"status":"live"})"));
}

void node_status::answer_metrics(const std::shared_ptr<http_exchange>& exchange) const {
  http_response out;
  out.content_type = "text/plain; version=0.0.4; charset=utf-8";
  out.body = callbacks_.metrics_text();
  exchange->respond(std::move(out));
}

void node_status::ask_health(std::shared_ptr<http_exchange> exchange) {
  if (health_questions_.size() >= health_questions_max)
    return exchange->respond(
      openai::error_response(openai::to_api_error({errc::overloaded, "too many questions about health"})));
  const auto question = next_question_++;
  exchange->on_abandoned([this, question] { health_questions_.erase(question); });
  health_questions_.emplace(question, std::move(exchange));
  callbacks_.on_health(question);
}

void node_status::answer_health(std::uint64_t question, const node_health& health) {
  auto found = health_questions_.extract(question);
  if (found.empty())
    return;
  std::string body =
    health.healthy() && !draining_ ? R"({"status":"ok","workers":)" : R"({"status":"unavailable","workers":)";
  append_unsigned(body, health.workers);
  body += R"(,"problems":[)";
  auto problems = health.problems;
  if (draining_)
    problems.emplace_back("the node is draining");
  for (std::size_t i = 0; i < problems.size(); ++i) {
    if (i > 0)
      body += ',';
    append_string(body, problems[i]);
  }
  body += "]}";
  auto answer = json_answer(std::move(body));
  answer.status = problems.empty() ? 200 : 503;
  found.mapped()->respond(std::move(answer));
}

void node_status::stop(const error& why) {
  auto questions = std::exchange(health_questions_, {});
  for (auto& [id, exchange] : questions)
    exchange->respond(openai::error_response(openai::to_api_error(why)));
}

} // namespace troupe
