// How long the server keeps each packet: what goes in and out of its media sockets is watched on the test's own loopback, with the kernel's
// time stamps. RTP keeps its sequence number and timestamp on its way through, and SRTP leaves them readable.
// Thread: the test's; it has one of its own. Needs root.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace amphi::end_to_end {

class ForwardingWatch {
 public:
  using Clock = std::chrono::system_clock;  // of the time stamps
  struct Kept {
    Clock::time_point at;             // it came in
    std::chrono::nanoseconds length;  // until it went out
  };
  /// `log`: the server's, which names its media sockets.
  explicit ForwardingWatch(const std::string& log);
  ~ForwardingWatch();

  std::vector<Kept> between(Clock::time_point from, Clock::time_point to) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// "250 packets, kept 41 us (median), 92 us (p99), 180 us (longest)".
std::string in_words(const std::vector<ForwardingWatch::Kept>& kept);

}  // namespace amphi::end_to_end
