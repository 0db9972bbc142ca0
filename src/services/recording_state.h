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

/// What threatens a recording while there is still time to act.
struct Warning {
  std::string code;  // "storage_low", "storage_slow"
  std::string message;
  std::optional<std::int64_t> minutes_left;
  bool operator==(const Warning&) const = default;
};

/// A moment of a recording that somebody pointed out.
struct Marker {
  std::string recording_id;
  std::uint64_t index = 0;  // from 1 on, within the recording
  std::int64_t at_ms = 0;   // on the recording's time line
  std::string label;
  std::string by;           // identity
  bool operator==(const Marker&) const = default;
};

constexpr std::uint64_t kMostMarkers = 10'000;  // of a recording

struct RecordingSnapshot {
  std::uint64_t revision = 0;          // only grows, over reconnects and server restarts alike
  bool on = false;                     // confirmed
  Phase phase = Phase::off;
  std::string recording_id;            // of the running or the last recording; empty: none yet
  std::string changed_by;              // identity of who caused the last change; empty: the server itself
  std::optional<Error> error;          // of the recording itself (storage failed), until the next start
  std::int64_t total_ms = 0;           // finished recordings + live part, when this was sent
  bool waiting_for_media = false;      // on, and nothing is being written: no feed yet, or all are silent
  std::int64_t pre_roll_ms = 0;        // how much of the newest media the session keeps for a recording to begin with
  std::optional<Warning> warning;      // of the running recording
  bool operator==(const RecordingSnapshot&) const = default;
};

}  // namespace amphi::services
