// SPDX-License-Identifier: Apache-2.0
#include "actors/security/openssl_handles.hpp"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace troupe::openssl {

namespace {

constexpr std::size_t file_bytes_max = 1 << 20;
constexpr std::size_t certificates_max = 64;

expected<std::string, error> read_text(const std::filesystem::path& path) {
  auto refused = [&] { return fail(errc::resource, path.string() + " cannot be read: " + std::strerror(errno)); };
  // Not blocking: a pipe by this name would keep the node from starting.
  auto fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return refused();
  std::string result;
  std::array<char, 4096> piece;
  ::ssize_t got = 0;
  while (result.size() <= file_bytes_max && (got = ::read(fd, piece.data(), piece.size())) > 0)
    result.append(piece.data(), static_cast<std::size_t>(got));
  auto answer = got < 0 ? expected<std::string, error>{refused()} : expected<std::string, error>{std::move(result)};
  ::close(fd);
  if (answer && answer->size() > file_bytes_max)
    return fail(errc::invalid_config, path.string() + " is too large for a PEM file");
  return answer;
}

bio memory_of(const std::string& text) { return bio{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))}; }

bool at_end() { return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE; }

// Otherwise OpenSSL asks for a password at the terminal.
int no_password(char*, int, int, void*) { return -1; }

} // namespace

std::string take_error() {
  std::array<char, 256> text{};
  auto code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0)
    return "unknown error";
  if (auto* reason = ERR_reason_error_string(code))
    return reason;
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

expected<std::vector<certificate>, error> read_certificates(const std::filesystem::path& path) {
  auto text = read_text(path);
  if (!text)
    return unexpected{text.error()};
  auto from = memory_of(*text);
  std::vector<certificate> result;
  ERR_clear_error();
  while (certificate next{PEM_read_bio_X509(from.get(), nullptr, no_password, nullptr)}) {
    if (result.size() == certificates_max)
      return fail(errc::invalid_config, path.string() + " holds too many certificates");
    result.push_back(std::move(next));
  }
  auto complete = at_end();
  auto reason = take_error();
  if (result.empty() && complete)
    return fail(errc::invalid_config, path.string() + " holds no certificate");
  if (!complete)
    return fail(errc::invalid_config, path.string() + " is damaged: " + reason);
  return result;
}

expected<key, error> read_key(const std::filesystem::path& path) {
  auto text = read_text(path);
  if (!text)
    return unexpected{text.error()};
  ERR_clear_error();
  key result{PEM_read_bio_PrivateKey(memory_of(*text).get(), nullptr, no_password, nullptr)};
  if (!result)
    return fail(errc::invalid_config, path.string() + " holds no private key without a password: " + take_error());
  return result;
}

} // namespace troupe::openssl
