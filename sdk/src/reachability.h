// When to tell that a transport's media cannot get through: 10 s after it was negotiated, or after its path was lost, without a connection.
// The time counts only while signalling is connected; without signalling the cause is told elsewhere.
// No I/O; time is an argument. Thread: its owner's.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace amphi::sdk {

class Reachability {
 public:
  static constexpr Duration kPatience = 10s;

  /// The transport has a peer to connect to and no path: it was negotiated, or its path was lost.
  void wanted(Time now) {
    if (wanted_ || unreachable_) return;
    wanted_ = true;
    since_ = now;
  }
  /// Media gets through, or there is nothing to connect any more.
  void settled() { wanted_ = unreachable_ = false; }
  void signalling_interrupted() { signalling_ = false; }
  void signalling_resumed(Time now) {
    signalling_ = true;
    since_ = now;
  }
  /// Known without waiting.
  void lost() {
    wanted_ = false;
    unreachable_ = true;
  }
  /// True: tell it now.
  bool take_due(Time now) {
    if (now < next_timeout()) return false;
    wanted_ = false;
    return unreachable_ = true;
  }
  /// It was told, and media has not got through since.
  bool unreachable() const noexcept { return unreachable_; }
  Time next_timeout() const noexcept { return wanted_ && signalling_ ? since_ + kPatience : Time::max(); }

 private:
  bool wanted_ = false, unreachable_ = false;
  bool signalling_ = true;
  Time since_{};
};

}  // namespace amphi::sdk
