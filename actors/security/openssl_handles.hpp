// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "messages/errc.hpp"

// Owners of OpenSSL's objects, and reading them from files: what making and checking certificates share.
namespace troupe::openssl {

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

using bio = std::unique_ptr<BIO, freed_by<BIO_free_all>>;
using number = std::unique_ptr<BIGNUM, freed_by<BN_free>>;
using key = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using certificate = std::unique_ptr<X509, freed_by<X509_free>>;
using extension = std::unique_ptr<X509_EXTENSION, freed_by<X509_EXTENSION_free>>;
using store = std::unique_ptr<X509_STORE, freed_by<X509_STORE_free>>;
using store_context = std::unique_ptr<X509_STORE_CTX, freed_by<X509_STORE_CTX_free>>;

/// What OpenSSL said last; empties its list of errors.
std::string take_error();

/// All certificates of a PEM file, at least one. The context of an error names the file.
expected<std::vector<certificate>, error> read_certificates(const std::filesystem::path&);

/// The private key of a PEM file; one with a password is refused.
expected<key, error> read_key(const std::filesystem::path&);

} // namespace troupe::openssl
