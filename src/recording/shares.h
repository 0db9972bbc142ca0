// The limits that the feeds of one recording share: each identity has a share of its own, so that no participant takes from the others.
// docs/limits.md lists the values. Thread: the recorder's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/fair_share.h"
#include "recording/drops.h"
#include "recording/feed_status.h"
#include "recording/manifest.h"

namespace amphi::recording {

enum class Limit : std::uint8_t { gaps, feeds_without_track };

/// The limits that participants reach, for as long as they do.
class LimitWatch {
 public:
  static constexpr Duration kLasts = 10s;  // after the last time
  static constexpr std::size_t kMost = 16;  // that are told

  void reached(Limit limit, const FeedInfo& feed, Time now) {
    const auto key = std::pair(feed.participant_identity, limit);
    if (limits_.size() >= kMost && !limits_.contains(key)) return;
    limits_[key] = {feed.participant, now + kLasts};
  }
  /// Those that are reached at this time.
  std::vector<LimitReached> at(Time now) {
    std::erase_if(limits_, [&](const auto& entry) { return entry.second.second < now; });
    std::vector<LimitReached> told;
    for (const auto& [key, entry] : limits_) told.push_back({entry.first, key.first + text(key.second)});
    return told;
  }

 private:
  static std::string text(Limit limit) {
    if (limit == Limit::gaps) return ": the recording lists no further gaps of this participant one by one, only their sum";
    return ": the recording lists no further feeds without media of this participant";
  }
  std::map<std::pair<std::string, Limit>, std::pair<ParticipantId, Time>> limits_;
};

struct Shares {
  static constexpr std::size_t kTracks = 2'000;        // of a recording
  static constexpr std::size_t kTracksAlways = 64;     // an identity: 4 participants with 16 feeds
  static constexpr std::size_t kWithoutTrack = 2'000;  // feeds that are listed without a track
  static constexpr std::size_t kWithoutTrackAlways = 64;

  FairShare tracks{kTracks, kTracksAlways, 8};
  FairShare without_track{kWithoutTrack, kWithoutTrackAlways, 8};
  FairShare gaps{kMaxGaps, 100, 2};
  LimitWatch limits;
  Drops drops;  // of no track
};

}  // namespace amphi::recording
