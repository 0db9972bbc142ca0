// The keys that recordings are signed and encrypted with, as configured. Immutable: any thread may use it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "recording/recorder.h"
#include "recording/seal.h"
#include "runtime/clock.h"

namespace amphi::server {

class Safe {
 public:
  /// Files as `openssl genpkey -algorithm ed25519` (signing) and `openssl rand -hex 32` (encryption) write them; empty: none.
  static Result<Safe> open(const std::string& signing_key_file, const std::string& encryption_key_file);
  Safe() = default;

  /// For a new recording.
  recording::Safekeeping for_new(const recording::RecordingInfo& info) const;
  /// For one that is there; both as its journal has them. Errors: unauthorized (another key, or another recording's), unsupported (a key
  /// that was wrapped in another version).
  Result<recording::Safekeeping> for_existing(const std::optional<recording::WrappedKey>& wrapped, const recording::RecordingInfo& info) const;

 private:
  std::shared_ptr<const SigningKey> signing_;
  std::optional<AeadKey> encryption_;
  std::shared_ptr<runtime::SystemRandom> random_ = std::make_shared<runtime::SystemRandom>();
};

}  // namespace amphi::server
