// SPDX-License-Identifier: Apache-2.0
#include "transport/shared_memory/socket.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

namespace troupe::transport {

namespace {

// As many as may connect while the owner looks elsewhere.
constexpr int backlog = 128;

struct address {
  sockaddr_un name{};
  socklen_t bytes = 0;
};

// Abstract (the name begins with a zero byte): it is gone with the socket, and no file is left behind.
address address_of(peer_id peer) {
  address result;
  result.name.sun_family = AF_UNIX;
  auto text = "troupe-shm-" + std::to_string(peer.value);
  std::memcpy(result.name.sun_path + 1, text.data(), text.size());
  result.bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  return result;
}

descriptor make_socket() { return descriptor{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)}; }

} // namespace

expected<descriptor, error> listen_as(peer_id self) {
  auto result = make_socket();
  auto where = address_of(self);
  if (!result || ::bind(result.get(), reinterpret_cast<sockaddr*>(&where.name), where.bytes) != 0
      || ::listen(result.get(), backlog) != 0)
    return fail(errno == EADDRINUSE ? errc::invalid_argument : errc::resource,
                "cannot listen as peer " + std::to_string(self.value) + ": " + std::strerror(errno));
  return result;
}

expected<descriptor, error> connect_to(peer_id owner) {
  auto result = make_socket();
  if (!result)
    return fail(errc::resource, std::string{"cannot make a socket: "} + std::strerror(errno));
  auto where = address_of(owner);
  if (::connect(result.get(), reinterpret_cast<sockaddr*>(&where.name), where.bytes) != 0)
    return fail(errno == EAGAIN || errno == EINTR ? errc::no_credit : errc::peer_gone,
                "peer " + std::to_string(owner.value) + ": " + std::strerror(errno));
  // Anybody may take an abstract name: bytes go to nobody else's memory.
  if (!is_of_same_user(result))
    return fail(errc::peer_gone, "peer " + std::to_string(owner.value) + " is of another user");
  return result;
}

bool is_of_same_user(const descriptor& connected) {
  ucred other{};
  socklen_t bytes = sizeof other;
  return ::getsockopt(connected.get(), SOL_SOCKET, SO_PEERCRED, &other, &bytes) == 0 && other.uid == ::geteuid();
}

} // namespace troupe::transport
