// The packets that one receiver gets again (RFC 4585 6.2.1): each at most once per round trip, all of them within a share
// of the bytes that the receiver was sent. Everything past that would be paid for by the other receivers of the server.
// Allocates nothing after construction. Thread: the peer's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/time.h"
#include "rtp/seq.h"

namespace amphi::peer {

class RetransmissionBudget {
 public:
  static constexpr rtp::Seq kWindow = 2048;             // numbers of one line that are told apart
  static constexpr double kShare = 0.5;                 // of the bytes sent; enough for a loss of 30 % in the long run
  static constexpr std::size_t kLeastBurst = 128'000;   // bytes: 500 ms of 2 Mbit/s
  static constexpr Duration kBurstWindow = 1s;          // the burst is what was sent in it: twice 500 ms

  enum class Verdict { wanted, duplicate, too_soon };

  /// A new NACK: numbers named by an earlier one are no duplicates.
  void begin_report() { ++report_; }
  Verdict on_request(std::size_t line, rtp::Seq seq, Duration round_trip, Time now) {
    Entry& entry = entry_of(line, seq);
    if (entry.line != line || entry.seq != seq) entry = {seq, kNever, static_cast<std::uint32_t>(line), report_ - 1};
    if (entry.report == report_) return Verdict::duplicate;
    entry.report = report_;
    return entry.sent_at != kNever && now < entry.sent_at + round_trip ? Verdict::too_soon : Verdict::wanted;
  }
  /// False: the share is used up, and nothing may be sent again now.
  bool spend(std::size_t line, rtp::Seq seq, std::size_t bytes, Time now) {
    if (level_ < static_cast<double>(bytes)) return false;
    level_ -= static_cast<double>(bytes);
    entry_of(line, seq) = {seq, now, static_cast<std::uint32_t>(line), report_};
    return true;
  }
  /// A packet that was sent for the first time.
  void on_sent(std::size_t bytes, Time now) {
    if (now >= window_began_ + kBurstWindow) {
      before_ = now < window_began_ + 2 * kBurstWindow ? window_ : 0;
      window_ = 0;
      window_began_ = now;
    }
    window_ += bytes;
    level_ = std::min(level_ + static_cast<double>(bytes) * kShare, static_cast<double>(std::max({kLeastBurst, window_, before_})));
  }

 private:
  static constexpr Time kNever = Time::min();
  struct Entry {
    rtp::Seq seq = std::numeric_limits<rtp::Seq>::min();
    Time sent_at = kNever;
    std::uint32_t line = 0;
    std::uint32_t report = 0;
  };
  Entry& entry_of(std::size_t line, rtp::Seq seq) {
    return entries_[(static_cast<std::size_t>(seq) + line * 379) & (kWindow - 1)];  // a prime: lines spread
  }

  std::vector<Entry> entries_ = std::vector<Entry>(kWindow);
  std::uint32_t report_ = 1;
  double level_ = kLeastBurst;
  std::size_t window_ = 0, before_ = 0;
  Time window_began_{};
};

}  // namespace amphi::peer
