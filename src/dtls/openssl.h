// What the .cpp files of this folder share about OpenSSL. Private to src/dtls: no other file includes OpenSSL's
// headers.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "dtls/transport.h"

namespace amphi::dtls {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using SslContext = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, Freed<SSL_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using X509Certificate = std::unique_ptr<X509, Freed<X509_free>>;

/// The context (certificate, ciphers, the check of the peer's certificate) is made once and shared by all transports.
struct Certificate::Impl {
  Key key;
  X509Certificate x509;
  SslContext context;
  Fingerprint fingerprint;
};

/// What hangs off an SSL as its app data while a handshake runs.
struct PeerCheck {
  const Fingerprints* expected = nullptr;
  bool mismatch = false;
};

/// Upper-case hex pairs with colons; empty when the algorithm is not one that is accepted.
std::string fingerprint_of(const X509* certificate, const std::string& algorithm);

/// The last words of OpenSSL's error queue, which is left empty.
std::string last_openssl_error();

}  // namespace amphi::dtls
