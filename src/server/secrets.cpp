#include "server/secrets.h"

#include "server/tls_context.h"

namespace amphi::server {

Result<Secrets> Secrets::read(const ServeConfig& config) {
  Secrets secrets;
  const auto name = [&](const char* what) { secrets.names.append(secrets.names.empty() ? "" : ", ").append(what); };
  if (!config.key_file.empty()) {
    auto key = read_key_file(config.key_file);
    if (!key) return tl::unexpected(key.error());
    secrets.token_key = std::move(*key);
    name("token key");
  }
  if (!config.tls_cert.empty()) {
    auto tls = read_tls_context(config.tls_cert, config.tls_key);
    if (!tls) return tl::unexpected(tls.error());
    secrets.tls.emplace(std::move(*tls));
    name("TLS certificate and key");
  }
  if (!config.metrics_token_file.empty()) {
    auto token = read_secret_file(config.metrics_token_file);
    if (!token) return tl::unexpected(token.error());
    secrets.metrics_token = std::move(*token);
    name("metrics token");
  }
  auto safe = Safe::open(config.recording_signing_key, config.recording_key);
  if (!safe) return tl::unexpected(safe.error());
  secrets.safe = std::move(*safe);
  if (!config.recording_signing_key.empty()) name("recording signing key");
  if (!config.recording_key.empty()) name("recording encryption key");
  return secrets;
}

}  // namespace amphi::server
