// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp/description.hpp"

#include <charconv>

namespace troupe::transport {

namespace {

constexpr std::string_view prefix = "tcp:";

// Takes the text apart from front to back; false once something was wrong.
class text_reader {
public:
  explicit text_reader(std::string_view text) : rest_(text) {}

  template <class T>
  bool number(T& value) {
    auto [next, code] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    rest_.remove_prefix(static_cast<std::size_t>(next - rest_.data()));
    return code == std::errc{};
  }
  bool colon() {
    if (!rest_.starts_with(':'))
      return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool host(std::uint32_t& value) {
    auto text = rest_.substr(0, rest_.find(':'));
    rest_.remove_prefix(text.size());
    auto parsed = loopback_from_text(std::string{text});
    if (parsed)
      value = *parsed;
    return parsed.has_value();
  }
  // All that is left.
  bool token(region_token& value) const { return from_hex(rest_, value); }

private:
  std::string_view rest_;
};

} // namespace

std::string to_text(const tcp_description& d) {
  return std::string{prefix} + std::to_string(d.owner.value) + ":" + host_to_text(d.where.host) + ":"
         + std::to_string(d.where.port) + ":" + std::to_string(d.region.value) + ":" + to_hex(d.token);
}

expected<tcp_description, error> tcp_description_from_text(std::string_view text) {
  auto refused = fail(errc::unknown_region, "not a description of a region behind TCP");
  if (!text.starts_with(prefix))
    return refused;
  text_reader from{text.substr(prefix.size())};
  tcp_description d;
  if (!from.number(d.owner.value) || !from.colon() || !from.host(d.where.host) || !from.colon()
      || !from.number(d.where.port) || !from.colon() || !from.number(d.region.value) || !from.colon()
      || !from.token(d.token) || d.where.port == 0)
    return refused;
  return d;
}

} // namespace troupe::transport
