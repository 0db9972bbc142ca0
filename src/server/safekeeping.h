// The keys that recordings are signed and encrypted with, as configured. Thread: any.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "recording/recorder.h"
#include "recording/seal.h"
#include "runtime/clock.h"

namespace amphi::server {

class Safe {
 public:
  /// Files as `openssl genpkey -algorithm ed25519` (signing) and `openssl rand -hex 32` (encryption) write them; empty: none.
  static Result<Safe> open(const std::string& signing_key_file, const std::string& encryption_key_file);
  Safe() = default;

  /// New recordings use the keys of `newer`. Recordings under an encryption key of before stay readable by this Safe.
  void replace_by(const Safe& newer);

  /// For a new recording.
  recording::Safekeeping for_new(const recording::RecordingInfo& info) const;
  /// For one that is there; both as its journal has them. Errors: unauthorized (another key, or another recording's), unsupported (a key
  /// that was wrapped in another version).
  Result<recording::Safekeeping> for_existing(const std::optional<recording::WrappedKey>& wrapped, const recording::RecordingInfo& info) const;

 private:
  struct Keys {
    std::shared_ptr<const SigningKey> signing;
    std::vector<AeadKey> encryption;  // the newest first; empty: recordings are not encrypted
  };
  /// Copies share it, so that replace_by reaches all.
  struct Shared {
    std::mutex mutex;
    Keys keys;
  };
  Keys keys() const;

  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  std::shared_ptr<runtime::SystemRandom> random_ = std::make_shared<runtime::SystemRandom>();
};

}  // namespace amphi::server
