// Plays what belongs together at the same time: how long each stream of a participant must be held back, so that all of them are as late
// as the latest. Sender reports (RFC 3550 6.4.1) tie a stream's RTP time to its sender's wall clock; the least transit seen lately, on no
// common clock, is all that is compared. A machine without I/O. Thread: its owner's (media).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "rtp/rtcp.h"
#include "rtp/seq.h"

namespace amphi::sdk {

class LipSync {
 public:
  static constexpr Duration kWindow = 4s;        // over which the least transit is taken
  static constexpr Duration kTolerance = 8ms;    // smaller changes are not worth a jump
  static constexpr Duration kMost = 2s;          // more is not lip sync but a broken clock

  struct Hold {
    std::string feed;
    Duration delay{};
  };

  void add(const std::string& feed, const std::string& participant, std::uint32_t clock_rate);
  void remove(const std::string& feed);
  void on_sender_report(const std::string& feed, rtp::NtpTime ntp, rtp::WireTimestamp rtp_timestamp);
  void on_packet(const std::string& feed, rtp::WireTimestamp rtp_timestamp, Time now);
  /// The streams whose delay has changed since the last call.
  std::vector<Hold> poll(Time now);

 private:
  struct Stream {
    std::string participant;
    std::uint32_t clock_rate = 90'000;
    std::optional<std::pair<Duration, rtp::WireTimestamp>> report;  // the sender's wall clock at an RTP time
    std::optional<Duration> least, least_before;                    // transit: of this window, and of the last
    Time window_end{};
    Duration held{};
  };
  std::map<std::string, Stream> streams_;
};

}  // namespace amphi::sdk
