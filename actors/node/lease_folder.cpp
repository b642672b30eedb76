// SPDX-License-Identifier: Apache-2.0
#include "actors/node/lease_folder.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>

#include <fmt/format.h>

namespace troupe {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t lease_bytes_max = 1024;
constexpr std::size_t files_max = 4096;
constexpr std::string_view heading = "troupe-lease 1";

/// The first kilobyte; nothing if it cannot be read or is longer.
std::optional<std::string> content_of(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  std::string result(lease_bytes_max + 1, '\0');
  in.read(result.data(), static_cast<std::streamsize>(result.size()));
  if (in.bad() || in.gcount() == 0 || in.gcount() > static_cast<std::streamsize>(lease_bytes_max))
    return std::nullopt;
  result.resize(static_cast<std::size_t>(in.gcount()));
  return result;
}

std::string text_of(const node_lease& x, std::uint64_t renewals) {
  return fmt::format("{}\ncluster {}\nnode {}\nlife {}\naddress {}\nrenewals {}\n", heading, x.cluster, x.node, x.life,
                     x.address, renewals);
}

/// Of the whole format above, or nothing.
std::optional<node_lease> lease_of(const std::string& text) {
  std::istringstream in{text};
  std::string line;
  if (!std::getline(in, line) || line != heading)
    return std::nullopt;
  node_lease result;
  std::string key;
  std::string renewals;
  auto read = [&](const char* expected, auto& value) { return in >> key >> value && key == expected; };
  auto complete = read("cluster", result.cluster) && read("node", result.node) && read("life", result.life)
                  && read("address", result.address) && read("renewals", renewals);
  return complete ? std::optional{std::move(result)} : std::nullopt;
}

} // namespace

expected<void, error> lease_folder::renew(const node_lease& mine) {
  const auto file = file_of(mine.node);
  auto draft = file;
  draft += fmt::format(".{}.draft", ::getpid());
  {
    std::ofstream out{draft, std::ios::binary | std::ios::trunc};
    out << text_of(mine, ++renewals_);
    if (!out.flush())
      return fail(errc::resource, "cannot write " + draft.string() + ": " + std::strerror(errno));
  }
  std::error_code code;
  fs::rename(draft, file, code);
  if (code)
    return fail(errc::resource, "cannot write " + file.string() + ": " + code.message());
  return {};
}

void lease_folder::withdraw(const node_lease& mine) {
  const auto file = file_of(mine.node);
  std::error_code ignored;
  if (auto text = content_of(file))
    if (auto lease = lease_of(*text); lease && lease->life == mine.life)
      fs::remove(file, ignored);
}

expected<std::vector<node_lease>, error> lease_folder::scan(const std::string& cluster, instant now) {
  std::error_code code;
  fs::directory_iterator files{folder_, code};
  if (code)
    return fail(errc::resource, "cannot read " + folder_.string() + ": " + code.message());
  std::map<std::string, seen> found;
  std::vector<node_lease> result;
  for (std::size_t i = 0; i < files_max && files != fs::directory_iterator{}; ++i, files.increment(code)) {
    if (code)
      break;
    const auto& path = files->path();
    auto text = path.extension() == ".lease" ? content_of(path) : std::nullopt;
    auto lease = text ? lease_of(*text) : std::nullopt;
    if (!lease || lease->cluster != cluster)
      continue;
    auto name = path.filename().string();
    auto known = seen_.find(name);
    auto since = known != seen_.end() && known->second.content == *text ? known->second.since : now;
    found[name] = {std::move(*text), since};
    if (now - since <= lease_time_)
      result.push_back(std::move(*lease));
    else if (now - since > 10 * lease_time_)
      fs::remove(path, code);
  }
  seen_ = std::move(found);
  std::ranges::sort(result, {}, &node_lease::node);
  return result;
}

} // namespace troupe
