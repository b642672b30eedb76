// SPDX-License-Identifier: Apache-2.0
#include "transport/shared_memory/packet.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace troupe::transport {

namespace {

// Room for the file of one packet. Alignment leaves room for a second one, which nobody should send.
constexpr std::size_t files_max = 2;
union control_buffer {
  cmsghdr align;
  char bytes[CMSG_SPACE(files_max * sizeof(int))];
};

bool is_sound(const packet& p) {
  const packet model;
  return p.magic == model.magic && p.version == model.version && p.kind >= packet_kind::hello
         && p.kind <= packet_kind::revoke && p.note_bytes <= note_bytes_max && p.result <= errc::resource;
}

// Closes what should not have come. Returns how many files came.
std::size_t take_files(msghdr& message, descriptor& first) {
  std::size_t count = 0;
  for (auto c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
      continue;
    auto files = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < files; ++i, ++count) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      descriptor file{fd};
      if (count == 0)
        first = std::move(file);
    }
  }
  return count;
}

// A packet of no bytes reads like the end.
bool has_ended(const descriptor& d) {
  pollfd look{d.get(), POLLRDHUP, 0};
  return ::poll(&look, 1, 0) == 1;
}

} // namespace

sent send_packet(const descriptor& to, const packet& what, int file) {
  iovec bytes{const_cast<packet*>(&what), sizeof what};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  control_buffer control{};
  if (file >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof file);
    auto c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof file);
    std::memcpy(CMSG_DATA(c), &file, sizeof file);
  }
  if (::sendmsg(to.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof what))
    return sent::done;
  auto may_pass = errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS;
  return may_pass ? sent::full : sent::gone;
}

received receive_packet(const descriptor& from) {
  received result;
  iovec bytes{&result.what, sizeof result.what};
  control_buffer control{};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  auto count = ::recvmsg(from.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  // Reset: the other end closed without reading everything. That is said once; what it sent comes after it.
  if (count < 0 && errno == ECONNRESET)
    count = ::recvmsg(from.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (count < 0) {
    auto later = errno == EAGAIN || errno == EINTR || errno == ENOMEM;
    result.how = later ? received::outcome::nothing : received::outcome::ended;
    return result;
  }
  auto files = take_files(message, result.file);
  auto cut = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  if (count == 0 && files == 0 && !cut && has_ended(from))
    result.how = received::outcome::ended;
  else if (count != static_cast<ssize_t>(sizeof result.what) || cut || !is_sound(result.what)
           || files != (result.what.kind == packet_kind::granted ? 1U : 0U))
    result.how = received::outcome::malformed;
  else
    result.how = received::outcome::packet;
  return result;
}

} // namespace troupe::transport
