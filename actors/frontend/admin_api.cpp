// SPDX-License-Identifier: Apache-2.0
#include "actors/frontend/admin_api.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "actors/frontend/openai/http_answers.hpp"

namespace troupe {

void admin_api::handle(std::shared_ptr<http_exchange> exchange) {
  struct route {
    std::string_view path;
    http_method method;
    void (*handle)(admin_api&, std::shared_ptr<http_exchange>);
  };
  using pointer = std::shared_ptr<http_exchange>;
  static constexpr std::array<route, 4> routes{{
    {"/live", http_method::get, [](admin_api&, pointer e) { node_status::answer_live(e); }},
    {"/health", http_method::get, [](admin_api& a, pointer e) { a.status_.ask_health(std::move(e)); }},
    {"/metrics", http_method::get, [](admin_api& a, pointer e) { a.status_.answer_metrics(e); }},
    {"/admin/drain", http_method::post, [](admin_api& a, pointer e) { a.drain(e); }},
  }};
  const auto found = std::ranges::find(routes, std::string_view{exchange->request().path}, &route::path);
  if (found == routes.end())
    return exchange->respond(openai::nothing_there());
  if (auto refused = openai::refusal_of(exchange->request(), found->method))
    return exchange->respond(std::move(*refused));
  found->handle(*this, std::move(exchange));
}

void admin_api::drain(const std::shared_ptr<http_exchange>& exchange) {
  // A page in a browser of this machine can send a POST here without asking first; it cannot hide that it is a page.
  if (exchange->request().from_page)
    return exchange->respond(openai::error_response(403, "web pages may not do this"));
  status_.drain();
  auto answer = openai::json_answer(R"({"status":"draining"})");
  answer.status = 202;
  exchange->respond(std::move(answer));
  on_drain_();
}

} // namespace troupe
