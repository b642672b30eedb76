// SPDX-License-Identifier: Apache-2.0
// Endpoints that work on text alone.
#include <algorithm>

#include <fmt/format.h>

#include "actors/frontend/openai/http_answers.hpp"
#include "actors/frontend/openai/json_writer.hpp"
#include "actors/frontend/rest_api.hpp"
#include "text/tokenizer.hpp"
#include "text/unicode.hpp"

namespace troupe {

using openai::append_unsigned;
using openai::error_response;

openai::result<std::shared_ptr<const served_model>> rest_api::find_model(std::string_view name) const {
  std::lock_guard lock{models_mutex_};
  if (name.empty() && !models_.empty())
    return models_.front().model;
  const auto found = std::find_if(models_.begin(), models_.end(), [&](const auto& m) { return m.model->name == name; });
  if (found != models_.end())
    return found->model;
  return unexpected{no_such_model(name)};
}

openai::api_error rest_api::no_such_model(std::string_view name) {
  return {errc::model_not_found, fmt::format("the model '{}' does not exist", name.substr(0, 256)), "model"};
}

void rest_api::answer_on_text_thread(std::shared_ptr<http_exchange> exchange, text_job job) {
  auto body = std::move(exchange->request().body);
  const bool posted =
    text_.try_post([self = shared_from_this(), exchange, body = std::move(body), job = std::move(job)]() mutable {
      auto answer = job(*self, body);
      self->lane_->post([exchange = std::move(exchange), answer = std::move(answer)]() mutable {
        exchange->respond(std::move(answer));
      });
    });
  if (!posted)
    exchange->respond(error_response(openai::to_api_error({errc::overloaded, "too many requests wait to be read"})));
}

void rest_api::tokenize(std::shared_ptr<http_exchange> exchange) {
  answer_on_text_thread(std::move(exchange), [](rest_api& api, const std::string& body) {
    auto request = api.parser_.parse_tokenize(body);
    if (!request)
      return error_response(request.error());
    auto model = api.find_model(request->model);
    if (!model)
      return error_response(model.error());
    const auto add = request->add_special_tokens ? text::add_special::yes : text::add_special::no;
    const auto encoded = (*model)->tokenizer->encode(request->text, {text::parse_special::no, add});
    if (!encoded)
      return error_response({encoded.error().code, encoded.error().context, "prompt"});
    const auto& ids = *encoded;
    http_response out;
    out.body = R"({"count":)";
    append_unsigned(out.body, ids.size());
    out.body += R"(,"max_model_len":)";
    append_unsigned(out.body, (*model)->context_tokens);
    out.body += R"(,"tokens":[)";
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (i > 0)
        out.body += ',';
      append_unsigned(out.body, ids[i]);
    }
    out.body += "]}";
    return out;
  });
}

void rest_api::detokenize(std::shared_ptr<http_exchange> exchange) {
  answer_on_text_thread(std::move(exchange), [](rest_api& api, const std::string& body) {
    auto request = api.parser_.parse_detokenize(body);
    if (!request)
      return error_response(request.error());
    auto model = api.find_model(request->model);
    if (!model)
      return error_response(model.error());
    const auto& tokenizer = *(*model)->tokenizer;
    for (auto id : request->tokens)
      if (id >= tokenizer.size())
        return error_response(
          {errc::invalid_argument,
           fmt::format("'tokens' has {}, but the model's vocabulary ends at {}", id, tokenizer.size() - 1), "tokens"});
    http_response out;
    out.body = R"({"prompt":)";
    openai::append_string(out.body, tokenizer.decode(request->tokens, text::special_output::keep));
    out.body += '}';
    return out;
  });
}

} // namespace troupe
