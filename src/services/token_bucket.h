// A rate limit: `rate` a second on average, `burst` at once. Thread: its owner's.
#pragma once

#include <algorithm>
#include <chrono>

#include "base/time.h"

namespace amphi::services {

class TokenBucket {
 public:
  TokenBucket(double rate, double burst, Time now) : rate_(rate), burst_(burst), level_(burst), at_(now) {}

  bool take(Time now) {
    level_ = std::min(burst_, level_ + rate_ * std::max(0.0, std::chrono::duration<double>(now - at_).count()));
    at_ = std::max(at_, now);
    if (level_ < 1) return false;
    level_ -= 1;
    return true;
  }

  /// Nothing was taken for so long that a new bucket would be the same.
  bool is_full(Time now) const { return level_ + rate_ * std::chrono::duration<double>(now - at_).count() >= burst_; }

 private:
  double rate_;
  double burst_;
  double level_;
  Time at_;
};

}  // namespace amphi::services
