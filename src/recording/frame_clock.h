// The time of each frame in ticks of the track's file: the one value that the file, the gaps and the journal use.
// Thread: the recorder's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace amphi::recording {

/// `time` in ticks, to the nearest; not below 0.
constexpr std::int64_t to_ticks(Duration time, std::int64_t per_second) {
  const std::int64_t ns = std::max<std::int64_t>(time.count(), 0);
  return ns / 1'000'000'000 * per_second + (ns % 1'000'000'000 * per_second + 500'000'000) / 1'000'000'000;
}
constexpr Duration from_ticks(std::int64_t ticks, std::int64_t per_second) {
  return Duration(ticks / per_second * 1'000'000'000 + ticks % per_second * 1'000'000'000 / per_second);
}

class FrameClock {
 public:
  static constexpr std::size_t kMostReordered = 16;  // frames that a decoder holds back to put them in order (ITU-T H.264 A.3.1)

  explicit FrameClock(std::int64_t ticks_per_second) : per_second_(ticks_per_second) {}

  /// `wanted` counts from the file's zero. Every frame gets a tick of its own. A frame lies behind all frames before it, except that one
  /// with `bidirectional` may lie before frames that came before it: at most kMostReordered, and none that is not after a keyframe.
  std::int64_t place(Duration wanted, bool keyframe, bool bidirectional) {
    std::int64_t at = to_ticks(wanted, per_second_);
    if (bidirectional && !keyframe) {
      at = std::max(at, passed_ + 1);
      for (const std::int64_t taken : recent_)
        if (taken == at) ++at;
    } else {
      at = std::max(at, newest() + 1);
    }
    if (keyframe) {
      recent_.clear();
      passed_ = at;
      return at;
    }
    recent_.insert(std::lower_bound(recent_.begin(), recent_.end(), at), at);
    if (recent_.size() > kMostReordered) {
      passed_ = std::max(passed_, recent_.front());
      recent_.erase(recent_.begin());
    }
    return at;
  }
  /// No frame lies before `until` any more.
  void pass(Duration until) { passed_ = std::max(passed_, to_ticks(until, per_second_) - 1); }
  Duration duration(std::int64_t ticks) const { return from_ticks(ticks, per_second_); }

 private:
  std::int64_t newest() const { return recent_.empty() ? passed_ : std::max(passed_, recent_.back()); }

  std::int64_t per_second_;
  std::int64_t passed_ = -1;           // no frame can lie here or before any more
  std::vector<std::int64_t> recent_;  // in order of time
};

}  // namespace amphi::recording
