#include "recording/arrival_level.h"

#include <algorithm>

namespace amphi::recording {

void ArrivalLevel::add(Duration offset, std::optional<Duration> earliest, Time arrival) {
  watch_rate(offset, arrival);
  if (group_ && arrival - group_->since >= kGroup && group_->packets >= kLeastPackets) {
    if (earliest) add_noise(group_->least - *earliest, arrival);
    level_ = last_ ? std::min(last_->least, group_->least) : group_->least;
    watch_standstill();
    last_ = group_;
    group_.reset();
  }
  if (!group_) group_ = Group{arrival, offset, 0};
  group_->least = std::min(group_->least, offset);
  ++group_->packets;
}

/// Detects timestamps that hardly advance sooner than other rates, because all frames lie at one place until then.
void ArrivalLevel::watch_standstill() {
  const bool stands = last_ && group_->least - last_->least > (group_->since - last_->since) * 3 / 4;
  standing_ = stands ? standing_ + 1 : 0;
  if (standing_ < kMostStanding) return;
  off_rate_ = true;
  off_ = std::max(off_, 1);
  good_ = 0;
}

void ArrivalLevel::restart() {
  group_.reset();
  last_.reset();
  level_.reset();
}

Duration ArrivalLevel::noise() const {
  return noise_.empty() ? Duration{0} : std::clamp(-noise_.value(), Duration{0}, kMostNoise);
}

void ArrivalLevel::watch_rate(Duration offset, Time arrival) {
  if (window_ && arrival - window_->since >= kRateWindow) end_rate_window(arrival);
  if (!window_) window_ = Group{arrival, offset, 0};
  window_->least = std::min(window_->least, offset);
  ++window_->packets;
}

void ArrivalLevel::end_rate_window(Time arrival) {
  if (last_window_) {
    const Duration span = window_->since - last_window_->since, rise = window_->least - last_window_->least;
    const int sign = rise < Duration{0} ? -1 : 1;
    const auto count = [&](int& windows, bool differs) { windows = !differs ? 0 : windows * sign > 0 ? windows + sign : sign; };
    count(far_, sign * rise > span / kFar);
    count(off_, sign * rise > span / kOff);
    good_ = off_ == 0 ? good_ + 1 : 0;
    if (std::abs(far_) >= kMostFar || std::abs(off_) >= kMostOff) off_rate_ = true;
    if (good_ >= kMostOff) off_rate_ = false;
  }
  // The window after a hole begins anew: what arrives behind a stall arrives at once.
  last_window_ = arrival - window_->since > 2 * kRateWindow ? std::nullopt : window_;
  window_.reset();
}

}  // namespace amphi::recording
