// SPDX-License-Identifier: Apache-2.0
#include "actors/config/validate.hpp"

#include <algorithm>

namespace troupe {

namespace {

bool is_name(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

class checker {
public:
  explicit checker(const node_config& config) : config_(config) {}

  std::vector<objection> run() {
    check_names();
    check_roles();
    if (config_.http)
      check_http(*config_.http);
    if (config_.admin)
      check_admin(*config_.admin);
    if (config_.prefill_worker)
      check_worker("troupe.prefill-worker", *config_.prefill_worker);
    if (config_.decode_worker)
      check_worker("troupe.decode-worker", *config_.decode_worker);
    check_times();
    return std::move(found_);
  }

private:
  void check_names() {
    if (config_.cluster)
      check_cluster(*config_.cluster);
    check_model("troupe.model", config_.model);
    std::vector<std::string> names{config_.model.served_name()};
    for (std::size_t i = 0; i < config_.further_models.size(); ++i) {
      const auto& model = config_.further_models[i];
      const auto section = "troupe.model[" + std::to_string(i + 2) + "]";
      check_model(section, model);
      if (!model.path.empty() && std::find(names.begin(), names.end(), model.served_name()) != names.end())
        object(section + ".name", "another model of this file is called '" + model.served_name() + "', too");
      names.push_back(model.served_name());
    }
  }

  void check_model(const std::string& section, const model_section& model) {
    if (model.path.empty())
      miss(section + ".path", "missing: name the model's GGUF file");
  }

  void check_roles() {
    if (!config_.http && !config_.prefill_worker && !config_.decode_worker)
      miss("troupe", "no section that runs a role is present; add http, prefill-worker or decode-worker");
    else if (!config_.decode_worker && !config_.cluster)
      miss("troupe", "no section decode-worker is present, nor cluster to find one, so nothing generates tokens");
  }

  void check_cluster(const cluster_section& cluster) {
    if (!is_name(cluster.name))
      object("troupe.cluster.name", "must be letters, digits, - and _, and not empty");
    // As in a certificate, where it is a host's name.
    if (!std::all_of(cluster.node.begin(), cluster.node.end(),
                     [](char c) { return is_name({c}) ? c != '_' : c == '.'; }))
      object("troupe.cluster.node", "must be letters, digits, - and .");
    if (cluster.listen.host == "0.0.0.0" || cluster.listen.host == "::")
      object("troupe.cluster.listen", "names no address that other nodes could connect to");
    auto named = int{!cluster.certificate.empty()} + int{!cluster.key.empty()} + int{!cluster.ca.empty()};
    if (named != 0 && named != 3)
      miss("troupe.cluster", "certificate, key and ca belong together: name all three or none");
    else if (!cluster.encrypted() && !is_loopback(cluster.listen) && cluster.listen.host != "0.0.0.0"
             && cluster.listen.host != "::")
      object("troupe.cluster.listen", to_string(cluster.listen)
                                        + " can be reached from other machines, and the node has no certificate; "
                                          "make some with troupe certs, or use 127.0.0.1 or [::1]");
  }

  void check_http(const http_section& http) {
    if (!is_loopback(http.listen))
      object("troupe.http.listen", to_string(http.listen)
                                     + " can be reached from other machines, and there are no API keys yet; "
                                       "use 127.0.0.1 or [::1], and a proxy with authentication in front");
  }

  void check_admin(const admin_section& admin) {
    if (!is_loopback(admin.listen))
      object("troupe.admin.listen", to_string(admin.listen)
                                      + " can be reached from other machines, whose users could end the node; "
                                        "use 127.0.0.1 or [::1]");
    else if (config_.http && admin.listen.port != 0 && admin.listen == config_.http->listen)
      object("troupe.admin.listen", to_string(admin.listen) + " is http's address, too", "troupe.http.listen");
  }

  void check_worker(const std::string& section, const worker_section& worker) {
    if (worker.chunk_tokens > worker.batch_tokens)
      object(section + ".chunk-tokens",
             std::to_string(worker.chunk_tokens) + " is more than batch-tokens (" + std::to_string(worker.batch_tokens)
               + ")",
             section + ".batch-tokens");
  }

  void check_times() {
    const auto& limits = config_.limits;
    if (limits.queue_timeout > limits.request_timeout)
      object("troupe.limits.queue-timeout",
             shown(limits.queue_timeout) + " is longer than request-timeout (" + shown(limits.request_timeout) + ")",
             "troupe.limits.request-timeout");
    const auto& supervisor = config_.supervisor;
    if (supervisor.backoff_first > supervisor.backoff_max)
      object("troupe.supervisor.backoff-first",
             shown(supervisor.backoff_first) + " is longer than backoff-max (" + shown(supervisor.backoff_max) + ")",
             "troupe.supervisor.backoff-max");
  }

  static std::string shown(config_time x) { return to_string(dimension::time, x.count()); }

  void object(std::string key, std::string message, std::string compared_with = "") {
    found_.push_back({objection::kind::wrong, std::move(key), std::move(message), std::move(compared_with)});
  }

  void miss(std::string key, std::string message) {
    found_.push_back({objection::kind::missing, std::move(key), std::move(message), ""});
  }

  const node_config& config_;
  std::vector<objection> found_;
};

} // namespace

std::vector<objection> validate(const node_config& config) { return checker{config}.run(); }

} // namespace troupe
