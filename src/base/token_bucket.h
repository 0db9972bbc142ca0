// A rate limit: `rate` a second on average, `burst` at once. Thread: its owner's.
#pragma once

#include <algorithm>
#include <chrono>

#include "base/time.h"

namespace amphi {

class TokenBucket {
 public:
  TokenBucket(double rate, double burst) : rate_(rate), burst_(burst), level_(burst) {}

  /// Takes `cost` where the bucket holds as much; false: nothing is taken.
  bool take(Time now, double cost = 1) {
    refill(now);
    if (level_ < cost) return false;
    level_ -= cost;
    return true;
  }
  /// For work whose cost shows afterwards: `overdrawn` asks before it, `charge` takes its cost, below zero if need be.
  bool overdrawn(Time now) {
    refill(now);
    return level_ < 0;
  }
  void charge(double cost) { level_ -= cost; }
  /// When `take` of 1 succeeds.
  Time available_at() const {
    if (level_ >= 1) return at_;
    return at_ + std::chrono::ceil<Duration>(std::chrono::duration<double>((1 - level_) / rate_)) + Duration{1};
  }

 private:
  void refill(Time now) {
    if (now <= at_) return;
    level_ = std::min(burst_, level_ + rate_ * std::chrono::duration<double>(now - at_).count());
    at_ = now;
  }

  double rate_;
  double burst_;
  double level_;
  Time at_{};  // the first refill finds a full bucket
};

}  // namespace amphi
