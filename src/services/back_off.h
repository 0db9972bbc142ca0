// When to try again: exponential back-off with full jitter. The ceiling doubles from 250 ms to 10 s with each failure in a
// row, and the wait is anywhere below it, so that fifty clients do not come back at once. Thread: its owner's.
#pragma once

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "base/time.h"

namespace amphi::services {

class BackOff {
 public:
  explicit BackOff(Random& random) : random_(random) {}

  Duration next() {
    const auto ceiling = std::min<milliseconds>(kMost, kLeast * (1 << std::min(failures_, 10)));
    ++failures_;
    return milliseconds(static_cast<std::int64_t>(std::floor(random_.unit() * static_cast<double>(ceiling.count()))));
  }
  void succeeded() { failures_ = 0; }

 private:
  static constexpr milliseconds kLeast{250};
  static constexpr milliseconds kMost{10'000};

  Random& random_;
  int failures_ = 0;
};

}  // namespace amphi::services
