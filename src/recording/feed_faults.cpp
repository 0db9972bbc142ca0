#include "recording/feed_faults.h"

#include <algorithm>
#include <utility>

namespace amphi::recording {

void FeedFaults::begin(const Counts& counts, Time now) {
  begun_ = true;
  looked_at_ = now;
  counted_ = counts;
  seconds_.clear();
}

void FeedFaults::packet(rtp::WireTimestamp timestamp, std::uint32_t clock_rate, Time now) {
  if (!newest_at_ || now - *newest_at_ > kPause) {
    pace_since_ = now;
    pace_ticks_ = 0;
  } else {
    pace_ticks_ += static_cast<std::int32_t>(timestamp - newest_);
    if (now - pace_since_ >= kPace) judge_pace(clock_rate, now);
  }
  newest_at_ = now;
  newest_ = timestamp;
}

/// A burst behind a stall, or a single step of the timestamps, is one stretch that is off the pace.
void FeedFaults::judge_pace(std::uint32_t clock_rate, Time now) {
  const double pace = static_cast<double>(pace_ticks_) * 1e9 / std::max(clock_rate, 1u) / static_cast<double>((now - pace_since_).count());
  const bool off = pace < kLeastPace || pace > kMostPace;
  off_pace_ = off ? std::min(off_pace_ + 1, 2) : 0;
  if (off) off_pace_at_ = now;
  pace_since_ = now;
  pace_ticks_ = 0;
}

void FeedFaults::look(const Counts& counts, Time now) {
  if (begun_ && now - looked_at_ < kSecond) return;
  looked_at_ = now;
  if (counts.not_selected > counted_.not_selected) {
    competing_ = now - competed_at_ > kToldFor ? 1 : competing_ + 1;
    competed_at_ = now;
  }
  if (begun_) judge_loss(counts);
  counted_ = counts;
}

void FeedFaults::judge_loss(const Counts& counts) {
  seconds_.push_back({counts.recorded - counted_.recorded, counts.lost - counted_.lost});
  if (seconds_.size() > kWindow) seconds_.pop_front();
  std::size_t with_media = 0, losing = 0;
  std::uint64_t lost = 0;
  double sum = 0, newest = 0, before = 0;  // shares
  for (const Second& second : seconds_) {
    if (second.recorded + second.lost == 0) continue;
    ++with_media;
    losing += second.lost > 0 ? 1 : 0;
    lost += second.lost;
    sum += second.share();
    before = std::exchange(newest, second.share());
  }
  share_ = with_media > 0 ? sum / static_cast<double>(with_media) : 0;
  const bool enough = with_media >= kLeastSeconds && losing >= kLeastLosing && lost >= kLeastLost;
  loses_ = loses_ ? share_ >= kLosesNoMore : enough && share_ >= kLoses;
  const bool recovers = newest < kLosesMostNoMore && before < kLosesMostNoMore;
  loses_most_ = loses_ && !recovers && (loses_most_ ? share_ >= kLosesMostNoMore : enough && share_ >= kLosesMost);
}

}  // namespace amphi::recording
