// One recording: packets in, files out. A state machine above the I/O line: it turns each feed's RTP into frames,
// frames into a track file (never transcoded), and all tracks into one time line and one manifest. It owns no file: it
// gives `FileOp`s in order and is told how they went.
//
// Time line: zero is the recorder's start. A track that exists from the start has offset 0, one that comes later has
// the offset at which it came; a file's own timestamps count from its track's offset. Thread: one recording writer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/signature.h"
#include "base/time.h"
#include "recording/drops.h"
#include "recording/feed_status.h"
#include "recording/seal.h"
#include "rtp/codec.h"
#include "rtp/packet.h"
#include "rtp/rtcp.h"

namespace amphi::recording {

struct RecordingInfo {
  RecordingId id;
  SessionId session;
  std::string requested_by;  // identity of who asked
  WallTime started_at;       // for people; never used to measure
  Duration pre_roll{};       // how far before the request it begins
  RecordingId continues{};   // the recording that a restart of the server cut off, if this one goes on from there
};

/// A moment that somebody pointed out.
struct Marker {
  std::int64_t at_ms = 0;  // on the recording's time line
  std::string label;
  std::string by;  // identity
};

struct FeedInfo {
  FeedId id;
  ParticipantId participant;
  std::string participant_identity;
  std::string label;
  rtp::Codec codec;
  bool operator==(const FeedInfo&) const = default;
};

/// A file of this recording, relative to its folder; numbers are given by the recorder and never reused.
using FileNumber = std::uint32_t;

struct OpenFile {
  FileNumber file;
  std::string name;
};  // create, fail if it exists
struct ReopenFile {
  FileNumber file;
  std::string name;
  std::uint64_t size;
};  // one that exists, at least that long; what lies behind `size` goes
struct WriteFile {
  FileNumber file;
  std::uint64_t offset;
  Bytes data;
};  // appends, and heads that are written anew
struct SyncFile {
  FileNumber file;
};  // fdatasync: what was written before survives a power cut
struct CloseFile {
  FileNumber file;
};
struct HashFile {
  FileNumber file;
};  // after the last write: SHA-256 of the whole file, answered by handle_hash
struct ReplaceFile {
  std::string name;
  Bytes data;
};  // temporary, fsync, rename, fsync folder (manifest.json)
struct RemoveFile {
  std::string name;
};
using FileOp = std::variant<OpenFile, ReopenFile, WriteFile, SyncFile, CloseFile, HashFile, ReplaceFile, RemoveFile>;

struct KeyframeWanted {
  FeedId feed;
};
/// True: media reaches the disk (what was written is synced). False: none did for a while; the recording waits for some.
/// A recording begins waiting.
struct MediaChanged {
  bool writing;
};
struct Started {};  // the folder, its manifest, and what was kept before the request are durable: the recording is on
struct TrackSummary {
  std::string path;  // relative to the folder
  FeedId feed;
  rtp::Codec codec;
  std::uint32_t width = 0, height = 0;  // 0 for audio
  std::int64_t offset_ms = 0, duration_ms = 0;
  std::uint64_t frames = 0;
  std::string sha256;  // lower-case hex
};
struct Finished {  // every file is complete, and the manifest says so
  Duration duration;
  std::vector<TrackSummary> tracks;
  std::optional<Error> error;  // storage failed: what was written before is kept
  Drops drops{};               // of the whole recording

  /// Of much media the hashes are for later (repair.h).
  bool is_hashed() const {
    return std::none_of(tracks.begin(), tracks.end(), [](const TrackSummary& track) { return track.sha256.empty(); });
  }
};
struct Closed {};  // after Finished: nothing follows
using Output = std::variant<FileOp, KeyframeWanted, MediaChanged, FeedsChanged, Started, Finished, Closed>;

/// What makes a recording evidence beyond its hash chain, and what keeps it from others' eyes. Both are optional.
struct Safekeeping {
  std::shared_ptr<const SigningKey> signing;
  std::optional<Sealer> sealer;
};

class Recorder {
 public:
  static constexpr std::size_t kMaxMarkers = 10'000;
  static constexpr Duration kAliveEvery = 1s;       // a line of the journal at least, so that a crash costs no more
  static constexpr Duration kSilence = 5s;          // without a piece of media: it waits for some
  static constexpr Duration kManifestEvery = 1s;    // at most, while it runs; and one more for each megabyte that it has
  static constexpr std::uint64_t kHashedAtOnce = 64'000'000;  // bytes; more than that is not hashed here

  Recorder(RecordingInfo info, Time start, Safekeeping safekeeping = {});
  ~Recorder();

  /// The feed is in the session from now on (or was when the recording began). Repeated: ignored. One that was removed and comes again,
  /// in the same codec, goes on in its file behind a gap. A feed takes a place among the tracks with its first frame; docs/limits.md has
  /// the share of an identity.
  /// `muted`: an administrator keeps it from being recorded, until it is removed and added again.
  void add_feed(const FeedInfo& feed, Time now, bool muted = false);
  void remove_feed(const FeedId& feed, Time now);
  /// One received packet, in any order, RTX already undone; `seq` is extended. The payload is copied where it must be.
  void handle_packet(const FeedId& feed, rtp::Seq seq, const rtp::RtpHeader& header, ByteView payload, Time now);
  void handle_sender_report(const FeedId& feed, rtp::NtpTime ntp, rtp::WireTimestamp rtp_timestamp, Time now);
  /// Packets of the feed that the connection dropped until `now`: `which` is Drop::not_selected_source or Drop::repeated_packet.
  void handle_dropped(const FeedId& feed, Drop which, std::uint64_t packets, Time now);
  /// Packets that a bounded queue before the recorder had to drop: a counted gap in the manifest.
  void handle_overflow(const FeedId& feed, std::uint64_t packets, Time now);
  /// Marks `at` on the time line; what lies outside the recording is moved to its nearer end. Beyond kMaxMarkers: counted.
  void add_marker(std::string label, std::string by, Time at);
  /// What it began with (pre-roll) was given to it.
  void catch_up();
  /// Ends at `now`: flushes, completes every file and the journal, then gives Finished. `why`: not by request, but because it cannot
  /// go on. Repeated: ignored.
  void stop(Time now, WallTime stopped_at, std::optional<Error> why = std::nullopt);

  void handle_timeout(Time now);
  std::optional<Output> poll_output();
  Time next_timeout() const noexcept;

  /// Answers to FileOps: a hash, or the failure of any (which ends the recording with an error).
  void handle_hash(FileNumber file, const Sha256Digest& digest, Time now);
  void handle_replaced(Time now);  // the oldest outstanding ReplaceFile is durable
  void handle_storage_error(Error error, Time now);

  Duration running_duration(Time now) const;
  /// What was left out that belongs to no feed; each feed's are in the manifest.
  const Drops& drops() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// `<recordings root>/<session>/<recording id>`; both are checked to be plain names before they reach a path.
bool is_safe_path_name(std::string_view name);

/// What a finished (or interrupted) recording's manifest.json says; reads back what Recorder wrote.
struct Manifest {
  struct Track : TrackSummary {
    std::string participant_identity;
    std::string label;
    std::vector<std::pair<std::int64_t, std::int64_t>> absent_ms;  // when its feed was not in the session, on the recording's time line
  };
  RecordingId id;
  SessionId session;
  std::string requested_by;
  std::string state;  // "recording", "complete", "failed", "repaired"
  WallTime started_at, stopped_at;
  std::int64_t duration_ms = 0;
  bool encrypted = false;
  std::vector<Track> tracks;
  std::vector<Marker> markers;
};
Result<Manifest> parse_manifest(std::string_view json);

}  // namespace amphi::recording
