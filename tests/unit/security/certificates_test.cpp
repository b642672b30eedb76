// SPDX-License-Identifier: Apache-2.0
#include "actors/security/certificates.hpp"

#include <doctest/doctest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "actors/security/openssl_handles.hpp"

using namespace troupe;
namespace fs = std::filesystem;

namespace {

using std::chrono::hours;

// A folder that is gone with its test.
struct temporary_folder {
  fs::path path;
  temporary_folder() {
    auto name = (fs::temp_directory_path() / "troupe-certificates-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~temporary_folder() { fs::remove_all(path); }
};

std::vector<certificate_files> make(const fs::path& folder, std::vector<std::string> nodes) {
  auto made = make_certificates(folder, nodes);
  REQUIRE_MESSAGE(made, made.error().context);
  return made->nodes;
}

error why_not(const fs::path& folder, std::vector<std::string> nodes) {
  auto made = make_certificates(folder, nodes);
  REQUIRE_FALSE(made);
  return made.error();
}

error fault_of(const certificate_files& files, std::chrono::system_clock::time_point now) {
  auto checked = check_certificate_files(files, now);
  REQUIRE_FALSE(checked);
  return checked.error();
}
error fault_of(const certificate_files& files) { return fault_of(files, std::chrono::system_clock::now()); }

std::string content_of(const fs::path& path) {
  std::ostringstream out;
  out << std::ifstream{path}.rdbuf();
  return out.str();
}

void write_file(const fs::path& path, const std::string& text) { std::ofstream{path} << text; }

unsigned mode_of(const fs::path& path) {
  struct ::stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777U;
}

bool begins_with(const error& e, const fs::path& file) { return e.context.starts_with(file.string() + " "); }

int days_valid(X509* cert) {
  int days = 0;
  int seconds = 0;
  ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(cert), X509_get0_notAfter(cert));
  return days;
}

} // namespace

TEST_CASE("what is made can be used by its node, for its years and no longer") {
  temporary_folder folder;
  auto now = std::chrono::system_clock::now();
  for (auto& files : make(folder.path / "new" / "folder", {"a", "b.example.org"})) {
    CHECK(check_certificate_files(files));
    CHECK(check_certificate_files(files, now + hours{24} * 729));
    auto expired = fault_of(files, now + hours{24} * 731);
    CHECK(expired.code == errc::invalid_config);
    CHECK(expired.context == files.certificate.string() + " has expired");
    CHECK(begins_with(fault_of(files, now - hours{2}), files.certificate.parent_path() / "ca.pem"));
    CHECK(mode_of(files.key) == 0600);
    CHECK(mode_of(files.certificate) == 0644);
  }
  CHECK(mode_of(folder.path / "new" / "folder" / "ca.key") == 0600);
}

TEST_CASE("certificates say who they are and what they are for") {
  temporary_folder folder;
  auto files = make(folder.path, {"b.example.org"}).front();
  auto ca = std::move(openssl::read_certificates(files.ca)->front());
  auto node = std::move(openssl::read_certificates(files.certificate)->front());
  CHECK(X509_check_ca(ca.get()) == 1);
  CHECK((X509_get_key_usage(ca.get()) & KU_KEY_CERT_SIGN) != 0);
  CHECK(days_valid(ca.get()) == 3652);
  CHECK((X509_get_extension_flags(node.get()) & EXFLAG_CA) == 0);
  CHECK(X509_get_extended_key_usage(node.get()) == (XKU_SSL_SERVER | XKU_SSL_CLIENT));
  CHECK(days_valid(node.get()) == 730);
  CHECK(X509_check_host(node.get(), "b.example.org", 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, nullptr) == 1);
  CHECK(X509_check_host(node.get(), "c.example.org", 0, 0, nullptr) == 0);
  CHECK(X509_verify(node.get(), X509_get0_pubkey(ca.get())) == 1);
  for (auto* cert : {ca.get(), node.get()})
    CHECK(EVP_PKEY_get_bits(X509_get0_pubkey(cert)) == 256);
  CHECK(ASN1_INTEGER_cmp(X509_get0_serialNumber(ca.get()), X509_get0_serialNumber(node.get())) != 0);
}

TEST_CASE("an authority is made once, and what it signs later is trusted, too") {
  temporary_folder folder;
  CHECK(make_certificates(folder.path, std::vector<std::string>{"a"})->ca == made_certificates::authority::made);
  auto ca = content_of(folder.path / "ca.pem");
  auto later = make_certificates(folder.path, std::vector<std::string>{"b"});
  REQUIRE(later);
  CHECK(later->ca == made_certificates::authority::found);
  CHECK(content_of(folder.path / "ca.pem") == ca);
  CHECK(check_certificate_files(later->nodes.front()));
}

TEST_CASE("no file of a node is overwritten, and then nothing is made") {
  temporary_folder folder;
  auto a = make(folder.path, {"a"}).front();
  auto before = content_of(a.key);
  auto refused = why_not(folder.path, {"b", "a"});
  CHECK(refused.code == errc::invalid_config);
  CHECK(begins_with(refused, a.certificate));
  CHECK(content_of(a.key) == before);
  CHECK_FALSE(fs::exists(folder.path / "b.pem"));
  fs::remove(a.certificate);
  CHECK(begins_with(why_not(folder.path, {"a"}), a.key));
}

TEST_CASE("names that are no host names are refused before anything is made") {
  temporary_folder folder;
  auto where = folder.path / "none";
  for (auto name : {"", "ca", ".", "..", "../a", "a/b", "a b", "a,DNS:b", "-a", "ä", "a\n"})
    CHECK(why_not(where, {"good", name}).code == errc::invalid_argument);
  CHECK(why_not(where, {std::string(65, 'a')}).code == errc::invalid_argument);
  CHECK(why_not(where, {"a", "a"}).code == errc::invalid_argument);
  CHECK_FALSE(fs::exists(where));
}

TEST_CASE("a folder that cannot be written is a lack of a resource") {
  temporary_folder folder;
  write_file(folder.path / "file", "");
  CHECK(why_not(folder.path / "file" / "below", {"a"}).code == errc::resource);
}

TEST_CASE("an authority that is broken signs nothing") {
  temporary_folder folder;
  temporary_folder elsewhere;
  make(folder.path, {"a"});
  make(elsewhere.path, {"a"});
  auto key = folder.path / "ca.key";
  auto own = content_of(key);
  write_file(key, content_of(elsewhere.path / "ca.key"));
  CHECK(begins_with(why_not(folder.path, {"b"}), key));
  fs::remove(key);
  CHECK(begins_with(why_not(folder.path, {"b"}), key));
  // A node's certificate is no authority: what it signs is not trusted, and taken away again.
  write_file(key, content_of(folder.path / "a.key"));
  write_file(folder.path / "ca.pem", content_of(folder.path / "a.pem"));
  CHECK(why_not(folder.path, {"b"}).code == errc::invalid_config);
  CHECK_FALSE(fs::exists(folder.path / "b.pem"));
  CHECK_FALSE(fs::exists(folder.path / "b.key"));
  CHECK_FALSE(own.empty());
}

TEST_CASE("another node's key, another cluster's authority: the sentence names the file") {
  temporary_folder folder;
  temporary_folder elsewhere;
  auto nodes = make(folder.path, {"a", "b"});
  auto stranger = make(elsewhere.path, {"a"}).front();
  auto wrong_key = fault_of({nodes[0].certificate, nodes[1].key, nodes[0].ca});
  CHECK(wrong_key.code == errc::invalid_config);
  CHECK(begins_with(wrong_key, nodes[1].key));
  auto wrong_ca = fault_of({nodes[0].certificate, nodes[0].key, stranger.ca});
  CHECK(wrong_ca.code == errc::invalid_config);
  CHECK(begins_with(wrong_ca, nodes[0].certificate));
  CHECK(wrong_ca.context.find(stranger.ca.string()) != std::string::npos);
  // Two authorities in one file, while a cluster changes from one to the other.
  auto both = folder.path / "both.pem";
  write_file(both, content_of(stranger.ca) + content_of(nodes[0].ca));
  CHECK(check_certificate_files({nodes[0].certificate, nodes[0].key, both}));
  CHECK(check_certificate_files({stranger.certificate, stranger.key, both}));
  // The authority itself is no node.
  CHECK_FALSE(check_certificate_files({nodes[0].ca, folder.path / "ca.key", nodes[0].ca}));
}

TEST_CASE("a missing, empty, cut or foreign file is named") {
  temporary_folder folder;
  auto good = make(folder.path, {"a"}).front();
  auto bad = folder.path / "bad";
  std::vector<certificate_files> cases{
    {bad, good.key, good.ca}, {good.certificate, bad, good.ca}, {good.certificate, good.key, bad}};
  std::vector<std::string> sources{content_of(good.certificate), content_of(good.key), content_of(good.ca)};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    fs::remove(bad);
    auto missing = fault_of(cases[i]);
    CHECK(missing.code == errc::resource);
    CHECK(begins_with(missing, bad));
    // Without its last newline a file is still whole.
    for (std::size_t bytes = 0; bytes + 1 < sources[i].size(); bytes += 7) {
      write_file(bad, sources[i].substr(0, bytes));
      auto fault = fault_of(cases[i]);
      CHECK(fault.code == errc::invalid_config);
      CHECK(begins_with(fault, bad));
    }
    for (auto& foreign : {std::string(2 << 20, 'x'), std::string{"certificate"}, std::string(1000, '\0')}) {
      write_file(bad, foreign);
      CHECK(begins_with(fault_of(cases[i]), bad));
    }
    fs::remove(bad);
    fs::create_directory(bad);
    CHECK(begins_with(fault_of(cases[i]), bad));
    fs::remove(bad);
    REQUIRE(::mkfifo(bad.c_str(), 0600) == 0); // nobody writes: empty, without waiting
    CHECK(begins_with(fault_of(cases[i]), bad));
  }
}

TEST_CASE("a key with a password is refused instead of asking for it") {
  temporary_folder folder;
  auto files = make(folder.path, {"a"}).front();
  auto key = openssl::read_key(files.key);
  REQUIRE(key);
  auto locked = folder.path / "locked.key";
  openssl::bio out{BIO_new_file(locked.c_str(), "w")};
  char password[] = "secret";
  REQUIRE(PEM_write_bio_PrivateKey(out.get(), key->get(), EVP_aes_256_cbc(), nullptr, 0, nullptr, password) == 1);
  out.reset();
  CHECK(begins_with(fault_of({files.certificate, locked, files.ca}), locked));
}
