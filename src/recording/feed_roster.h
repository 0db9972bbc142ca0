// The feeds of one recording: those in the session, those whose files stay open for their return, and those whose account the manifest
// keeps. A feed takes a place among the tracks with its first frame, so that feeds without media take none. Thread: the recorder's.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "recording/feed.h"

namespace amphi::recording {

class FeedRoster {
 public:
  static constexpr std::size_t kMaxAway = 32;  // files that are kept open for the return of their feeds

  /// All outlive the roster.
  FeedRoster(Time start, std::deque<Output>& out, Journal& journal, const Safekeeping& safekeeping)
      : start_(start), out_(out), journal_(journal), safekeeping_(safekeeping), report_at_(start) {}

  bool contains(const FeedId& id) const { return active_.contains(id); }
  /// The feed is not in the session yet. True: it goes on in its file.
  bool add(const FeedInfo& feed, bool muted, Time now);
  /// True: files or the list of tracks may have changed.
  bool remove(const FeedId& id, Time now);
  /// A feed in the session; nullptr: unknown, and counted.
  Feed* find(const FeedId& id);
  /// Also a feed that has left: the caller tells of a time when it was there.
  Feed* find_open(const FeedId& id);

  void handle_timeout(Time now);
  Time next_timeout() const;
  /// Completes every file, and journals the feeds that have none.
  void finish(Time now);
  /// Storage failed: nothing is written any more.
  void abandon();

  /// Feeds with a file, in the order of the files.
  std::vector<const Feed*> recorded() const;
  void list(ManifestContent& content) const;
  std::uint64_t bytes() const;
  /// False: no file waits for it.
  bool set_hash(FileNumber file, const Sha256Digest& digest);
  Shares& shares() { return shares_; }
  const Shares& shares() const { return shares_; }
  /// Of the whole recording.
  Drops drops() const;

  /// What is recorded now, if it is something else than before, and at most once a second.
  std::optional<FeedsChanged> report(Time now);
  Time report_at() const { return report_at_; }

 private:
  Feed* take_back(const FeedInfo& feed, Time now);
  Feed* listed(const FeedInfo& feed);
  Feed& make(const FeedInfo& feed, Time now);
  void let_go(const Feed& feed);
  void complete_one_away(Time now);

  Time start_;
  std::deque<Output>& out_;
  Journal& journal_;
  const Safekeeping& safekeeping_;
  Shares shares_;
  std::map<std::uint64_t, std::unique_ptr<Feed>> feeds_;  // in their order
  std::uint64_t feeds_seen_ = 0;
  std::unordered_map<FeedId, std::uint64_t> newest_;  // of each id, where in `feeds_`
  std::unordered_map<FeedId, Feed*> active_;
  std::deque<Feed*> away_;  // left, their files still open; in the order in which they left
  std::map<ParticipantId, ParticipantClock> clocks_;  // a node each: feeds hold references
  FileNumber files_ = 0;
  Drops of_gone_;  // feeds of which nothing is kept

  Time report_at_, report_again_at_;
  bool membership_changed_ = true;
  std::vector<LimitReached> limits_told_;
};

}  // namespace amphi::recording
