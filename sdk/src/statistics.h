// Feed statistics from those of peer lines; bits per second from a byte count that is read now and then. Thread: its owner's.
#pragma once

#include <cstdint>
#include <optional>

#include "amphi/feed.h"
#include "base/time.h"
#include "peer/peer.h"

namespace amphi::sdk {

constexpr Duration kStatisticsEvery = 500ms;

class RateMeter {
 public:
  std::uint64_t update(std::uint64_t bytes, Time now) {
    std::uint64_t rate = 0;
    if (at_ && now > *at_ && bytes >= bytes_)
      rate = static_cast<std::uint64_t>(static_cast<double>(bytes - bytes_) * 8e9 / static_cast<double>((now - *at_).count()));
    bytes_ = bytes;
    at_ = now;
    return rate;
  }

 private:
  std::uint64_t bytes_ = 0;
  std::optional<Time> at_;
};

/// An outgoing feed's.
inline void fill(FeedStatistics& out, const peer::LineStats& line, const peer::Stats& transport, std::uint64_t bitrate) {
  out.bitrate = bitrate;
  out.packets = line.packets;
  out.packetsLost = line.lost;
  out.fractionLost = line.fraction_lost;
  out.packetsRetransmitted = line.retransmitted;
  out.keyframeRequests = line.keyframe_requests;
  out.roundTrip = std::chrono::duration_cast<microseconds>(transport.round_trip);
}

/// What the lines of one incoming feed (a mix has one for each speaker) did since it was asked before.
class IncomingInterval {
 public:
  void add(const peer::LineStats& before, const peer::LineStats& now, std::uint64_t bitrate) {
    bitrate_ += bitrate;
    packets_ += now.packets - before.packets;
    lost_ += now.lost - before.lost;
    retransmitted_ += now.retransmitted - before.retransmitted;
    keyframe_requests_ += now.keyframe_requests - before.keyframe_requests;
    const double weight = 1 + static_cast<double>(now.packets - before.packets);  // a line that was silent counts as well
    weighted_loss_ += weight * now.fraction_lost;
    weight_ += weight;
  }
  void apply(FeedStatistics& out, const peer::Stats& transport) const {
    out.bitrate = bitrate_;
    out.packets += packets_;
    out.packetsLost += lost_;
    out.fractionLost = weight_ > 0 ? weighted_loss_ / weight_ : 0;
    out.packetsRetransmitted += retransmitted_;
    out.keyframeRequests += keyframe_requests_;
    out.roundTrip = std::chrono::duration_cast<microseconds>(transport.round_trip);
  }

 private:
  std::uint64_t bitrate_ = 0, packets_ = 0, retransmitted_ = 0, keyframe_requests_ = 0;
  std::int64_t lost_ = 0;
  double weighted_loss_ = 0, weight_ = 0;
};

}  // namespace amphi::sdk
