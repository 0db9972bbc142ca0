// The minimum of a series over the last one to two windows. Thread: its owner's.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace amphi::recording {

class WindowedMinimum {
 public:
  explicit WindowedMinimum(Duration window) : window_(window) {}
  void add(Duration value, Time now) {
    if (empty() || now - since_ >= window_) {
      before_ = now - since_ >= 2 * window_ ? Duration::max() : now_;
      now_ = value;
      since_ = now;
    }
    now_ = std::min(now_, value);
  }
  bool empty() const { return now_ == Duration::max(); }
  Duration value() const { return now_ < before_ ? now_ : before_; }
  void reset() { now_ = before_ = Duration::max(); }
  /// The whole series is `by` more.
  void shift(Duration by) {
    if (now_ != Duration::max()) now_ += by;
    if (before_ != Duration::max()) before_ += by;
  }

 private:
  Duration window_;
  Duration now_ = Duration::max();
  Duration before_ = Duration::max();
  Time since_;
};

}  // namespace amphi::recording
