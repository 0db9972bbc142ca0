#include "cc/aimd_rate.h"

#include <algorithm>
#include <cmath>

namespace amphi::cc {
namespace {

constexpr double kBackoff = 0.85;
constexpr double kGrowth = 1.08;          // a second
constexpr double kStartGrowth = 1.5;      // a second, until the link was full for the first time
constexpr double kPacketBits = 1200 * 8;  // added each response time near the capacity
constexpr double kAveraging = 0.05;

double seconds_of(Duration d) {
  return std::chrono::duration<double>(d).count();
}

}  // namespace

void AimdRate::update(Usage usage, std::optional<double> acked_bps, Duration round_trip, Time now) {
  const double elapsed_s = last_update_ ? std::clamp(seconds_of(now - *last_update_), 0.0, 1.0) : 0;
  last_update_ = now;
  if (usage == Usage::normal) {
    increase(acked_bps, round_trip, elapsed_s);
  } else if (usage == Usage::overuse && acked_bps) {
    // The effect of one decrease shows a round trip later.
    const Duration pause = std::clamp<Duration>(round_trip, 10ms, 200ms);
    if (last_decrease_ == Time::min() || now - last_decrease_ >= pause) {
      decrease(*acked_bps);
      last_decrease_ = now;
    }
  }  // underuse: the queue drains; the rate holds until it has
  bps_ = std::clamp(bps_, min_bps_, max_bps_);
}

void AimdRate::increase(std::optional<double> acked_bps, Duration round_trip, double elapsed_s) {
  if (acked_bps && capacity_bps_ && *acked_bps > *capacity_bps_ + capacity_margin()) capacity_bps_.reset();
  double next = bps_;
  if (capacity_bps_) {
    next += kPacketBits * elapsed_s / (seconds_of(round_trip) + 0.1);
  } else {
    next *= std::pow(ever_full_ ? kGrowth : kStartGrowth, elapsed_s);
  }
  // A sender with little to send proves little.
  if (acked_bps) next = std::min(next, 1.5 * *acked_bps + 10'000);
  bps_ = std::max(bps_, next);
}

void AimdRate::decrease(double acked_bps) {
  ever_full_ = true;
  bps_ = std::min(bps_, kBackoff * acked_bps);
  if (capacity_bps_ && acked_bps < *capacity_bps_ - capacity_margin()) capacity_bps_.reset();
  if (!capacity_bps_) {
    capacity_bps_ = acked_bps;
    capacity_variance_ = 0.4;
    return;
  }
  const double error_kbps = (acked_bps - *capacity_bps_) / 1000;
  *capacity_bps_ += kAveraging * (acked_bps - *capacity_bps_);
  const double relative = error_kbps * error_kbps / std::max(*capacity_bps_ / 1000, 1.0);
  capacity_variance_ = std::clamp(capacity_variance_ + kAveraging * (relative - capacity_variance_), 0.4, 2.5);
}

double AimdRate::capacity_margin() const {  // three deviations
  return 3 * std::sqrt(capacity_variance_ * *capacity_bps_ / 1000) * 1000;
}

}  // namespace amphi::cc
