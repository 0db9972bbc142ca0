// The recording state that the server confirms, as both ends of the services protocol know it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace amphi::services {

/// What the duration does now. `stopping`: the request was taken, the duration stands, files are being completed.
enum class Phase : std::uint8_t { off, recording, stopping };

/// What threatens a recording while there is still time to act, or costs it media at this moment.
struct Warning {
  std::string code;  // "storage_slow", "storage_low", "media_dropped", "limit_exceeded", "feed_not_recorded", "media_lost",
                     // "sources_compete", "bad_timestamps", "picture_order"
  std::string message;
  std::optional<std::int64_t> minutes_left{};
  std::string feed_id{};         // empty: no feed in particular
  std::string participant_id{};  // empty: no participant in particular
  bool operator==(const Warning&) const = default;
};

/// Whether one feed of the session is being recorded.
struct FeedState {
  std::string feed_id, participant_id, label;
  std::string kind;      // "audio", "video"
  bool recorded = false;
  std::string reason{};  // not recorded: docs/protocol.md lists the reasons
  std::string message{};  // the same in words
  std::int64_t since_ms = 0;  // when that began, on the recording's time line
  bool operator==(const FeedState&) const = default;
};

/// Media of the feed arrive, and none are recorded.
inline bool loses_media(const FeedState& feed) {
  return !feed.recorded && feed.reason != "waiting_for_media" && feed.reason != "silent";
}

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
  std::vector<Warning> warnings{};     // of the running recording, the most urgent first
  std::uint64_t warnings_not_listed = 0;
  std::vector<FeedState> feeds{};      // of the running recording, those that lose media first
  std::uint64_t feeds_not_listed = 0;
  /// The most urgent.
  std::optional<Warning> warning() const { return warnings.empty() ? std::nullopt : std::optional(warnings.front()); }
  bool operator==(const RecordingSnapshot&) const = default;
};

}  // namespace amphi::services
