// SPDX-License-Identifier: Apache-2.0
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "actors/security/certificates.hpp"
#include "actors/security/openssl_handles.hpp"

namespace troupe {

namespace {

using openssl::certificate;

struct chain_parts {
  std::vector<certificate> own; // the node's, then intermediate ones
  std::vector<certificate> trusted;
};

struct stack_free {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); } // not what is in it
};

expected<void, error> no_memory() { return fail(errc::resource, "OpenSSL: " + openssl::take_error()); }

// OpenSSL's reason, or success as "".
expected<void, error> verify(const chain_parts& parts, const certificate_files& files, int purpose,
                             std::chrono::system_clock::time_point now) {
  openssl::store trusted{X509_STORE_new()};
  openssl::store_context context{X509_STORE_CTX_new()};
  std::unique_ptr<STACK_OF(X509), stack_free> between{sk_X509_new_null()};
  if (!trusted || !context || !between)
    return no_memory();
  for (auto& ca : parts.trusted)
    if (X509_STORE_add_cert(trusted.get(), ca.get()) != 1)
      return no_memory();
  for (std::size_t i = 1; i < parts.own.size(); ++i)
    if (sk_X509_push(between.get(), parts.own[i].get()) == 0)
      return no_memory();
  if (X509_STORE_CTX_init(context.get(), trusted.get(), parts.own.front().get(), between.get()) != 1)
    return no_memory();
  auto* parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(parameters, std::chrono::system_clock::to_time_t(now));
  X509_VERIFY_PARAM_set_purpose(parameters, purpose);
  if (X509_verify_cert(context.get()) == 1)
    return {};
  auto reason = X509_STORE_CTX_get_error(context.get());
  std::string text = X509_verify_cert_error_string(reason);
  openssl::take_error();
  auto depth = X509_STORE_CTX_get_error_depth(context.get());
  auto trusted_one = depth >= static_cast<int>(parts.own.size());
  auto faulty = (trusted_one ? files.ca : files.certificate).string();
  if (reason == X509_V_ERR_CERT_HAS_EXPIRED)
    return fail(errc::invalid_config, faulty + " has expired");
  if (reason == X509_V_ERR_CERT_NOT_YET_VALID)
    return fail(errc::invalid_config, faulty + " is not valid yet: its time begins later than this machine's clock");
  if (reason == X509_V_ERR_INVALID_PURPOSE)
    return fail(errc::invalid_config, faulty + " is not for servers and clients both");
  return fail(errc::invalid_config,
              files.certificate.string() + " is not signed by what " + files.ca.string() + " trusts: " + text);
}

} // namespace

expected<void, error> check_certificate_files(const certificate_files& files,
                                              std::chrono::system_clock::time_point now) {
  auto own = openssl::read_certificates(files.certificate);
  if (!own)
    return unexpected{own.error()};
  auto key = openssl::read_key(files.key);
  if (!key)
    return unexpected{key.error()};
  auto trusted = openssl::read_certificates(files.ca);
  if (!trusted)
    return unexpected{trusted.error()};
  if (X509_check_private_key(own->front().get(), key->get()) != 1) {
    openssl::take_error();
    return fail(errc::invalid_config,
                files.key.string() + " is not the key of the certificate in " + files.certificate.string());
  }
  chain_parts parts{std::move(*own), std::move(*trusted)};
  // A node accepts connections and makes them.
  for (auto purpose : {X509_PURPOSE_SSL_SERVER, X509_PURPOSE_SSL_CLIENT})
    if (auto verified = verify(parts, files, purpose, now); !verified)
      return verified;
  return {};
}

} // namespace troupe
