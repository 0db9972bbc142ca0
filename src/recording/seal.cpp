#include "recording/seal.h"

#include "base/digest.h"

namespace amphi::recording {
namespace {

std::string key_id(const AeadKey& key) { return to_hex(sha256(key)).substr(0, 16); }

}  // namespace

Sealer Sealer::make(const AeadKey& configured, Random& random) {
  AeadKey key;
  random.fill(key);
  WrappedKey wrapped{key_id(configured), key, {}};
  random.fill(wrapped.seal.nonce);
  wrapped.seal.tag = aead_seal(configured, wrapped.seal.nonce, wrapped.key);
  return Sealer(key, std::move(wrapped), random);
}

std::optional<Sealer> Sealer::unwrap(const AeadKey& configured, const WrappedKey& wrapped, Random& random) {
  AeadKey key = wrapped.key;
  if (!aead_open(configured, wrapped.seal.nonce, wrapped.seal.tag, key)) return std::nullopt;
  return Sealer(key, wrapped, random);
}

Seal Sealer::seal(MutableBytes data) const {
  Seal made;
  random_->fill(made.nonce);  // 96 random bits: no collision to fear below 2^32 runs
  made.tag = aead_seal(key_, made.nonce, data);
  return made;
}

}  // namespace amphi::recording
