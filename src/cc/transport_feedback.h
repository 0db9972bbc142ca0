// The receiving side of transport-wide congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01): notes
// when each packet came and reports it 50 ms after the first unreported one. One thread: the transport's.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "rtp/rtcp.h"

namespace amphi::cc {

class FeedbackGenerator {
 public:
  static constexpr Duration kInterval = 50ms;
  static constexpr std::int64_t kMaxJump = 1000;   // a wider one starts over, without what was not yet reported
  static constexpr std::int64_t kMaxLate = 64;     // a number that far behind what was reported is still reported
  static constexpr std::size_t kMaxNumbers = 500;  // in one feedback, so that it fits a datagram

  /// `transport_seq`: the wire's 16 bits. The first arrival of a number counts.
  void on_packet(std::uint16_t transport_seq, Time now);

  /// A feedback due by now; the caller fills in its SSRCs. nullopt: drained.
  std::optional<rtp::TransportFeedback> poll(Time now);
  Time next_timeout() const { return deadline_; }  // Time::max(): nothing to report

 private:
  bool started_ = false;
  std::int64_t begin_ = 0;                     // the first number of the next feedback
  std::int64_t highest_ = 0;                   // extended
  std::vector<std::optional<Time>> arrivals_;  // from begin_; the last one is there
  Time deadline_ = Time::max();
  std::uint8_t count_ = 0;
};

}  // namespace amphi::cc
