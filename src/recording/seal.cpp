#include "recording/seal.h"

#include "base/digest.h"

namespace amphi::recording {
namespace {

std::string key_id(const AeadKey& key) { return to_hex(sha256(key)).substr(0, 16); }

/// The size of the first makes it unambiguous, whatever is in them.
std::string owner(const SessionId& session, const RecordingId& id) {
  return "amphi recording key, version 2\n" + std::to_string(session.value.size()) + "\n" + session.value + "\n" + id.value + "\n";
}

}  // namespace

Sealer Sealer::make(const AeadKey& configured, const SessionId& session, const RecordingId& id, Random& random) {
  AeadKey key;
  random.fill(key);
  WrappedKey wrapped{WrappedKey::kVersion, key_id(configured), key, {}};
  random.fill(wrapped.seal.nonce);
  wrapped.seal.tag = aead_seal(configured, wrapped.seal.nonce, wrapped.key, as_bytes(owner(session, id)));
  return Sealer(key, std::move(wrapped), random);
}

std::optional<Sealer> Sealer::unwrap(const AeadKey& configured, const WrappedKey& wrapped, const SessionId& session, const RecordingId& id, Random& random) {
  if (wrapped.version != WrappedKey::kVersion) return std::nullopt;
  AeadKey key = wrapped.key;
  if (!aead_open(configured, wrapped.seal.nonce, wrapped.seal.tag, key, as_bytes(owner(session, id)))) return std::nullopt;
  return Sealer(key, wrapped, random);
}

Seal Sealer::seal(MutableBytes data) const {
  Seal made;
  random_->fill(made.nonce);  // 96 random bits: no collision to fear below 2^32 runs
  made.tag = aead_seal(key_, made.nonce, data);
  return made;
}

}  // namespace amphi::recording
