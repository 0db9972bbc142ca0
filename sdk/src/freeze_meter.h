// Counts freezes as the W3C's freezeCount does: a pause between two pictures of at least max(3 x mean, mean + 150 ms), the mean being
// that of the last 30 intervals. Thread: its owner's.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "base/time.h"

namespace amphi::sdk {

class FreezeMeter {
 public:
  void on_frame(Time now) {
    if (last_) {
      const Duration interval = now - *last_;
      if (count_ > 0) {
        const Duration mean = sum_ / static_cast<std::int64_t>(count_);
        if (interval >= std::max<Duration>(3 * mean, mean + 150ms)) {
          ++freezes_;
          frozen_ += interval;
        }
      }
      Duration& slot = intervals_[next_];
      if (count_ == intervals_.size()) sum_ -= slot;
      else ++count_;
      slot = interval;
      sum_ += interval;
      next_ = (next_ + 1) % intervals_.size();
    }
    last_ = now;
  }
  std::uint64_t freezes() const { return freezes_; }
  Duration frozen() const { return frozen_; }

 private:
  std::array<Duration, 30> intervals_{};
  std::size_t count_ = 0, next_ = 0;
  Duration sum_{};
  std::optional<Time> last_;
  std::uint64_t freezes_ = 0;
  Duration frozen_{};
};

}  // namespace amphi::sdk
