// manifest.json: what a recording's folder holds, for people and programs that have nothing else. Version 1; readers
// ignore what they do not know. All times are milliseconds on the recording's time line. docs/recording-journey.md has
// the fields.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "recording/drops.h"
#include "recording/feed_status.h"
#include "recording/recorder.h"

namespace amphi::recording {

/// Bytes. Who reads a manifest takes as much; what a recording lists is bounded so that none is larger, whatever happens in it.
constexpr std::size_t kMaxManifest = 64 * 1024 * 1024;
constexpr std::size_t kMaxGaps = 100'000;      // that a recording lists one by one, besides each track's last
constexpr std::size_t kMaxTrackGaps = 10'000;  // of these; docs/limits.md has the share of an identity

struct Gap {
  std::int64_t from_ms = 0;
  std::int64_t to_ms = 0;
  std::string_view reason;    // "loss", "overflow", "damaged", "restart", "absent", "silent", "bad_timestamps", or a FeedReason that loses media
  std::uint64_t packets = 0;  // known to be missing
};

/// The sum of a track's gaps that are not listed one by one any more.
struct UnlistedGaps {
  std::uint64_t gaps = 0;
  std::uint64_t packets = 0;  // known to be missing
  std::int64_t missing_ms = 0;
  std::int64_t from_ms = 0, to_ms = 0;  // where they lie

  void add(const Gap& gap);
};

struct TrackRecord {
  TrackSummary summary;
  FeedInfo feed;
  std::uint64_t bytes = 0;
  std::vector<Gap> gaps;
  UnlistedGaps unlisted;
  std::uint64_t packets = 0;       // received: recorded_packets, and those that `drops` counts
  std::optional<std::uint64_t> recorded_packets;  // of the frames that were written; nullopt: not told, by an earlier version
  std::uint64_t lost_packets = 0;  // never received
  std::uint64_t overflow_packets = 0;
  Drops drops;
  bool sending_order = false;  // its B-frames came with timestamps in the order of sending, from which the recorder derived the display times
  FeedReason without_track = FeedReason::waiting_for_media;  // of a feed without a track: why it has none, where `counted`
  bool counted = true;  // false: cut off; how many packets there were besides those of the gaps, nobody can tell any more
};

/// As a manifest carries it, over signed_text.
struct SignedHead {
  PublicKey key{};
  Signature value{};
};

/// What a finished recording is checked against.
struct Evidence {
  std::uint64_t lines = 0;  // of the journal
  Sha256Digest head{};      // of its chain
  std::shared_ptr<const SigningKey> signing{};  // signs it now
  std::optional<SignedHead> signature{};        // or: was signed before
};

struct Repaired {
  WallTime at;
  std::uint64_t times = 1;
  std::string note;
};

struct ManifestContent {
  RecordingInfo info;
  std::string_view state;
  std::optional<WallTime> stopped_at;
  std::int64_t duration_ms = 0;
  std::optional<Error> error;
  std::vector<const TrackRecord*> tracks;
  std::vector<const TrackRecord*> feeds_without_media;
  Drops drops;  // of no track
  std::vector<Marker> markers;
  bool encrypted = false;
  std::optional<Evidence> evidence;
  std::optional<Repaired> repaired;
  std::unordered_set<std::string_view> listed_feeds{};  // by id; they live where the tracks and feeds do
  std::size_t listed_tracks = 0;                        // that are among them

  /// After the tracks are there: once, if none of them is the feed's.
  void list_if_without_media(const TrackRecord& feed);
};

Bytes write_manifest(const ManifestContent& content);

/// What a signature is over: the chain's head, bound to the recording.
Bytes signed_text(const RecordingId& id, const Sha256Digest& head);

/// What a manifest has as `evidence`; nullopt: it has none, or one that is malformed.
std::optional<Evidence> read_evidence(std::string_view manifest);

/// "2026-11-22T08:30:00.250Z", in UTC.
std::string iso8601(WallTime time);
std::optional<WallTime> parse_iso8601(std::string_view text);

}  // namespace amphi::recording
