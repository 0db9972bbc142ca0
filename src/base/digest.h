// Digests: HMAC-SHA1 (STUN's message integrity, RFC 5389 15.4), SHA-256 (files, fingerprints), HMAC-SHA256 (resume tokens, RFC 2104).
// OpenSSL does the work, and stays in digest.cpp (docs/decisions/0002).
#pragma once

#include <array>
#include <memory>

#include "base/bytes.h"

namespace amphi {

using Sha1Digest = std::array<std::byte, 20>;
using Sha256Digest = std::array<std::byte, 32>;

Sha1Digest hmac_sha1(ByteView key, ByteView data);
Sha256Digest hmac_sha256(ByteView key, ByteView data);
Sha256Digest sha256(ByteView data);
/// Compares without telling by its time where two values differ.
bool equal_constant_time(ByteView a, ByteView b);

/// SHA-256 of a stream in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(ByteView data);
  /// Once; afterwards the object is spent.
  Sha256Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace amphi
