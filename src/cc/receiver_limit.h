// The rate that a receiver allows a sender without transport-wide feedback, for REMB (draft-alvestrand-rmcat-remb-03).
// Loss-based, as in draft-ietf-rmcat-gcc-02 6: above 10 % the limit falls below the received rate, below 2 % it grows.
// A sender that uses less than its limit keeps it. One thread: the transport's.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace amphi::cc {

class ReceiverLimit {
 public:
  static constexpr std::uint64_t kMin = 150'000, kStart = 2'000'000, kMax = 20'000'000;  // bits per second

  void on_packet(std::size_t bytes) { bytes_ += bytes; }

  /// Ends an interval in which `expected` packets were to arrive and `lost` did not. Gives the new limit.
  std::uint64_t update(std::uint64_t expected, std::uint64_t lost, Duration interval) {
    const double seconds = std::chrono::duration<double>(interval).count();
    const double received = seconds > 0 ? static_cast<double>(bytes_) * 8 / seconds : 0;
    bytes_ = 0;
    if (expected == 0) return limit();
    const double loss = static_cast<double>(std::min(lost, expected)) / static_cast<double>(expected);
    if (loss > 0.1) limit_ = std::min(limit_, received * (1 - loss / 2));
    else if (loss < 0.02 && received * 2 > limit_) limit_ *= 1.25;  // grows for a sender that comes near it
    limit_ = std::clamp(limit_, static_cast<double>(kMin), static_cast<double>(kMax));
    return limit();
  }
  std::uint64_t limit() const { return static_cast<std::uint64_t>(limit_); }

 private:
  double limit_ = static_cast<double>(kStart);
  std::uint64_t bytes_ = 0;
};

}  // namespace amphi::cc
