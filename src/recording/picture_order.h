// Whether a feed's timestamps follow the order in which its pictures are sent, though H.264 says that they are shown in another (B-frames).
// Such a sender gives no display times, and its pictures are shown in the wrong order. Thread: the recorder's.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"
#include "recording/frame.h"

namespace amphi::recording {

class PictureOrder {
 public:
  static constexpr int kEnough = 10;          // B pictures in a row
  static constexpr Duration kToldFor = 10s;   // after the newest of them

  /// Each written frame, in the order in which they were sent.
  void look(const Frame& frame, Time now);
  /// The timestamps are those of the order of sending.
  bool is_sending(Time now) const { return wrong_ >= kEnough && now - wrong_at_ < kToldFor; }

 private:
  std::int64_t extended(const Frame& frame);

  struct Shown {
    std::int64_t order;
    rtp::WireTimestamp timestamp;
  };
  std::int64_t reference_ = 0;   // the order of the newest reference picture
  std::optional<Shown> newest_;  // of the pictures since the keyframe, the one that is shown last
  int wrong_ = 0;                // B pictures in a row
  Time wrong_at_;                // the newest of them
};

}  // namespace amphi::recording
