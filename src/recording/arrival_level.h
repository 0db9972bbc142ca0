// How late the packets of one feed arrive against their timestamps, in groups of kGroup: the least of a group tells a sender whose timestamps
// stand still, which moves it for good, from a network that stalls, behind which packets catch up. Thread: the recorder's.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"
#include "recording/windowed_minimum.h"

namespace amphi::recording {

class ArrivalLevel {
 public:
  /// A packet: its arrival minus its timestamp. `earliest`: the least of the last seconds.
  void add(Duration offset, std::optional<Duration> earliest, Time arrival);
  /// Packets lay so much above the earliest, and the network was the reason.
  void add_noise(Duration above, Time arrival) { noise_.add(-above, arrival); }
  /// Other timestamps from here on.
  void restart();

  /// The least offset of the last one to two groups.
  std::optional<Duration> level() const { return level_; }
  /// The most by which a group's least was above the earliest, of the last seconds: a smaller shift proves nothing.
  Duration noise() const;
  /// Timestamps advance at another rate than packets arrive, or not at all.
  bool is_off_rate() const { return off_rate_; }
  bool is_slow() const { return off_rate_ && off_ > 0; }

 private:
  static constexpr Duration kGroup = 150ms;
  static constexpr int kLeastPackets = 3;
  static constexpr Duration kMostNoise = 200ms;
  static constexpr int kMostStanding = 4;  // groups in a row between which timestamps advance by less than a quarter of the arrivals
  static constexpr Duration kRateWindow = 500ms;
  static constexpr int kFar = 4, kOff = 33;           // one part in so many: by so much the rates differ
  static constexpr int kMostFar = 2, kMostOff = 5;  // windows in a row that say so

  void watch_standstill();
  void watch_rate(Duration offset, Time arrival);
  void end_rate_window(Time arrival);

  struct Group {
    Time since;
    Duration least{};
    int packets = 0;
  };
  std::optional<Group> group_, last_, window_;  // last_: the group before; window_: of the rate
  std::optional<Duration> level_;               // of both groups
  WindowedMinimum noise_{5s};             // negative: of the most
  std::optional<Group> last_window_;
  int standing_ = 0;                  // groups in a row
  int far_ = 0, off_ = 0, good_ = 0;  // windows in a row; negative: the timestamps are fast
  bool off_rate_ = false;
};

}  // namespace amphi::recording
