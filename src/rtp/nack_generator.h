// Which packets of one stream to ask for again, and when (RFC 4585 6.2.1). One thread: the stream's.
// A gap is asked for after a short tolerance for reordering, then once a round trip, until it is filled or given up.
// While nothing is lost, nothing is allocated.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "rtp/seq.h"

namespace amphi::rtp {

class NackGenerator {
 public:
  static constexpr Duration kReorderTime = 10ms;
  static constexpr Seq kReorderPackets = 3;  // a gap this far behind the newest is no reordering
  static constexpr Duration kMinInterval = 20ms;
  static constexpr int kMaxTries = 10;
  static constexpr Duration kGiveUpAfter = 1s;
  static constexpr Seq kMaxMissing = 1000;         // a wider jump starts over
  static constexpr std::size_t kMaxPerPoll = 200;  // one NACK of these fits a datagram, however they are spread

  void on_packet(Seq seq, Time now);
  /// Numbers due to be asked for now, oldest first; each counts as asked. Empty: drained.
  std::vector<WireSeq> poll(Time now);
  Time next_timeout() const;  // Time::max(): nothing is missing
  void set_round_trip(Duration round_trip);

  /// True once after packets were given up: too many at once, too old, or asked for too often.
  bool take_keyframe_needed();

  std::size_t missing() const { return missing_.size(); }
  /// Whether the packet is missing and not given up.
  bool is_missing(WireSeq seq) const;

 private:
  struct Missing {
    Seq seq;
    Time since;
    Time next;  // when to ask
    int tries;
  };
  void start_over(Seq seq);
  void drop_hopeless(Time now);

  std::optional<Seq> highest_;
  std::vector<Missing> missing_;  // ascending
  Duration interval_ = 100ms;
  bool keyframe_needed_ = false;
};

}  // namespace amphi::rtp
