// Which certificates and keys HTTPS takes: a pair that serves, and nothing that makes the server wait.
#include "server/tls_context.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "server/secrets.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;

class TlsContext : public ::testing::Test {
 protected:
  TlsContext() {
    fs::create_directories(root_);
    make("ec", EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
    make("other", EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
    make("rsa", EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{2048}));
    mkfifo(path("pipe").c_str(), 0600);
  }
  ~TlsContext() override { fs::remove_all(root_); }
  std::string path(const std::string& name) const { return (root_ / name).string(); }
  /// Writes NAME.pem (certificate), NAME.key, and NAME.locked, the key under a passphrase.
  void make(const std::string& name, EVP_PKEY* key) {
    X509* certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    write(name + ".pem", [&](FILE* file) { PEM_write_X509(file, certificate); });
    write(name + ".key", [&](FILE* file) { PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr); });
    std::string passphrase = "secret";
    write(name + ".locked", [&](FILE* file) { PEM_write_PKCS8PrivateKey(file, key, EVP_aes_256_cbc(), passphrase.data(), static_cast<int>(passphrase.size()), nullptr, nullptr); });
    write(name + ".oldlocked", [&](FILE* file) {
      BIO* bio = BIO_new_fp(file, BIO_NOCLOSE);
      PEM_write_bio_PrivateKey_traditional(bio, key, EVP_aes_256_cbc(), reinterpret_cast<unsigned char*>(passphrase.data()), static_cast<int>(passphrase.size()), nullptr, nullptr);
      BIO_free(bio);
    });
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  template <class Write>
  void write(const std::string& name, Write content) {
    FILE* file = fopen(path(name).c_str(), "w");
    content(file);
    fclose(file);
    chmod(path(name).c_str(), 0600);
  }
  const fs::path root_ = fs::temp_directory_path() / ("amphi-tls-" + std::to_string(getpid()));
};

TEST_F(TlsContext, takes_a_certificate_with_its_own_key_and_nothing_else) {
  struct Row {
    const char *certificate, *key;
    const char* why;  // "": taken
  };
  for (const Row& row : {Row{"ec.pem", "ec.key", ""}, Row{"rsa.pem", "rsa.key", ""}, Row{"ec.pem", "rsa.key", "not the key of the certificate"}, Row{"rsa.pem", "ec.key", "not the key of the certificate"},
                         Row{"ec.pem", "other.key", "TLS key"}, Row{"ec.pem", "ec.locked", "is encrypted"}, Row{"ec.pem", "ec.oldlocked", "is encrypted"}, Row{"rsa.pem", "rsa.locked", "is encrypted"},
                         Row{"ec.key", "ec.key", "TLS certificate"}, Row{"ec.pem", "ec.pem", "TLS key"}, Row{"pipe", "ec.key", "not a regular file"}, Row{"ec.pem", "pipe", "not a regular file"},
                         Row{".", "ec.key", "not a regular file"}, Row{"ec.pem", ".", "not a regular file"}, Row{"none", "ec.key", "does not exist"}}) {
    const auto read = read_tls_context(path(row.certificate), path(row.key));
    EXPECT_EQ(read.has_value(), *row.why == 0) << row.certificate << " " << row.key;
    if (!read) {
      EXPECT_NE(read.error().message.find(row.why), std::string::npos) << row.certificate << " " << row.key << ": " << read.error().message;
    }
  }
}

TEST_F(TlsContext, secrets_are_read_together_and_each_is_named) {
  const auto text = [&](const std::string& name, const std::string& content) { write(name, [&](FILE* file) { fputs(content.c_str(), file); }); };
  text("token.key", std::string(64, 'a'));
  text("metrics.token", "0123456789abcdef");
  text("recording.key", std::string(64, 'b'));
  write("signing.key", [&](FILE* file) {
    EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    write("signing.locked", [&](FILE* locked) { PEM_write_PKCS8PrivateKey(locked, key, EVP_aes_256_cbc(), "secret", 6, nullptr, nullptr); });
    EVP_PKEY_free(key);
  });
  EXPECT_NE(Safe::open(path("signing.locked"), "").error().message.find("is encrypted"), std::string::npos);
  EXPECT_EQ(Secrets::read(ServeConfig{})->names, "");
  ServeConfig config;
  config.key_file = path("token.key");
  config.tls_cert = path("ec.pem");
  config.tls_key = path("ec.key");
  config.metrics_token_file = path("metrics.token");
  config.recording_signing_key = path("signing.key");
  config.recording_key = path("recording.key");
  const auto all = Secrets::read(config);
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_EQ(all->names, "token key, TLS certificate and key, metrics token, recording signing key, recording encryption key");
  EXPECT_EQ(all->metrics_token, "0123456789abcdef");
  EXPECT_TRUE(all->tls);
  for (std::string ServeConfig::* file : {&ServeConfig::key_file, &ServeConfig::tls_key, &ServeConfig::metrics_token_file, &ServeConfig::recording_signing_key, &ServeConfig::recording_key}) {
    ServeConfig broken = config;
    broken.*file = path("ec.locked");
    EXPECT_FALSE(Secrets::read(broken)) << "one that cannot be used spoils all";
  }
}

TEST_F(TlsContext, new_recordings_use_a_new_encryption_key_and_those_of_before_stay_readable) {
  const auto keyed = [&](char digit) {
    write("recording.key", [&](FILE* file) { fputs(std::string(64, digit).c_str(), file); });
    return *Safe::open("", path("recording.key"));
  };
  recording::RecordingInfo info;
  info.session = SessionId("theatre");
  info.id = RecordingId("r1");
  Safe safe = keyed('a');
  const Safe shared = safe;
  const recording::WrappedKey former = safe.for_new(info).sealer->wrapped();
  safe.replace_by(keyed('b'));
  const recording::WrappedKey newer = shared.for_new(info).sealer->wrapped();
  EXPECT_NE(newer.key_id, former.key_id) << "also through a copy";
  for (const Safe* reader : std::initializer_list<const Safe*>{&safe, &shared}) {
    EXPECT_TRUE(reader->for_existing(former, info)) << "recorded under the former key";
    EXPECT_TRUE(reader->for_existing(newer, info));
  }
  EXPECT_FALSE(keyed('c').for_existing(former, info));
}

}  // namespace
}  // namespace amphi::server
