#include "server/safekeeping.h"

#include <algorithm>

#include "server/config.h"
#include "server/secret_file.h"

namespace amphi::server {

Result<Safe> Safe::open(const std::string& signing_key_file, const std::string& encryption_key_file) {
  Safe safe;
  if (!signing_key_file.empty()) {
    const auto pem = read_secret(signing_key_file, 64 * 1024);
    if (!pem) return tl::unexpected(pem.error());
    auto key = SigningKey::from_pem(*pem);
    if (!key) return fail(key.error().code, signing_key_file + ": " + key.error().message);
    safe.shared_->keys.signing = std::make_shared<const SigningKey>(std::move(*key));
  }
  if (!encryption_key_file.empty()) {
    const auto key = read_key_file(encryption_key_file);
    if (!key) return tl::unexpected(key.error());
    if (key->size() != AeadKey().size())
      return fail(ErrorCode::malformed, encryption_key_file + ": a key of 32 bytes is wanted (openssl rand -hex 32 makes one)");
    std::copy(key->begin(), key->end(), safe.shared_->keys.encryption.emplace_back().begin());
  }
  return safe;
}

Safe::Keys Safe::keys() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->keys;
}

void Safe::replace_by(const Safe& newer) {
  Keys keys = newer.keys();
  const std::lock_guard lock(shared_->mutex);
  for (const AeadKey& former : shared_->keys.encryption)
    if (std::find(keys.encryption.begin(), keys.encryption.end(), former) == keys.encryption.end()) keys.encryption.push_back(former);
  shared_->keys = std::move(keys);
}

recording::Safekeeping Safe::for_new(const recording::RecordingInfo& info) const {
  const Keys now = keys();
  recording::Safekeeping keeping{now.signing, std::nullopt};
  if (!now.encryption.empty()) keeping.sealer = recording::Sealer::make(now.encryption.front(), info.session, info.id, *random_);
  return keeping;
}

Result<recording::Safekeeping> Safe::for_existing(const std::optional<recording::WrappedKey>& wrapped, const recording::RecordingInfo& info) const {
  const Keys now = keys();
  recording::Safekeeping keeping{now.signing, std::nullopt};
  if (!wrapped) return keeping;
  if (wrapped->version != recording::WrappedKey::kVersion)
    return fail(ErrorCode::unsupported, "the recording's key is wrapped in version " + std::to_string(wrapped->version) + ", and this server opens version " +
                                            std::to_string(recording::WrappedKey::kVersion) + " only");
  for (const AeadKey& key : now.encryption) {
    keeping.sealer = recording::Sealer::unwrap(key, *wrapped, info.session, info.id, *random_);
    if (keeping.sealer) break;
  }
  if (!keeping.sealer)
    return fail(ErrorCode::unauthorized, "the recording is encrypted with the key " + wrapped->key_id + ", which is not the one configured (--recording-key), or was wrapped for another recording");
  return keeping;
}

}  // namespace amphi::server
