// journal.jsonl: what happened to a recording, as it happened. Append-only, one JSON object a line; a line is written when
// what it tells of is durable, and is then synced itself. Each line's `prev` is the SHA-256 of the line before, so that the
// last line's hash stands for all of them, and through the hashes of the pieces for every byte of media
// (docs/recording-journey.md has the events; docs/decisions/0008 says why). From it a recording that a crash cut off is
// completed (repair.h), and any recording is checked (verify.h). Thread: the recorder's; reading is pure.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "recording/frame.h"
#include "recording/manifest.h"
#include "recording/seal.h"

namespace amphi::recording {

constexpr FileNumber kJournalFile = 0;
constexpr std::string_view kJournalName = "journal.jsonl";

/// A run of bytes in a track's file, as they are stored.
struct Extent {
  std::uint64_t at = 0;
  std::uint64_t size = 0;
  Sha256Digest sha256{};
  std::optional<Seal> seal;  // of a recording that is encrypted
};

/// A cluster or a fragment. Times are ticks of its file.
struct Piece {
  Extent extent;
  std::int64_t from = 0;  // its first frame
  std::int64_t to = 0;    // where the track ends, as far as was known
  std::uint64_t frames = 0;
  bool keyframe = false;  // begins with one
};

struct TrackEnd {
  Extent head;  // as rewritten at the end
  Extent tail;  // indexes; size 0: none
};

class Journal {
 public:
  /// Lines become FileOps at the end of `out`, which outlives the journal.
  explicit Journal(std::deque<Output>& out) : out_(out) {}
  /// Goes on behind lines that are there.
  void resume(std::uint64_t size, std::uint64_t lines, const Sha256Digest& head);

  /// What is written from here on happens then. Counts from the recording's zero.
  void set_time(Duration since_start) { now_ms_ = to_ms(since_start); }
  std::int64_t last_ms() const { return last_ms_; }  // the time of the last line

  /// Who will sign the finished recording is said at its beginning, so that nobody can leave the signature out.
  void begin(const RecordingInfo& info, const Safekeeping& safekeeping);
  void feed(const FeedInfo& feed, std::int64_t offset_ms);
  /// At its end: the feed had no track, and why.
  void without_track(const TrackRecord& feed);
  void track(FileNumber file, const TrackRecord& track, const Frame& first, const Extent& head);
  void piece(FileNumber file, const Piece& piece);
  void gap(FileNumber file, const Gap& gap);
  /// One that is not over: what a crash in it would leave untold. `to_ms` is not known yet.
  void gap_open(FileNumber file, const Gap& gap);
  /// The sum so far of the gaps that are told in no line of their own.
  void unlisted(FileNumber file, const UnlistedGaps& unlisted);
  /// The track's B-frames came without display times; they are derived (PictureOrder).
  void sending_order(FileNumber file);
  /// The feed has gone, and may come again.
  void away(FileNumber file);
  void back(FileNumber file);
  void marker(const Marker& marker);
  /// Nothing else has happened for a while, and the recording lives.
  void alive();
  void track_end(FileNumber file, const TrackRecord& track, const TrackEnd& end);
  void repair(WallTime at, std::uint64_t bytes_removed, const Safekeeping& safekeeping);
  /// The pieces behind `size` are gone: the disk did not hold what it had said to.
  void cut(FileNumber file, std::uint64_t size);
  void end(std::int64_t duration_ms, WallTime stopped_at, std::string_view state, const std::optional<Error>& error,
           const Drops& drops);

  /// Lines that a crash may take as well as not (who came and went, gaps before the media that follow them) share a sync: the next one, or
  /// this one, at the latest by `sync_at`, on the recording's time line.
  void sync();
  std::optional<Duration> sync_at() const;

  std::uint64_t lines() const { return lines_; }
  std::uint64_t tracks() const { return tracks_; }
  std::uint64_t pieces() const { return pieces_; }
  const Sha256Digest& head() const { return head_; }

 private:
  static constexpr std::int64_t kShareSyncMs = 200;
  struct Line;
  void append(Line& line);
  void append_unsynced(Line& line);

  std::deque<Output>& out_;
  std::uint64_t size_ = 0;
  std::uint64_t lines_ = 0;
  std::uint64_t tracks_ = 0;
  std::uint64_t pieces_ = 0;
  Sha256Digest head_{};
  std::int64_t now_ms_ = 0;
  std::int64_t last_ms_ = 0;
  std::optional<std::int64_t> unsynced_ms_;  // the time of the oldest line that is not synced
};

// --- reading ---------------------------------------------------------------------------------------------------------------

struct JournalTrack {
  FileNumber file = 0;
  TrackRecord record;  // until its end is there: what the pieces and gaps tell
  Frame first;         // without its data
  Extent head;         // as first written
  std::vector<Piece> pieces;
  std::optional<Gap> open_gap;  // begun, and not over: `to_ms` means nothing
  std::optional<TrackEnd> end;
  std::optional<std::int64_t> away_at_ms;  // its feed has gone, and did not come again
};

struct JournalContent {
  RecordingInfo info;
  std::optional<WrappedKey> key;
  std::optional<PublicKey> signed_by;
  std::vector<JournalTrack> tracks;
  std::vector<TrackRecord> feeds;  // that were told when they came
  std::vector<Marker> markers;
  std::optional<WallTime> repaired_at;
  std::uint64_t repairs = 0;
  std::string lost;  // in words: what a disk had not held although it was synced

  struct End {
    std::int64_t duration_ms = 0;
    WallTime stopped_at;
    std::string state;
    std::optional<Error> error;
    Drops drops;
  };
  std::optional<End> end;
  std::optional<End> end_before_repair;  // there was one, and a repair did not leave it at that
  std::int64_t last_ms = 0;              // of the newest line: it was alive then

  std::uint64_t lines = 0;
  Sha256Digest head{};
  std::uint64_t valid_bytes = 0;    // the lines that are whole, in order and chained
  std::uint64_t invalid_bytes = 0;  // what follows them
  std::string invalid_why;          // empty: nothing follows
};

/// Reads a journal, also one that grows.
class JournalReader {
 public:
  /// Reads on in `text`, which begins as it did before: as much as holds together.
  void read(std::string_view text);
  const JournalContent& content() const { return content_; }
  JournalContent take() { return std::move(content_); }

 private:
  JournalContent content_;
};

/// As much as holds together from the beginning. Errors: malformed (not even the first line holds).
Result<JournalContent> parse_journal(std::string_view text);

/// When the newest whole line was written, by the end of a journal. nullopt: there is none in it.
std::optional<std::int64_t> newest_ms(std::string_view end_of_journal);

std::string words_of_lost(const JournalTrack& track, std::uint64_t size);
/// Leaves only the pieces that end within `size` bytes.
void cut_track(JournalTrack& track, std::uint64_t size);

/// Ticks of a track's file in a second.
std::int64_t ticks_per_second(rtp::CodecName codec);

}  // namespace amphi::recording
