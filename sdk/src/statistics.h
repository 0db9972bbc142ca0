// Bits per second from a byte count that is read now and then. Thread: its owner's.
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

/// What both directions report alike.
inline void fill(FeedStatistics& out, const peer::LineStats& line, const peer::Stats& transport, std::uint64_t bitrate) {
  out.bitrate = bitrate;
  out.packets = line.packets;
  out.packetsLost = line.lost;
  out.fractionLost = line.fraction_lost;
  out.packetsRetransmitted = line.retransmitted;
  out.keyframeRequests = line.keyframe_requests;
  out.roundTrip = std::chrono::duration_cast<microseconds>(transport.round_trip);
}

}  // namespace amphi::sdk
