// One participant's clock, as the sender reports of all of its feeds tell it. Thread: the recorder's.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "base/time.h"
#include "recording/windowed_minimum.h"
#include "rtp/report_check.h"
#include "rtp/rtcp.h"

namespace amphi::recording {

constexpr Duration kJump = 1s;
constexpr Duration kReportNoise = 12ms;  // of what a sender takes for the same instant on its two clocks
constexpr Duration kTooEarly = 100ms;    // more than delays differ by

inline Duration distance(Duration a, Duration b) { return a < b ? b - a : a - b; }
Duration ntp_duration(rtp::NtpTime ntp);

/// Its NTP time may be set at any moment. Each setting has an amount to add, which makes one line through all of them. A feed finds that the
/// clock was set when NTP and media time of two of its reports are not equally far apart, and its packets arrive as before. A setting that
/// the reports of another feed contradict belongs to one feed, and moves no other.
class ParticipantClock {
 public:
  using Setting = std::uint32_t;

  /// What was made at `time`, on the participant's line, has arrived: a report, or a frame. False: that cannot be.
  bool arrived(Duration time, Time arrival);
  bool known() const { return !offset_.empty(); }
  /// All arrivals so far were those of a report that turned out wrong.
  void untie() {
    offset_.reset();
    steady_.reset();
  }
  /// Arrival on our line minus the participant's time. Moves by one in kEasing at most: when something came faster than all before, the
  /// feeds, whose packets wait for lost ones each by itself, must not learn of it at different times.
  Duration offset(Time now);

  /// The line of a feed moved at `since`, because its arrivals did. Lines that move together share the number, for the network may be the reason.
  int moved(Time since);
  /// A report says that the network was.
  void move_back(int number);
  bool is_moved_back(int number) const { return number == movement_ && moved_back_; }

  /// A report came, of any feed: whether NTP time has gone on since the report before as arrivals have. True for the first.
  bool goes_on(rtp::NtpTime ntp, Time now);
  /// What the setting adds to NTP; nullopt: too long ago.
  std::optional<Duration> added_by(Setting setting) const;
  /// The newest, of all feeds rather than an own one.
  std::optional<Setting> newest() const { return adding(Duration::min(), Duration::max()); }
  /// One newer than `before` that adds `add` within `tolerance`, and is the newest from now on; made if there is none. `own`: one feed's
  /// clock, unknown to the other feeds.
  Setting set(Duration add, Duration tolerance, Duration ntp, bool own = false, Setting before = 0);
  bool is_own(Setting setting) const;
  /// The newest that adds an amount between these; one of all feeds rather than an own one.
  std::optional<Setting> adding(Duration more_than, Duration less_than) const;
  /// A report of time `ntp` still goes by `setting`: newer settings from before it are own ones, or the same one if they add almost as much.
  void confirm(Setting setting, Duration ntp);

 private:
  static constexpr Duration kWindow = 15s;
  static constexpr Duration kMostEarly = 10s, kMostLate = 60s;  // what a sender keeps over a cut, and is asked for again, comes late and is true
  static constexpr Duration kTogether = 300ms;
  static constexpr Duration kBeginning = 5s;  // until then it follows at once
  static constexpr int kEasing = 200;
  static constexpr std::size_t kMostSettings = 8;
  static constexpr Duration kSameSetting = 20ms;  // a step that some feeds' reports show, and the noise hides in others
  struct Known {
    Setting number = 0;
    Duration add{};
    Duration since{};  // on the participant's line
    bool own = false;
  };
  WindowedMinimum offset_{kWindow};
  std::optional<Duration> steady_;  // the offset, without its jumps
  Time steady_since_, steady_at_;
  int movement_ = 0;  // the newest, and when it began
  Time moved_at_;
  bool moved_back_ = false;
  std::optional<rtp::NtpTime> reported_;  // the newest report, and when it came
  Time reported_at_;
  std::deque<Known> settings_;
  Setting numbers_ = 0;
};

}  // namespace amphi::recording
