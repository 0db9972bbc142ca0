// The receiving side of transport-wide congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01): notes
// when each packet came and reports it every 50 to 100 ms. One thread: the transport's.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "rtp/rtcp.h"

namespace amphi::cc {

class FeedbackGenerator {
 public:
  static constexpr Duration kInterval = 50ms;       // from the first unreported packet
  static constexpr std::int64_t kMaxSpan = 1000;    // numbers in one feedback; a wider gap starts over

  /// `transport_seq`: the wire's 16 bits. Duplicates, and numbers already reported, are ignored.
  void on_packet(std::uint16_t transport_seq, Time now);

  /// The feedback due by now; the caller fills in its SSRCs.
  std::optional<rtp::TransportFeedback> poll(Time now);
  Time next_timeout() const { return deadline_; }  // Time::max(): nothing to report

 private:
  void restart(std::int64_t seq);
  rtp::TransportFeedback take();

  std::optional<std::int64_t> begin_;   // the first number of the next feedback
  std::int64_t highest_ = 0;            // extended
  std::vector<std::optional<Time>> arrivals_;  // from *begin_
  Time deadline_ = Time::max();
  std::uint8_t count_ = 0;
};

}  // namespace amphi::cc
