// Faults of a feed that is recorded: it loses a part of its media, other sources send at the same time, or its timestamps do not match its
// arrivals. Each is a warning while it lasts. A pure machine. Thread: the recorder's.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "base/time.h"
#include "rtp/seq.h"

namespace amphi::recording {

class FeedFaults {
 public:
  static constexpr Duration kSecond = 1s;
  static constexpr std::size_t kWindow = 5;       // seconds over which the lost share is taken
  static constexpr std::size_t kLeastSeconds = 3; // of them with media, and kLeastLosing with losses: a burst of losses is a gap, no fault
  static constexpr std::size_t kLeastLosing = 2;
  static constexpr std::uint64_t kLeastLost = 3;  // packets
  static constexpr double kLoses = 0.05, kLosesNoMore = 0.02;
  static constexpr double kLosesMost = 0.5, kLosesMostNoMore = 0.3;  // no more: also when the newest two seconds lose less
  static constexpr int kCompetingSeconds = 3;     // with packets of other sources, and without a change of the source
  static constexpr Duration kStragglers = 2s;     // after a change of the source: the replaced source may still send
  static constexpr Duration kToldFor = 10s;       // after the newest sign of a fault that is not judged by a share
  static constexpr Duration kPace = 2s;           // over which timestamps are compared with arrivals
  static constexpr Duration kPause = 500ms;       // between packets: timestamps need not go on in it
  static constexpr double kLeastPace = 0.7, kMostPace = 1.4;
  static constexpr int kOffPace = 3;              // stretches in a row, all too slow or all too fast: a queue that fills and empties is no fault

  /// Packets since the feed came: of written frames, lost on the way or dropped, and of sources that are not selected.
  struct Counts {
    std::uint64_t recorded = 0, lost = 0, not_selected = 0;
  };

  /// The first frame was written. What was lost before is not judged: a recording begins at a keyframe.
  void begin(const Counts& counts, Time now);
  /// A packet of the feed with media.
  void packet(rtp::WireTimestamp timestamp, std::uint32_t clock_rate, Time now);
  /// Another source is selected: timestamps begin anew.
  void change_source(Time now);
  /// Judges anew; call it about once a second.
  void look(const Counts& counts, Time now);

  /// The share of its media that the feed loses, from 0 to 1; nullopt: next to nothing. The mean of the last seconds, whatever came in each.
  std::optional<double> lost_share() const { return loses_ ? std::optional(share_) : std::nullopt; }
  bool loses_most() const { return loses_most_; }
  bool sources_compete(Time now) const { return competing_ >= kCompetingSeconds && now - competed_at_ < kToldFor; }
  bool bad_timestamps(Time now) const { return off_pace_at_ && now - *off_pace_at_ < kToldFor; }

 private:
  void judge_loss(const Counts& counts);
  void judge_pace(std::uint32_t clock_rate, Time now);

  struct Second {
    std::uint64_t recorded = 0, lost = 0;
    double share() const { return static_cast<double>(lost) / static_cast<double>(recorded + lost); }
  };
  bool begun_ = false;
  Time looked_at_;
  Counts counted_;
  std::deque<Second> seconds_;
  double share_ = 0;
  bool loses_ = false, loses_most_ = false;

  int competing_ = 0;  // seconds
  Time competed_at_;
  std::optional<Time> changed_at_;  // the source

  std::optional<Time> newest_at_;  // of the packets
  rtp::WireTimestamp newest_ = 0;
  Time pace_since_;
  std::int64_t pace_ticks_ = 0;
  int off_pace_ = 0;  // stretches in a row; negative: too slow
  std::optional<Time> off_pace_at_;  // the newest of kOffPace in a row
};

}  // namespace amphi::recording
