// Decides which recordings the retention deletes (docs/decisions/0021-retention.md). A deletion cannot be undone and a wall clock can be wrong,
// so a recording is marked first and deleted in a later run, a bounded share per day of uptime, and only while the clock agrees with the times that
// the recordings themselves carry. Pure: clocks and evidence are arguments. Thread: its owner's.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace amphi::server {

/// What a finished recording tells about its own age. Milliseconds since 1970.
struct RetentionEvidence {
  std::string session, id;
  std::int64_t started_ms = 0, stopped_ms = 0;  // by its manifest
  std::optional<std::int64_t> journal_ms;       // its start by the journal
  std::int64_t newest_file_ms = 0, oldest_file_ms = 0;  // modification times

  /// The newest of these times: its age counts from there.
  std::int64_t newest_ms() const;
  /// Why its times are not to be believed; empty: they are.
  std::string doubt() const;
};

/// All recordings at the time of a look.
struct RetentionView {
  std::size_t finished = 0;
  std::int64_t newest_ms = 0;  // the newest time that any recording carries
  std::string newest;          // that recording, for messages
  std::vector<RetentionEvidence> old;  // finished, and older than the retention by their manifests
};

struct RetentionMark {
  std::string session, id, run;  // the process that made it
  std::int64_t at_ms = 0;
  Time made{};                   // of the same process only
  bool is_of(const RetentionEvidence& recording) const { return session == recording.session && id == recording.id; }
};

/// Durable between runs.
struct RetentionState {
  std::int64_t clock_ms = 0;  // the clock when it last agreed with the recordings; 0: never
  std::vector<RetentionMark> marks;
  /// Uptime of servers of this folder since a share was deleted, as far as looks saw it; nullopt: none was deleted yet.
  std::optional<std::int64_t> since_share_ms{};
};
std::string text_of(const RetentionState& state);
/// Text that is damaged gives an empty state: marks are made again.
RetentionState retention_state(std::string_view text);

struct RetentionPlan {
  std::string paused;                      // why nothing is marked or deleted; empty: it is
  std::vector<RetentionEvidence> marked;   // new; they will be deleted in a later run
  std::vector<RetentionMark> unmarked;     // are kept after all
  std::vector<RetentionEvidence> deleted;  // to be deleted now, once `next` is stored
  std::vector<std::pair<RetentionEvidence, std::string>> doubted;  // are kept, and why; each is told once
  RetentionState next;
};

class Retention {
 public:
  static constexpr Duration kLaterRun = std::chrono::hours(24);        // in one process; another start of the server is a later run, too
  static constexpr Duration kCorroborated = std::chrono::hours(7 * 24);  // a clock far ahead is believed after the process has run for so long
  static constexpr std::int64_t kSlackMs = 10 * 60 * 1000;
  static constexpr std::int64_t kFarAheadDays = 90;                    // or twice the retention, where that is more
  static constexpr std::int64_t kFirstMs = 1'704'067'200'000;          // 2024-01-01: no recording of this software is older
  static constexpr std::size_t kShare = 10;                            // one of so many is deleted at once, and one at least
  static constexpr Duration kShareEvery = std::chrono::hours(24);      // of uptime, over all starts: restarts delete nothing faster

  /// `run`: a name that no other process start has. `started`: of the process.
  Retention(unsigned days, std::string run, Time started) : days_(days), run_(std::move(run)), started_(started) {}
  RetentionPlan plan(const RetentionState& state, const RetentionView& view, WallTime wall, Time now);
  /// What ended before is old enough.
  std::int64_t limit_ms(WallTime wall) const;

 private:
  std::string why_paused(const RetentionState& state, const RetentionView& view, WallTime wall, Time now) const;
  bool is_ripe(const RetentionMark& mark, Time now) const;

  const unsigned days_;
  const std::string run_;
  const Time started_;
  std::optional<Time> looked_at_;             // by this process
  std::set<std::pair<std::string, std::string>> doubted_;  // were told
};

}  // namespace amphi::server
