#include "recording/feed_faults.h"

#include <algorithm>
#include <cstdlib>
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

void FeedFaults::change_source(Time now) {
  newest_at_.reset();
  changed_at_ = now;
  if (competing_ < kCompetingSeconds) competing_ = 0;
}

/// A burst after a stall, or a single step of the timestamps, is one stretch that is off the pace.
void FeedFaults::judge_pace(std::uint32_t clock_rate, Time now) {
  const double pace = static_cast<double>(pace_ticks_) * 1e9 / std::max(clock_rate, 1u) / static_cast<double>((now - pace_since_).count());
  const int off = pace < kLeastPace ? -1 : pace > kMostPace ? 1 : 0;
  off_pace_ = off * off_pace_ > 0 ? std::clamp(off_pace_ + off, -kOffPace, kOffPace) : off;
  if (std::abs(off_pace_) == kOffPace) off_pace_at_ = now;
  pace_since_ = now;
  pace_ticks_ = 0;
}

void FeedFaults::look(const Counts& counts, Time now) {
  if (begun_ && now - looked_at_ < kSecond) return;
  looked_at_ = now;
  const bool stragglers = changed_at_ && now - *changed_at_ < kStragglers;
  if (counts.not_selected > counted_.not_selected && !stragglers) {
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
