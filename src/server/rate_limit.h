// A token bucket: so many a second, with a burst. Pure: time is an argument. Thread: its owner's.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace amphi::server {

class RateLimit {
 public:
  RateLimit(double per_second, double burst) : per_second_(per_second), burst_(burst), left_(burst) {}

  bool allow(Time now, double cost = 1) {
    if (started_) left_ = std::min(burst_, left_ + std::chrono::duration<double>(now - last_).count() * per_second_);
    started_ = true;
    last_ = now;
    if (left_ < cost) return false;
    left_ -= cost;
    return true;
  }

 private:
  double per_second_, burst_, left_;
  Time last_{};
  bool started_ = false;
};

}  // namespace amphi::server
