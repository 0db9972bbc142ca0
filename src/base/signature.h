// Ed25519 signatures (RFC 8032). OpenSSL does the work, and stays in signature.cpp (docs/decisions/0002).
#pragma once

#include <array>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace amphi {

using PublicKey = std::array<std::byte, 32>;
using Signature = std::array<std::byte, 64>;

class SigningKey {
 public:
  /// A private key as `openssl genpkey -algorithm ed25519` writes it. Errors: malformed.
  static Result<SigningKey> from_pem(std::string_view pem);
  SigningKey(SigningKey&&) noexcept;
  SigningKey& operator=(SigningKey&&) noexcept;
  ~SigningKey();

  Signature sign(ByteView message) const;
  const PublicKey& public_key() const { return public_key_; }

 private:
  struct State;
  explicit SigningKey(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
  PublicKey public_key_{};
};

/// A public key as PEM (`openssl pkey -pubout`). Errors: malformed.
Result<PublicKey> public_key_from_pem(std::string_view pem);
bool is_signed_by(const PublicKey& key, ByteView message, const Signature& signature);

}  // namespace amphi
