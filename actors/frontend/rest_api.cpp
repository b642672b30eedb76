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
using openai::json_answer;

namespace {

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
    {"/health", http_method::get, [](rest_api& a, exchange e) { a.status_.ask_health(std::move(e)); }},
    {"/live", http_method::get, [](rest_api&, exchange e) { node_status::answer_live(e); }},
    {"/metrics", http_method::get, [](rest_api& a, exchange e) { a.status_.answer_metrics(e); }},
    {"/version", http_method::get, [](rest_api& a, exchange e) { a.answer_version(std::move(e)); }},
  };
  return table;
}

rest_api::rest_api(rest_api_config config, std::shared_ptr<io_lane> lane, frontend_metrics metrics, callbacks c)
  : config_(std::move(config)), lane_(std::move(lane)), metrics_(metrics), callbacks_(std::move(c)),
    parser_(config_.limits), streams_(metrics_, {callbacks_.on_unwanted, [this] { release(); }}),
    status_(callbacks_.status), next_request_(first_request_id()), text_(config_.text_queue_max) {
  for (auto& model : config_.models) {
    files_.push_back(std::make_shared<const served_model>(std::move(model)));
    models_.push_back({files_.back()});
  }
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
    return exchange->respond(openai::nothing_there());
  if (auto refused = openai::refusal_of(request, found->method))
    return exchange->respond(std::move(*refused));
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

void rest_api::answer_version(std::shared_ptr<http_exchange> exchange) {
  std::string body = R"({"version":)";
  append_string(body, config_.version);
  body += '}';
  exchange->respond(json_answer(std::move(body)));
}

void rest_api::answer_models(std::shared_ptr<http_exchange> exchange) {
  std::string body = R"({"object":"list","data":[)";
  for (const auto& known : models_) {
    if (!known.is_live)
      continue;
    if (body.back() != '[')
      body += ',';
    append_model(body, *known.model);
  }
  body += "]}";
  exchange->respond(json_answer(std::move(body)));
}

void rest_api::answer_model(std::shared_ptr<http_exchange> exchange, std::string_view name) {
  const auto found = std::find_if(models_.begin(), models_.end(),
                                  [&](const known_model& m) { return m.is_live && m.model->name == name; });
  if (found == models_.end())
    return exchange->respond(openai::error_response(no_such_model(name)));
  std::string body;
  append_model(body, *found->model);
  exchange->respond(json_answer(std::move(body)));
}

void rest_api::follow(const live_models& live) {
  std::lock_guard lock{models_mutex_};
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const auto found = live.find(files_[i]->name);
    models_[i].is_live = found != live.end();
    if (!models_[i].is_live)
      continue;
    auto now = *files_[i];
    now.context_tokens = std::min(now.context_tokens, found->second.tokens_max);
    now.mock = now.mock || found->second.mock;
    models_[i].model = std::make_shared<const served_model>(std::move(now));
  }
}

void rest_api::drain() {
  draining_ = true;
  status_.drain();
  if (in_work_ == 0)
    callbacks_.on_drained();
}

void rest_api::stop(const error& why) {
  draining_ = true;
  status_.drain();
  stopped_ = true;
  streams_.fail_all(why);
  status_.stop(why);
}

} // namespace troupe
