// How much a transport may send (draft-ietf-rmcat-gcc-02, sender side, on transport-wide feedback): the lesser of a
// delay-based rate and a loss-based one. One thread: the transport's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/time.h"
#include "cc/acked_rate.h"
#include "cc/aimd_rate.h"
#include "cc/send_history.h"
#include "cc/trendline.h"
#include "rtp/rtcp.h"

namespace amphi::cc {

struct RateLimits {
  std::uint64_t min_bps = 30'000;
  std::uint64_t max_bps = 20'000'000;
  std::uint64_t start_bps = 600'000;
};

class BandwidthEstimator {
 public:
  explicit BandwidthEstimator(const RateLimits& limits = {});

  /// Every packet sent with a transport-wide number, in order; `bytes` as on the wire.
  void on_sent(std::uint16_t transport_seq, std::size_t bytes, Time now);
  /// Hostile: numbers never sent, or already reported, are ignored; the rate stays within its limits.
  void on_feedback(const rtp::TransportFeedback& feedback, Time now);

  std::uint64_t bitrate_bps() const;
  double loss() const { return loss_; }                // share of packets lost, 0 to 1, smoothed over a second or so
  Duration round_trip() const { return round_trip_; }  // smoothed; 0: not known yet

 private:
  double unwrap_ms(std::int64_t time_250us);
  void update_loss(Time now);

  RateLimits limits_;
  SendHistory history_;
  Trendline trendline_;
  AckedRate acked_;
  AimdRate aimd_;
  std::optional<std::int64_t> last_arrival_;  // in 250 us, not wrapping
  double loss_bound_bps_;
  double loss_ = 0;
  std::size_t received_ = 0;  // since loss was last updated
  std::size_t lost_ = 0;
  std::optional<Time> loss_since_;
  std::optional<Time> loss_decreased_;
  Duration round_trip_{0};
};

}  // namespace amphi::cc
