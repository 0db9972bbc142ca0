// Decode times for frames that are not shown in the order in which they are decoded (ISO/IEC 14496-12 8.6.1): they grow, and none lies
// behind the time at which its frame is shown. Frames in order are decoded when they are shown. Thread: the recorder's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace amphi::recording {

class DecodeClock {
 public:
  /// A frame that is about to get its decode time, in the order of decoding. All of a fragment are told before the first of them gets it.
  void expect(std::int64_t shown, bool keyframe) {
    if (keyframe) expected_.clear();
    const auto at = std::lower_bound(expected_.begin(), expected_.end(), shown);
    depth_ = std::max(depth_, static_cast<std::size_t>(expected_.end() - at));
    expected_.insert(at, shown);
    if (expected_.size() > kMost) expected_.erase(expected_.begin());
  }
  /// The decode time of the next frame. It can lie behind `shown` only where a deeper order begins in the middle of a fragment's frames.
  std::int64_t place(std::int64_t shown, bool keyframe) {
    if (keyframe) waiting_.clear();
    waiting_.insert(std::lower_bound(waiting_.begin(), waiting_.end(), shown), shown);
    // As many frames as are ever held back are decoded before the first is shown, a tick apart.
    std::int64_t at = waiting_.front() - static_cast<std::int64_t>(depth_ + 1 - std::min(depth_ + 1, waiting_.size()));
    while (waiting_.size() > depth_) {
      at = waiting_.front();
      waiting_.erase(waiting_.begin());
    }
    at = std::max(at, next_);
    next_ = at + 1;
    return at;
  }
  /// The frame before lasts until then: none is decoded earlier.
  void skip_to(std::int64_t at) { next_ = std::max(next_, at); }

 private:
  static constexpr std::size_t kMost = 17;  // 16 frames can be held back (ITU-T H.264 A.3.1)

  std::vector<std::int64_t> expected_, waiting_;  // when they are shown, in order
  std::size_t depth_ = 0;  // how many frames are held back at most
  std::int64_t next_ = 0;  // the earliest decode time
};

}  // namespace amphi::recording
