#include "server/safekeeping.h"

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
    safe.signing_ = std::make_shared<const SigningKey>(std::move(*key));
  }
  if (!encryption_key_file.empty()) {
    const auto key = read_key_file(encryption_key_file);
    if (!key) return tl::unexpected(key.error());
    if (key->size() != AeadKey().size())
      return fail(ErrorCode::malformed, encryption_key_file + ": a key of 32 bytes is wanted (openssl rand -hex 32 makes one)");
    std::copy(key->begin(), key->end(), safe.encryption_.emplace().begin());
  }
  return safe;
}

recording::Safekeeping Safe::for_new(const recording::RecordingInfo& info) const {
  recording::Safekeeping keeping{signing_, std::nullopt};
  if (encryption_) keeping.sealer = recording::Sealer::make(*encryption_, info.session, info.id, *random_);
  return keeping;
}

Result<recording::Safekeeping> Safe::for_existing(const std::optional<recording::WrappedKey>& wrapped, const recording::RecordingInfo& info) const {
  recording::Safekeeping keeping{signing_, std::nullopt};
  if (!wrapped) return keeping;
  if (wrapped->version != recording::WrappedKey::kVersion)
    return fail(ErrorCode::unsupported, "the recording's key is wrapped in version " + std::to_string(wrapped->version) + ", and this server opens version " +
                                            std::to_string(recording::WrappedKey::kVersion) + " only");
  if (encryption_) keeping.sealer = recording::Sealer::unwrap(*encryption_, *wrapped, info.session, info.id, *random_);
  if (!keeping.sealer)
    return fail(ErrorCode::unauthorized, "the recording is encrypted with the key " + wrapped->key_id + ", which is not the one configured (--recording-key), or was wrapped for another recording");
  return keeping;
}

}  // namespace amphi::server
