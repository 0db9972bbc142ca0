// Decides which intervals between the frames of a feed are outages: its `silent` gaps. A pure machine: intervals in, gaps out, in order.
//
//  - Audio: every interval over kSilent. A sender in DTX sends a packet each 400 ms.
//  - Video: every interval over kStill and over twice the regular interval, which is the longest of kEnough regular intervals in a row.
//    A browser that shares a still screen repeats its frame once a second. A faster pace replaces a slower pace at once. A slower pace
//    replaces a faster pace only when the feed has not kept the faster pace for kForget, so that packets that pass an outage now and then
//    are not taken for a slow sender.
//  - A feed that is slow from its beginning has no gaps: its first intervals wait until they tell how it sends. Each that its neighbour
//    repeats is regular.
//
// Thread: the recorder's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <optional>
#include <string_view>

#include "base/time.h"
#include "rtp/codec.h"

namespace amphi::recording {

class SilenceWatch {
 public:
  static constexpr Duration kSilent = 1s;
  static constexpr Duration kStill = 1100ms;
  static constexpr std::size_t kEnough = 4;
  static constexpr Duration kForget = 60s;

  struct Silence {
    Duration from, to;
    std::string_view reason;  // of the gap
    Duration length() const { return to - from; }
  };

  explicit SilenceWatch(rtp::Kind kind) : learns_(kind == rtp::Kind::video) {}

  /// From the end of a frame to the next one. A bidirectional frame may lie before frames that came before it.
  void frame(const Silence& interval, bool bidirectional);
  /// Something else accounts for the interval up to the next frame: all that waits is decided.
  void interrupt();
  /// As `interrupt`; the feed has lasted for `rest` since its last frame.
  void finish(Duration rest);
  /// The next gap, decided by now.
  std::optional<Silence> poll();

  /// An interval that is longer is an outage.
  Duration longest_regular() const { return std::max(learns_ ? kStill : kSilent, 2 * regular_); }

 private:
  void take_regular(Duration interval, Duration at);
  void decide_newest();
  void decide_waiting(Duration rest);

  bool learns_;
  Duration regular_{};
  std::deque<Duration> recent_;      // the newest regular intervals in a row, at most kEnough
  std::optional<Duration> paced_at_; // until when the feed kept its pace
  std::optional<Silence> newest_;    // a bidirectional frame may still shorten it
  std::deque<Silence> waiting_;      // outages, or the pace of a slow sender
  std::deque<Silence> decided_;
};

}  // namespace amphi::recording
