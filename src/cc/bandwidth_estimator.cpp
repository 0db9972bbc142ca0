#include "cc/bandwidth_estimator.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace amphi::cc {
namespace {

constexpr Duration kLossInterval = 250ms;
constexpr Duration kMaxLossInterval = 1s;
constexpr std::size_t kLossPackets = 20;  // fewer say too little, until the longer interval is over
constexpr Duration kLossPause = 300ms;    // and a round trip: before that a decrease cannot show
constexpr double kLossSmoothing = 0.3;
constexpr double kHighLoss = 0.10;
constexpr double kLowLoss = 0.02;
constexpr double kLossGrowth = 1.2;               // a second; the delay-based rate says when it is too much
constexpr std::int64_t kMaxArrivalJump = 40'000;  // 10 s in 250 us: the receiver's line changed

}  // namespace

BandwidthEstimator::BandwidthEstimator(const RateLimits& limits)
    : limits_(limits),
      aimd_(static_cast<double>(limits.start_bps), static_cast<double>(limits.min_bps),
            static_cast<double>(limits.max_bps)),
      loss_bound_bps_(static_cast<double>(limits.max_bps)) {}

void BandwidthEstimator::on_sent(std::uint16_t transport_seq, std::size_t bytes, Time now) {
  history_.add(transport_seq, bytes, now);
}

void BandwidthEstimator::on_feedback(const rtp::TransportFeedback& feedback, Time now) {
  std::optional<Time> newest_sent;
  for (const auto& arrival : feedback.arrivals) {
    if (!arrival.time_250us) {
      if (history_.take_lost(arrival.seq)) ++lost_;
      continue;
    }
    const auto sent = history_.take_received(arrival.seq);
    if (!sent) continue;
    ++received_;
    if (sent->was_lost && lost_ > 0) --lost_;
    const double arrival_ms = unwrap_ms(*arrival.time_250us);
    trendline_.on_packet(sent->at, arrival_ms);
    acked_.add(arrival_ms, sent->bytes);
    newest_sent = std::max(newest_sent.value_or(sent->at), sent->at);
  }
  if (newest_sent) {
    const Duration sample = now - *newest_sent;
    round_trip_ = round_trip_ == Duration{0} ? sample : (round_trip_ * 7 + sample) / 8;
  }
  update_loss(now);
  if (newest_sent) aimd_.update(trendline_.usage(), acked_.bps(), round_trip_, now);
}

/// The wire carries 24 bits of 64 ms: 32 bits of our unit.
double BandwidthEstimator::unwrap_ms(std::int64_t time_250us) {
  const std::int64_t last = last_arrival_.value_or(time_250us);
  const std::int64_t time = rtp::extend(static_cast<rtp::WireTimestamp>(time_250us), last);
  if (std::abs(time - last) > kMaxArrivalJump) {
    trendline_ = {};
    acked_ = {};
  }
  last_arrival_ = time;
  return static_cast<double>(time) / 4;
}

void BandwidthEstimator::update_loss(Time now) {
  if (!loss_since_) loss_since_ = now;
  const std::size_t total = received_ + lost_;
  const Duration elapsed = now - *loss_since_;
  if (total == 0 || elapsed < (total < kLossPackets ? kMaxLossInterval : kLossInterval)) return;
  const double share = static_cast<double>(lost_) / static_cast<double>(total);
  loss_ += kLossSmoothing * (share - loss_);
  received_ = lost_ = 0;
  loss_since_ = now;

  if (loss_ > kHighLoss) {
    if (loss_decreased_ && now - *loss_decreased_ < kLossPause + round_trip_) return;
    loss_bound_bps_ = std::min(loss_bound_bps_, aimd_.bps()) * (1 - 0.5 * loss_);
    loss_decreased_ = now;
  } else if (loss_ < kLowLoss) {
    loss_bound_bps_ *= std::pow(kLossGrowth, std::min(std::chrono::duration<double>(elapsed).count(), 1.0));
  }
  loss_bound_bps_ =
      std::clamp(loss_bound_bps_, static_cast<double>(limits_.min_bps), static_cast<double>(limits_.max_bps));
}

std::uint64_t BandwidthEstimator::bitrate_bps() const {
  return static_cast<std::uint64_t>(std::min(aimd_.bps(), loss_bound_bps_));
}

}  // namespace amphi::cc
