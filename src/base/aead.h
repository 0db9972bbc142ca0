// AES-256-GCM (NIST SP 800-38D) over a whole message, in place: what is stored is as long as what was written, and its tag is
// kept elsewhere. OpenSSL does the work, and stays in aead.cpp (docs/decisions/0002).
#pragma once

#include <array>

#include "base/bytes.h"

namespace amphi {

using AeadKey = std::array<std::byte, 32>;
using AeadNonce = std::array<std::byte, 12>;  // never twice under one key
using AeadTag = std::array<std::byte, 16>;

/// `bound_to`: what is not stored, and must be the same when it is opened.
AeadTag aead_seal(const AeadKey& key, const AeadNonce& nonce, MutableBytes data, ByteView bound_to = {});
/// False: not what was sealed; `data` is then of no use.
[[nodiscard]] bool aead_open(const AeadKey& key, const AeadNonce& nonce, const AeadTag& tag, MutableBytes data, ByteView bound_to = {});

}  // namespace amphi
