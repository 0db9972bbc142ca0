// Encryption at rest: each run of bytes that is written to a track's file is sealed by itself, in place, under the recording's
// own key (AES-256-GCM); nonce and tag go into the journal. So offsets and sizes are those of the plain file, and a
// run can be read without the ones before it. The recording's key is kept in the journal's first line, wrapped by
// a configured one and bound to the recording's and the session's id: in another recording's journal it is of no use. Thread: the recorder's.
#pragma once

#include <optional>
#include <string>

#include "base/aead.h"
#include "base/ids.h"
#include "base/random.h"

namespace amphi::recording {

struct Seal {
  AeadNonce nonce{};
  AeadTag tag{};
};

/// A recording's key, as its journal carries it.
struct WrappedKey {
  static constexpr std::uint64_t kVersion = 2;  // 1 was bound to nothing, and is not opened any more
  std::uint64_t version = kVersion;
  std::string key_id;  // of the configured key: the first 16 hexadecimal digits of its SHA-256
  std::array<std::byte, 32> key{};
  Seal seal;
};

class Sealer {
 public:
  /// `random` outlives the sealer and is fit for keys.
  Sealer(const AeadKey& key, WrappedKey wrapped, Random& random) : key_(key), wrapped_(std::move(wrapped)), random_(&random) {}

  /// A sealer for a new recording.
  static Sealer make(const AeadKey& configured, const SessionId& session, const RecordingId& id, Random& random);
  /// nullopt: wrapped by another key, for another recording, or in another version.
  static std::optional<Sealer> unwrap(const AeadKey& configured, const WrappedKey& wrapped, const SessionId& session, const RecordingId& id, Random& random);

  Seal seal(MutableBytes data) const;
  [[nodiscard]] bool open(const Seal& seal, MutableBytes data) const { return aead_open(key_, seal.nonce, seal.tag, data); }
  const WrappedKey& wrapped() const { return wrapped_; }

 private:
  AeadKey key_;
  WrappedKey wrapped_;
  Random* random_;
};

}  // namespace amphi::recording
