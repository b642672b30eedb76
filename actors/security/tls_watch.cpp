// SPDX-License-Identifier: Apache-2.0
#include "actors/security/tls_watch.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <mutex>
#include <string>
#include <utility>

#include "actors/security/strangers.hpp"

namespace troupe {

namespace {

/// What is kept with a connection: a peer that has gone away has no address any more.
struct handshake {
  std::string peer;
  bool is_logged = false;
};

int handshake_slot() {
  static const int slot =
    SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, [](void*, void* kept, CRYPTO_EX_DATA*, int, long, void*) {
      strangers::leave(kept);
      delete static_cast<handshake*>(kept);
    });
  return slot;
}

handshake* handshake_of(const SSL* connection) {
  return static_cast<handshake*>(SSL_get_ex_data(connection, handshake_slot()));
}

void note_failure(const SSL* connection, const char* what, const std::string& why) {
  auto* kept = handshake_of(connection);
  if (!kept || SSL_is_init_finished(connection) || std::exchange(kept->is_logged, true))
    return;
  if (SSL_is_server(connection) && !strangers::leave(kept))
    return; // it was shown out, and that was logged
  log_stranger("cluster", what, kept->peer, why);
}

/// OpenSSL keeps the errors of a thread in one queue and takes any that is in it for that of the connection which asks
/// next. CAF does not empty it, so that a stranger's failed handshake would end connections of others. Therefore it is
/// emptied before each connection reads or, its handshake over, writes.
long forget_errors_of_others(BIO* socket, int operation, const char*, std::size_t, int, long, int result,
                             std::size_t*) {
  const auto* connection = reinterpret_cast<const SSL*>(BIO_get_callback_arg(socket));
  if (operation == BIO_CB_READ || (operation == BIO_CB_WRITE && SSL_is_init_finished(connection)))
    ERR_clear_error();
  return result;
}

std::string reason_of(unsigned long code) {
  const char* text = ERR_reason_error_string(code);
  return text ? text : "error " + std::to_string(code);
}

void begin(SSL* connection) {
  if (handshake_of(connection))
    return; // a renegotiation
  auto* kept = new handshake{address_behind(SSL_get_fd(connection))};
  SSL_set_ex_data(connection, handshake_slot(), kept);
  if (SSL_is_server(connection))
    strangers::enter(kept, SSL_get_fd(connection));
  for (auto* socket : {SSL_get_rbio(connection), SSL_get_wbio(connection)}) {
    BIO_set_callback_arg(socket, reinterpret_cast<char*>(connection));
    BIO_set_callback_ex(socket, forget_errors_of_others);
  }
}

/// Called by OpenSSL on the thread of the connection.
void note(const SSL* connection, int where, int value) {
  if ((where & SSL_CB_HANDSHAKE_START) != 0)
    begin(const_cast<SSL*>(connection));
  else if ((where & SSL_CB_HANDSHAKE_DONE) != 0)
    strangers::leave(handshake_of(connection));
  else if (where == SSL_CB_WRITE_ALERT)
    note_failure(connection, "a connection was refused", SSL_alert_desc_string_long(value));
  else if (where == SSL_CB_READ_ALERT)
    note_failure(connection, "this node was refused", SSL_alert_desc_string_long(value));
  else if ((where == SSL_CB_ACCEPT_EXIT || where == SSL_CB_CONNECT_EXIT) && value <= 0 && ERR_peek_error() != 0)
    note_failure(connection, "a connection was refused", reason_of(ERR_peek_error()));
}

/// Called by OpenSSL for each context that is made, by CAF, too, which offers no way to its own.
void watch_context(void* context, void*, CRYPTO_EX_DATA*, int, long, void*) {
  SSL_CTX_set_info_callback(static_cast<SSL_CTX*>(context), note);
}

} // namespace

void watch_tls_connections() {
  static std::once_flag once;
  std::call_once(once, [] { SSL_CTX_get_ex_new_index(0, nullptr, watch_context, nullptr, nullptr); });
}

} // namespace troupe
