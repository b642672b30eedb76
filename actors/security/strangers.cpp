// SPDX-License-Identifier: Apache-2.0
#include "actors/security/strangers.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <map>
#include <mutex>
#include <set>

#include "actors/log/log.hpp"

namespace troupe {

namespace {

constexpr std::size_t complaints_max = 256;

bool is_new(const std::string& complaint) {
  static std::mutex mutex;
  static std::set<std::string> made;
  const std::lock_guard lock{mutex};
  return made.size() < complaints_max && made.insert(complaint).second;
}

struct stranger {
  int fd = -1;
  std::chrono::steady_clock::time_point since;
};

struct waiting_room {
  std::mutex mutex;
  std::map<const void*, stranger> inside;
};

// Never destroyed: connections may end after the static objects.
waiting_room& room() {
  static auto* the_room = new waiting_room;
  return *the_room;
}

} // namespace

std::string address_behind(int fd) {
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  char text[INET6_ADDRSTRLEN] = {};
  if (fd < 0 || ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) != 0)
    return "unknown";
  const void* address = peer.ss_family == AF_INET6
                          ? static_cast<const void*>(&reinterpret_cast<sockaddr_in6*>(&peer)->sin6_addr)
                          : &reinterpret_cast<sockaddr_in*>(&peer)->sin_addr;
  return ::inet_ntop(peer.ss_family, address, text, sizeof text) ? text : "unknown";
}

void log_stranger(std::string_view component, std::string_view message, std::string_view address,
                  std::string_view why) {
  std::string complaint;
  for (auto part : {component, message, address, why})
    (complaint += part) += '\n';
  if (is_new(complaint))
    log_warning(component, message, {{"address", address}, {"why", why}});
}

namespace strangers {

void enter(const void* connection, int fd) {
  const std::lock_guard lock{room().mutex};
  room().inside.insert_or_assign(connection, stranger{fd, std::chrono::steady_clock::now()});
}

bool leave(const void* connection) {
  const std::lock_guard lock{room().mutex};
  return room().inside.erase(connection) != 0;
}

void show_out(std::chrono::steady_clock::time_point now) {
  // Under the lock, so that no descriptor is closed, and given to somebody else, in between.
  const std::lock_guard lock{room().mutex};
  std::erase_if(room().inside, [now](auto& entry) {
    auto& [connection, who] = entry;
    if (now - who.since <= stranger_patience)
      return false;
    log_stranger("cluster", "a connection was refused", address_behind(who.fd), "it did not say who it is");
    ::shutdown(who.fd, SHUT_RDWR);
    return true;
  });
}

} // namespace strangers

} // namespace troupe
