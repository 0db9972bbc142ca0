// The recording state that the server confirms, as both ends of the services protocol know it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace amphi::services {

/// What the duration does now. `stopping`: the request was taken, the duration stands, files are being completed.
enum class Phase : std::uint8_t { off, recording, stopping };

struct RecordingSnapshot {
  std::uint64_t revision = 0;          // only grows, over reconnects and server restarts alike
  bool on = false;                     // confirmed
  Phase phase = Phase::off;
  std::string recording_id;            // of the running or the last recording; empty: none yet
  std::string changed_by;              // identity of who caused the last change; empty: the server itself
  std::optional<Error> error;          // of the recording itself (storage failed), until the next start
  std::int64_t total_ms = 0;           // finished recordings + live part, when this was sent
  bool operator==(const RecordingSnapshot&) const = default;
};

}  // namespace amphi::services
