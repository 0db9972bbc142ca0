// The process's certificate (self-signed, ECDSA P-256), fingerprints (RFC 8122 5), and the SSL context with the rule
// that only the certificate named by the session description is accepted, at either end, while the handshake still
// runs.
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/rand.h>

#include <algorithm>

#include "dtls/openssl.h"

namespace amphi::dtls {
namespace {

// GCM with an ECDSA certificate is what everybody picks; RSA is for servers that have nothing else.
constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384";

bool equal_no_case(std::string_view a, std::string_view b) {
  const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; };
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (upper(a[i]) != upper(b[i])) return false;
  }
  return true;
}

/// Takes the place of OpenSSL's chain building: there is no chain, there is the fingerprint. A refusal here makes
/// OpenSSL send a fatal bad_certificate alert, and no keys ever exist.
int check_peer(X509_STORE_CTX* store, void*) {
  auto* const ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* const check = static_cast<PeerCheck*>(SSL_get_app_data(ssl));
  const X509* const certificate = X509_STORE_CTX_get0_cert(store);
  if (certificate && check && check->expected) {
    const std::string seen = fingerprint_of(certificate, check->expected->algorithm);
    const auto& values = check->expected->values;
    if (!seen.empty() && std::any_of(values.begin(), values.end(), [&](const std::string& value) { return equal_no_case(seen, value); })) {
      X509_STORE_CTX_set_error(store, X509_V_OK);
      return 1;
    }
  }
  if (check) check->mismatch = true;
  X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
  return 0;
}

X509Certificate self_signed(EVP_PKEY* key) {
  X509Certificate certificate(X509_new());
  std::uint64_t serial = 0;
  if (!certificate || RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) != 1) return nullptr;
  X509* const x = certificate.get();
  X509_NAME* const name = X509_get_subject_name(x);
  const auto* const common_name = reinterpret_cast<const unsigned char*>("amphi");
  // Fixed dates: nobody checks them (the fingerprint is what counts), and no clock is read here.
  const bool made =
      X509_set_version(x, 2) == 1 && ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial >> 1) == 1 &&
      ASN1_TIME_set_string(X509_getm_notBefore(x), "20000101000000Z") == 1 &&
      ASN1_TIME_set_string(X509_getm_notAfter(x), "20991231235959Z") == 1 &&
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common_name, -1, -1, 0) == 1 &&
      X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, key) == 1 && X509_sign(x, key, EVP_sha256()) > 0;
  return made ? std::move(certificate) : nullptr;
}

SslContext make_context(X509* certificate, EVP_PKEY* key) {
  SslContext context(SSL_CTX_new(DTLS_method()));
  if (!context) return nullptr;
  SSL_CTX* const c = context.get();
  SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(c, &check_peer, nullptr);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(
      c, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  const bool made = SSL_CTX_set_min_proto_version(c, DTLS1_2_VERSION) == 1 &&
                    SSL_CTX_set_max_proto_version(c, DTLS1_2_VERSION) == 1 &&
                    SSL_CTX_set_cipher_list(c, kCiphers) == 1 && SSL_CTX_use_certificate(c, certificate) == 1 &&
                    SSL_CTX_use_PrivateKey(c, key) == 1;
  return made ? std::move(context) : nullptr;
}

}  // namespace

std::string fingerprint_of(const X509* certificate, const std::string& algorithm) {
  const EVP_MD* const digest = equal_no_case(algorithm, "sha-256")   ? EVP_sha256()
                               : equal_no_case(algorithm, "sha-384") ? EVP_sha384()
                               : equal_no_case(algorithm, "sha-512") ? EVP_sha512()
                                                                     : nullptr;
  unsigned char value[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (!digest || X509_digest(certificate, digest, value, &length) != 1) return {};
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text;
  for (unsigned i = 0; i < length; ++i) {
    if (i) text += ':';
    text += kDigits[value[i] >> 4];
    text += kDigits[value[i] & 15];
  }
  return text;
}

std::string last_openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  char text[256] = "no reason given";
  if (code) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return text;
}

Result<std::shared_ptr<const Certificate>> Certificate::generate() {
  auto impl = std::make_unique<Impl>();
  impl->key.reset(EVP_EC_gen("P-256"));
  if (impl->key) impl->x509 = self_signed(impl->key.get());
  if (impl->x509) impl->context = make_context(impl->x509.get(), impl->key.get());
  if (!impl->context) return fail(ErrorCode::internal, "cannot make a DTLS certificate: " + last_openssl_error());
  impl->fingerprint = {"sha-256", fingerprint_of(impl->x509.get(), "sha-256")};
  return std::make_shared<const Certificate>(std::move(impl));
}

Certificate::Certificate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Certificate::~Certificate() = default;
const Fingerprint& Certificate::fingerprint() const {
  return impl_->fingerprint;
}

SrtpKeys::~SrtpKeys() {
  OPENSSL_cleanse(local.data(), local.size());
  OPENSSL_cleanse(remote.data(), remote.size());
}

}  // namespace amphi::dtls
