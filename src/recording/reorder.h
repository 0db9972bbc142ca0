// Puts one feed's packets in order. A missing packet is waited for (a NACK's answer takes a round trip or two), then
// its gap is declared and what comes later for it is refused. Bounded in time, packets and bytes. Thread: the
// recorder's.
//
// A packet that is next in order is not copied: `insert` says so and the caller uses it directly, then drains `poll`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "base/bytes.h"
#include "base/time.h"
#include "rtp/packet.h"
#include "rtp/seq.h"

namespace amphi::recording {

class ReorderBuffer {
 public:
  static constexpr Duration kWait = 400ms;
  static constexpr Duration kFirstWait = 50ms;  // the first to come need not be the first that was sent
  static constexpr std::size_t kMaxPackets = 2048;
  static constexpr std::size_t kMaxBytes = 3'000'000;

  enum class Place { next, held, late, duplicate };

  struct Packet {
    rtp::Seq seq = 0;
    rtp::RtpHeader header;
    Bytes payload;
    Time arrival;
    std::uint64_t missing_before = 0;  // packets given up between the one delivered before and this one
  };

  /// next: use the packet now, it is not kept. late, duplicate: it is of no use, however many follow: a retransmission comes as late as
  /// it likes, and numbers that a sender begins anew go on behind the old ones before they come here (peer/receive_stream.h).
  Place insert(rtp::Seq seq, const rtp::RtpHeader& header, ByteView payload, Time now);
  /// The next packet in order, of those held; `flush` gives up every gap at once. nullopt: nothing is due.
  std::optional<Packet> poll(Time now, bool flush = false);
  Time next_timeout() const { return held_.empty() ? Time::max() : std::max(hold_until_, is_next_held() ? Time{} : oldest_ + (next_ ? kWait : kFirstWait)); }
  /// Nothing is next until then, unless the buffer is full or flushed.
  void hold_until(Time time) { hold_until_ = time; }
  std::size_t held() const { return held_.size(); }
  /// The next packet is the first again; what is held is forgotten.
  void reset();

 private:
  void find_oldest();
  bool is_next_held() const { return next_ && held_.begin()->first == *next_; }

  std::map<rtp::Seq, Packet> held_;
  std::size_t bytes_ = 0;
  std::optional<rtp::Seq> next_;
  Time hold_until_{};
  Time oldest_ = Time::max();  // when the first of the held packets came
};

}  // namespace amphi::recording
