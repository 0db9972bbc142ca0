// Gives each H.264 frame the time at which it is shown. Some senders of B-frames give display times; some give timestamps in the order of
// sending. Of both, the frame that is shown k-th within its group gets the k-th smallest timestamp: the first kind keeps what it has.
//
// Frames in the order of decoding in, the same frames in the same order out. A frame waits until all frames that are shown before it are
// there. That is known when its order count follows the one shown before by the stream's step, or when more frames wait than the stream
// says are ever reordered. No frame is dropped, and none waits longer than kLongest. Frames that are shown as they are sent do not wait.
// See docs/decisions/0016-composition-times.md. Thread: the recorder's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/time.h"
#include "recording/frame.h"
#include "rtp/seq.h"

namespace amphi::recording {

class PictureOrder {
 public:
  static constexpr Duration kLongest = 800ms;           // from a frame's arrival
  static constexpr std::size_t kMostHeld = 34;          // 16 frames of two fields each, and the frame that they precede
  static constexpr std::size_t kMostHeldBytes = 8'000'000;
  static constexpr int kEnough = 10;          // frames
  static constexpr Duration kToldFor = 10s;   // after the newest of them

  /// The next frame in the order of decoding.
  void add(Frame frame, Time now);
  /// The next frame whose time is known.
  std::optional<Frame> poll(Time now);
  /// What follows does not belong to the frames so far: they wait no longer.
  void flush();
  /// And it is of another sender.
  void restart();
  Time next_timeout() const { return held_.empty() ? Time::max() : held_.front().frame.arrival + kLongest; }
  std::size_t held() const { return held_.size(); }

  /// The timestamps are, or were, those of the order of sending.
  bool is_sending() const { return corrected_ >= kEnough; }
  /// Frames come too late for their place: their times are between those of their neighbours, and uneven.
  bool is_late(Time now) const { return late_ >= kEnough && now - late_at_ < kToldFor; }

 private:
  /// A timestamp, and the arrival of the frame that came with it.
  struct Stamp {
    rtp::Timestamp timestamp = 0;
    Time arrival;
  };
  struct Held {
    Frame frame;
    std::int64_t count = 0;
    rtp::Timestamp sent = 0;  // its own timestamp
    bool placed = false;
  };
  struct Shown {
    std::int64_t count = 0;
    rtp::Timestamp timestamp = 0;
  };

  bool keeps_its_time(const Frame& frame) const;
  std::size_t depth(const Frame& frame) const;
  Held* first_waiting();
  void place_known(bool begins);
  void place(Held& held);
  void place_late(Held& held, Time now);
  void show(std::int64_t count, rtp::Timestamp timestamp);
  bool is_overdue(Time now) const;

  std::deque<Held> held_;      // in the order of decoding
  std::vector<Stamp> stamps_;  // of those that are not placed, in order
  std::size_t bytes_ = 0;
  std::vector<Shown> shown_;   // the newest of the group, in order
  std::int64_t highest_ = 0;   // count of the group
  rtp::Timestamp newest_ = 0;  // timestamp of the frame before
  std::optional<std::int64_t> step_;  // from a count to the next
  std::size_t depth_ = 0;             // frames that are held back, as the stream says
  bool distrusts_ = false;     // the stream says too little reordering
  int corrected_ = 0;
  int late_ = 0;
  Time late_at_;
};

}  // namespace amphi::recording
