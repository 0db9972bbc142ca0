#include "server/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <boost/asio/buffer.hpp>
#include <memory>

#include "runtime/file_writer.h"
#include "server/secret_file.h"

namespace amphi::server {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kMaxChain = 1024 * 1024, kMaxKey = 64 * 1024;

tl::unexpected<Error> refuse(const std::string& what, const std::string& why) {
  ERR_clear_error();
  return fail(ErrorCode::invalid_argument, what + ": " + why);
}

}  // namespace

Result<asio::ssl::context> read_tls_context(const std::string& certificate, const std::string& key) {
  boost::system::error_code error;
  asio::ssl::context tls(asio::ssl::context::tls_server);
  tls.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, error);
  // Without a callback OpenSSL asks for a passphrase at the terminal, and the calling thread waits.
  const auto encrypted = std::make_shared<bool>(false);
  tls.set_password_callback(
      [encrypted](std::size_t, asio::ssl::context::password_purpose) {
        *encrypted = true;
        return std::string();
      },
      error);

  const auto chain = runtime::read_file(certificate, kMaxChain, runtime::Links::follow);
  if (!chain) return fail(chain.error().code, "TLS certificate " + chain.error().message);
  tls.use_certificate_chain(asio::buffer(*chain), error);
  if (error) return refuse("TLS certificate " + certificate, error.message());

  const auto pem = read_secret(key, kMaxKey);
  if (!pem) return fail(pem.error().code, "TLS key " + pem.error().message);
  tls.use_private_key(asio::buffer(*pem), asio::ssl::context::pem, error);
  if (*encrypted) return refuse("TLS key " + key, "the key is encrypted. Give a key without a passphrase");
  // OpenSSL keeps a key of another type than the certificate's beside it, and then no handshake succeeds.
  if (error || SSL_CTX_check_private_key(tls.native_handle()) != 1)
    return refuse("TLS key " + key, error ? error.message() : "it is not the key of the certificate " + certificate);
  return tls;
}

}  // namespace amphi::server
