// SPDX-License-Identifier: Apache-2.0
#include "actors/node/lease_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <optional>
#include <sstream>
#include <system_error>

#include <fmt/format.h>

#include "messages/descriptor.hpp"

namespace troupe {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t lease_bytes_max = 1024;
constexpr std::size_t files_max = 4096;
constexpr std::string_view heading = "troupe-lease 1";

/// The first kilobyte; nothing if it cannot be read, is longer, or no regular file: opening a pipe would wait.
std::optional<std::string> content_of(const fs::path& file) {
  const descriptor in{::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)};
  struct stat about{};
  if (!in || ::fstat(in.get(), &about) != 0 || !S_ISREG(about.st_mode))
    return std::nullopt;
  std::string result(lease_bytes_max + 1, '\0');
  std::size_t bytes = 0;
  while (bytes < result.size()) {
    auto got = ::read(in.get(), result.data() + bytes, result.size() - bytes);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return std::nullopt;
    if (got == 0)
      break;
    bytes += static_cast<std::size_t>(got);
  }
  if (bytes == 0 || bytes > lease_bytes_max)
    return std::nullopt;
  result.resize(bytes);
  return result;
}

/// 0, or the errno of the failure.
int write_file(const fs::path& file, std::string_view text) {
  const descriptor out{::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0666)};
  if (!out)
    return errno;
  while (!text.empty()) {
    auto written = ::write(out.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return errno;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

/// The process that a draft of this node's lease, `<node>.lease.<process>.draft`, is of.
std::optional<pid_t> writer_of_draft(const std::string& name, const std::string& lease_name) {
  constexpr std::string_view ending = ".draft";
  if (!name.starts_with(lease_name + ".") || !name.ends_with(ending))
    return std::nullopt;
  auto begin = name.data() + lease_name.size() + 1;
  auto end = name.data() + name.size() - ending.size();
  pid_t result = 0;
  auto [next, code] = std::from_chars(begin, end, result);
  return code == std::errc{} && next == end && result > 0 ? std::optional{result} : std::nullopt;
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
  if (renewals_ == 0)
    remove_drafts_of_the_dead(file.filename().string());
  auto draft = file;
  draft += fmt::format(".{}.draft", ::getpid());
  std::error_code code;
  if (auto failure = write_file(draft, text_of(mine, ++renewals_)); failure != 0) {
    fs::remove(draft, code);
    return fail(errc::resource, "cannot write " + draft.string() + ": " + std::strerror(failure));
  }
  fs::rename(draft, file, code);
  if (code) {
    std::error_code ignored;
    fs::remove(draft, ignored);
    return fail(errc::resource, "cannot write " + file.string() + ": " + code.message());
  }
  return {};
}

void lease_folder::remove_drafts_of_the_dead(const std::string& lease_name) const {
  std::error_code code;
  fs::directory_iterator files{folder_, code};
  for (std::size_t i = 0; !code && i < files_max && files != fs::directory_iterator{}; ++i, files.increment(code)) {
    auto writer = writer_of_draft(files->path().filename().string(), lease_name);
    std::error_code ignored;
    if (writer && ::kill(*writer, 0) != 0 && errno == ESRCH)
      fs::remove(files->path(), ignored);
  }
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
