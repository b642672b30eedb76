// SPDX-License-Identifier: Apache-2.0
#include "actors/security/certificates.hpp"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "actors/security/openssl_handles.hpp"

namespace troupe {

namespace {

namespace fs = std::filesystem;
using openssl::certificate;
using openssl::key;

constexpr long day_seconds = 24 * 3600;
constexpr long authority_seconds = 3652 * day_seconds;
constexpr long node_seconds = 730 * day_seconds;
// Clocks of a cluster differ.
constexpr long early_seconds = 3600;
// X.509's bound of a common name.
constexpr std::size_t name_bytes_max = 64;

constexpr ::mode_t key_mode = 0600;
constexpr ::mode_t certificate_mode = 0644;

struct authority {
  certificate cert;
  openssl::key secret;
};

unexpected<error> openssl_failed(const std::string& what) {
  return fail(errc::internal, what + ": " + openssl::take_error());
}

// -- files --------------------------------------------------------------------------------------------

// Never over a file that is there.
expected<void, error> write_new(const fs::path& path, const std::string& text, ::mode_t mode) {
  auto fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0)
    return fail(errno == EEXIST ? errc::invalid_config : errc::resource,
                path.string() + " cannot be written: " + std::strerror(errno));
  auto rest = std::string_view{text};
  auto failed = ::fchmod(fd, mode) != 0 ? errno : 0; // whatever the umask
  while (failed == 0 && !rest.empty()) {
    auto written = ::write(fd, rest.data(), rest.size());
    if (written < 0)
      failed = errno;
    else
      rest.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::close(fd) != 0 && failed == 0)
    failed = errno;
  if (failed == 0)
    return {};
  ::unlink(path.c_str());
  return fail(errc::resource, path.string() + " cannot be written: " + std::strerror(failed));
}

std::string text_of(BIO* memory) {
  char* data = nullptr;
  auto bytes = BIO_get_mem_data(memory, &data);
  return bytes > 0 ? std::string(data, static_cast<std::size_t>(bytes)) : std::string{};
}

// The key first: a certificate without one is of no use.
expected<void, error> write_pair(const fs::path& certificate_path, const certificate& cert, const fs::path& key_path,
                                 const key& secret) {
  openssl::bio cert_text{BIO_new(BIO_s_mem())};
  openssl::bio key_text{BIO_new(BIO_s_mem())};
  if (!cert_text || !key_text || PEM_write_bio_X509(cert_text.get(), cert.get()) != 1
      || PEM_write_bio_PrivateKey(key_text.get(), secret.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return openssl_failed("cannot write PEM");
  if (auto written = write_new(key_path, text_of(key_text.get()), key_mode); !written)
    return written;
  auto written = write_new(certificate_path, text_of(cert_text.get()), certificate_mode);
  if (!written)
    ::unlink(key_path.c_str());
  return written;
}

// -- certificates -------------------------------------------------------------------------------------

bool draw_serial(X509* cert) {
  openssl::number value{BN_new()};
  return value && BN_rand(value.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1
         && BN_to_ASN1_INTEGER(value.get(), X509_get_serialNumber(cert)) != nullptr;
}

bool add_extension(X509* cert, X509* issuer, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  openssl::extension made{X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str())};
  return made && X509_add_ext(cert, made.get(), -1) == 1;
}

bool set_name(X509* cert, const std::string& name) {
  return X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0)
         == 1;
}

// A certificate of a key without extensions and signature; its issuer may be itself.
certificate begin_certificate(const std::string& name, const key& of, const certificate* issuer, long seconds) {
  certificate result{X509_new()};
  if (!result || X509_set_version(result.get(), 2) != 1 || !draw_serial(result.get()) || !set_name(result.get(), name)
      || X509_gmtime_adj(X509_getm_notBefore(result.get()), -early_seconds) == nullptr
      || X509_gmtime_adj(X509_getm_notAfter(result.get()), seconds) == nullptr
      || X509_set_pubkey(result.get(), of.get()) != 1)
    return nullptr;
  auto* issued_by = issuer != nullptr ? issuer->get() : result.get();
  if (X509_set_issuer_name(result.get(), X509_get_subject_name(issued_by)) != 1)
    return nullptr;
  return result;
}

expected<authority, error> make_authority(const fs::path& certificate_path, const fs::path& key_path) {
  key secret{EVP_EC_gen("P-256")};
  if (!secret)
    return openssl_failed("cannot make a key");
  auto cert = begin_certificate("Troupe cluster CA", secret, nullptr, authority_seconds);
  if (!cert || !add_extension(cert.get(), cert.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0")
      || !add_extension(cert.get(), cert.get(), NID_key_usage, "critical,keyCertSign,cRLSign")
      || !add_extension(cert.get(), cert.get(), NID_subject_key_identifier, "hash")
      || X509_sign(cert.get(), secret.get(), EVP_sha256()) == 0)
    return openssl_failed("cannot make the CA's certificate");
  if (auto written = write_pair(certificate_path, cert, key_path, secret); !written)
    return unexpected{written.error()};
  return authority{std::move(cert), std::move(secret)};
}

expected<authority, error> read_authority(const fs::path& certificate_path, const fs::path& key_path) {
  auto certs = openssl::read_certificates(certificate_path);
  if (!certs)
    return unexpected{certs.error()};
  auto secret = openssl::read_key(key_path);
  if (!secret)
    return unexpected{secret.error()};
  if (X509_check_private_key(certs->front().get(), secret->get()) != 1) {
    openssl::take_error();
    return fail(errc::invalid_config,
                key_path.string() + " is not the key of the certificate in " + certificate_path.string());
  }
  return authority{std::move(certs->front()), std::move(*secret)};
}

expected<void, error> make_node(const certificate_files& files, const std::string& name, const authority& by) {
  key secret{EVP_EC_gen("P-256")};
  if (!secret)
    return openssl_failed("cannot make a key");
  auto cert = begin_certificate(name, secret, &by.cert, node_seconds);
  auto add = [&](int what, const std::string& value) { return add_extension(cert.get(), by.cert.get(), what, value); };
  if (!cert || !add(NID_basic_constraints, "critical,CA:FALSE") || !add(NID_key_usage, "critical,digitalSignature")
      || !add(NID_ext_key_usage, "serverAuth,clientAuth") || !add(NID_subject_alt_name, "DNS:" + name)
      || !add(NID_subject_key_identifier, "hash") || !add(NID_authority_key_identifier, "keyid")
      || X509_sign(cert.get(), by.secret.get(), EVP_sha256()) == 0)
    return openssl_failed("cannot make the certificate of " + name);
  return write_pair(files.certificate, cert, files.key, secret);
}

// -- names --------------------------------------------------------------------------------------------

// What a host name may be, which is also safe in a path and in an extension's text.
bool is_name(const std::string& name) {
  auto alphanumeric = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !name.empty() && name.size() <= name_bytes_max && alphanumeric(name.front()) && name != "ca"
         && std::all_of(name.begin(), name.end(), [&](char c) { return alphanumeric(c) || c == '-' || c == '.'; });
}

expected<void, error> check_names(std::span<const std::string> nodes) {
  std::set<std::string> seen;
  for (auto& name : nodes) {
    if (!is_name(name))
      return fail(errc::invalid_argument,
                  "'" + name + "' is no name of a node: letters, digits, '-' and '.', 64 at most, and not 'ca'");
    if (!seen.insert(name).second)
      return fail(errc::invalid_argument, "node " + name + " is named twice");
  }
  return {};
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

void remove_made(const std::vector<certificate_files>& nodes) {
  std::error_code ignored;
  for (auto& files : nodes) {
    fs::remove(files.certificate, ignored);
    fs::remove(files.key, ignored);
  }
}

} // namespace

expected<made_certificates, error> make_certificates(const fs::path& folder, std::span<const std::string> nodes) {
  if (auto good = check_names(nodes); !good)
    return unexpected{good.error()};
  std::error_code code;
  fs::create_directories(folder, code);
  if (code)
    return fail(errc::resource, folder.string() + " cannot be made: " + code.message());
  made_certificates result;
  auto ca = folder / "ca.pem";
  for (auto& name : nodes)
    result.nodes.push_back({folder / (name + ".pem"), folder / (name + ".key"), ca});
  for (auto& files : result.nodes)
    for (auto& path : {files.certificate, files.key})
      if (is_there(path))
        return fail(errc::invalid_config, path.string() + " is there already; it is not overwritten");
  auto ca_key = folder / "ca.key";
  result.ca =
    is_there(ca) || is_there(ca_key) ? made_certificates::authority::found : made_certificates::authority::made;
  auto by = result.ca == made_certificates::authority::found ? read_authority(ca, ca_key) : make_authority(ca, ca_key);
  if (!by)
    return unexpected{by.error()};
  for (std::size_t i = 0; i < nodes.size(); ++i)
    if (auto made = make_node(result.nodes[i], nodes[i], *by); !made) {
      result.nodes.resize(i);
      remove_made(result.nodes);
      return unexpected{made.error()};
    }
  // An authority that was found may have expired, or be none.
  for (auto& files : result.nodes)
    if (auto usable = check_certificate_files(files); !usable) {
      remove_made(result.nodes);
      return unexpected{usable.error()};
    }
  return result;
}

} // namespace troupe
