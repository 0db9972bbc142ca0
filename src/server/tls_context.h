// Reads the certificate and the key of HTTPS. Thread: any; it reads the disk and never waits for a terminal.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <string>

#include "base/result.h"

namespace amphi::server {

/// `certificate`: a chain in PEM, the server's own first; `key`: its private key in PEM without a passphrase.
/// Errors: invalid_argument (not PEM, an encrypted key, a key of another certificate), forbidden (a key that everybody can read), not_found, storage.
Result<boost::asio::ssl::context> read_tls_context(const std::string& certificate, const std::string& key);

}  // namespace amphi::server
