// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/rest_api.hpp"

#include <algorithm>
#include <array>
#include <random>

#include "actors/frontend/openai/http_answers.hpp"
#include "actors/frontend/openai/json_writer.hpp"

namespace troupe {

using openai::append_string;
using openai::append_unsigned;

namespace {

/// Questions about health that are under way at a time.
constexpr std::size_t health_questions_max = 64;
constexpr std::string_view models_path = "/v1/models";

void append_model(std::string& out, const served_model& model) {
  out += R"({"id":)";
  append_string(out, model.name);
  out += R"(,"object":"model","created":0,"owned_by":"troupe","max_model_len":)";
  append_unsigned(out, model.context_tokens);
  out += R"(,"context_length":)";
  append_unsigned(out, model.context_tokens);
  out += R"(,"file":)";
  append_string(out, model.file);
  out += R"(,"mock":)";
  out += model.mock ? "true}" : "false}";
}

/// Ids of one life of a gateway, so that the next one's are others. Never 0.
std::uint64_t first_request_id() {
  std::random_device random;
  return (std::uint64_t{random()} << 32) | 1;
}

http_response json_answer(std::string body) {
  http_response out;
  out.body = std::move(body);
  return out;
}

} // namespace

struct rest_api::route {
  std::string_view path;
  http_method method;
  void (*handle)(rest_api&, std::shared_ptr<http_exchange>);
};

const std::vector<rest_api::route>& rest_api::routes() {
  using exchange = std::shared_ptr<http_exchange>;
  static const std::vector<route> table{
    {"/v1/chat/completions", http_method::post,
     [](rest_api& a, exchange e) { a.generate(std::move(e), openai::api::chat); }},
    {"/v1/completions", http_method::post,
     [](rest_api& a, exchange e) { a.generate(std::move(e), openai::api::completions); }},
    {"/tokenize", http_method::post, [](rest_api& a, exchange e) { a.tokenize(std::move(e)); }},
    {"/detokenize", http_method::post, [](rest_api& a, exchange e) { a.detokenize(std::move(e)); }},
    {models_path, http_method::get, [](rest_api& a, exchange e) { a.answer_models(std::move(e)); }},
    {"/health", http_method::get, [](rest_api& a, exchange e) { a.ask_health(std::move(e)); }},
    {"/live", http_method::get, [](rest_api&, exchange e) { e->respond(json_answer(R"({"status":"live"})")); }},
    {"/metrics", http_method::get, [](rest_api& a, exchange e) { a.answer_metrics(std::move(e)); }},
    {"/version", http_method::get, [](rest_api& a, exchange e) { a.answer_version(std::move(e)); }},
  };
  return table;
}

rest_api::rest_api(rest_api_config config, std::shared_ptr<io_lane> lane, frontend_metrics metrics, callbacks c)
  : config_(std::move(config)), lane_(std::move(lane)), metrics_(metrics), callbacks_(std::move(c)),
    parser_(config_.limits), streams_(metrics_, {callbacks_.on_unwanted, [this] { release(); }}),
    next_request_(first_request_id()), text_(config_.text_queue_max) {
  for (auto& model : config_.models)
    models_.push_back(std::make_shared<const served_model>(std::move(model)));
  config_.models.clear();
}

void rest_api::handle(std::shared_ptr<http_exchange> exchange) {
  const auto& request = exchange->request();
  const std::string_view path = request.path;
  if (path.starts_with(models_path) && path.size() > models_path.size() + 1 && path[models_path.size()] == '/'
      && (request.method == http_method::get || request.method == http_method::head))
    return answer_model(std::move(exchange), path.substr(models_path.size() + 1));
  const auto& table = routes();
  const auto found = std::find_if(table.begin(), table.end(), [&](const route& r) { return r.path == path; });
  if (found == table.end())
    return exchange->respond(openai::error_response(404, "there is nothing at this path"));
  const bool reads = found->method == http_method::get;
  if (request.method != found->method && !(reads && request.method == http_method::head)) {
    auto answer = openai::error_response(405, "this path does not support the method");
    answer.headers.emplace_back("Allow", reads ? "GET, HEAD" : "POST");
    return exchange->respond(std::move(answer));
  }
  // Anything else could be a form of some web page: only JSON is asked for by scripts alone.
  if (!reads && !request.content_type.empty() && request.content_type != "application/json")
    return exchange->respond(openai::error_response(415, "the Content-Type must be application/json"));
  found->handle(*this, std::move(exchange));
}

void rest_api::observe_answer(std::string_view path, std::uint16_t status) const {
  const auto& table = routes();
  const bool known = std::any_of(table.begin(), table.end(), [&](const route& r) { return r.path == path; });
  count_request(metrics_,
                known                           ? path
                : path.starts_with(models_path) ? models_path
                                                : std::string_view{"other"},
                status);
}

void rest_api::answer_metrics(std::shared_ptr<http_exchange> exchange) {
  http_response out;
  out.content_type = "text/plain; version=0.0.4; charset=utf-8";
  out.body = callbacks_.metrics_text();
  exchange->respond(std::move(out));
}

void rest_api::answer_version(std::shared_ptr<http_exchange> exchange) {
  std::string body = R"({"version":)";
  append_string(body, config_.version);
  body += '}';
  exchange->respond(json_answer(std::move(body)));
}

void rest_api::answer_models(std::shared_ptr<http_exchange> exchange) {
  std::string body = R"({"object":"list","data":[)";
  for (std::size_t i = 0; i < models_.size(); ++i) {
    if (i > 0)
      body += ',';
    append_model(body, *models_[i]);
  }
  body += "]}";
  exchange->respond(json_answer(std::move(body)));
}

void rest_api::answer_model(std::shared_ptr<http_exchange> exchange, std::string_view name) {
  auto model = find_model(name);
  if (!model)
    return exchange->respond(openai::error_response(model.error()));
  std::string body;
  append_model(body, **model);
  exchange->respond(json_answer(std::move(body)));
}

void rest_api::ask_health(std::shared_ptr<http_exchange> exchange) {
  if (health_questions_.size() >= health_questions_max)
    return exchange->respond(
      openai::error_response(openai::to_api_error({errc::overloaded, "too many questions about health"})));
  const auto question = next_question_++;
  exchange->on_abandoned([this, question] { health_questions_.erase(question); });
  health_questions_.emplace(question, std::move(exchange));
  callbacks_.on_health(question);
}

void rest_api::answer_health(std::uint64_t question, const node_health& health) {
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

void rest_api::drain() {
  draining_ = true;
  if (in_work_ == 0)
    callbacks_.on_drained();
}

void rest_api::stop(const error& why) {
  draining_ = true;
  stopped_ = true;
  streams_.fail_all(why);
  auto questions = std::exchange(health_questions_, {});
  for (auto& [id, exchange] : questions)
    exchange->respond(openai::error_response(openai::to_api_error(why)));
}

} // namespace troupe
