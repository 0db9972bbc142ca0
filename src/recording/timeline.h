// When a frame happened: its RTP timestamp placed on the recording's time line, whose zero is the recording's start.
//
// Until its sender has reported, a feed's line is that of its earliest arrivals. From then on it is its participant's
// clock: the NTP time of its reports (RFC 3550 6.4.1), freed of the leaps that setting that clock makes, and tied to ours by
// whatever came earliest, reports and frames alike. So a clock's drift is followed, delay and jitter are not, and a late
// report says as much as one in time. A report is believed when the one before it confirms it (rtp/report_check.h) and when it agrees
// with the arrivals; otherwise the feed's line is that of its arrivals, or of the last report that was believed. Corrections are slewed; only forward, and beyond kJump, does a line step. Durations
// are nanoseconds on whichever line. Thread: the recorder's.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "base/time.h"
#include "recording/drops.h"
#include "rtp/report_check.h"
#include "rtp/rtcp.h"
#include "rtp/seq.h"

namespace amphi::recording {

constexpr Duration kJump = 1s;

/// The minimum of a series over the last one to two windows.
class WindowedMinimum {
 public:
  explicit WindowedMinimum(Duration window) : window_(window) {}
  void add(Duration value, Time now);
  bool empty() const { return now_ == Duration::max(); }
  Duration value() const { return now_ < before_ ? now_ : before_; }
  void reset() { now_ = before_ = Duration::max(); }

 private:
  Duration window_;
  Duration now_ = Duration::max();
  Duration before_ = Duration::max();
  Time since_;
};

/// One participant's clock, as all of its feeds tell it. Its NTP time may be set at any moment; each of its settings has what
/// is to be added to be on one line that goes on through all of them. A feed finds that the clock was set when NTP and media
/// time of two of its reports are not equally far apart. If it was its media that slipped, the other feeds tell so.
class ParticipantClock {
 public:
  using Setting = std::uint32_t;

  /// What was made at `time`, on the participant's line, has arrived: a report, or a frame. False: that cannot be.
  bool arrived(Duration time, Time arrival);
  bool known() const { return !offset_.empty(); }
  /// Arrival on our line minus the participant's time. Moves by one in kEasing at most: when something came faster than all before, the
  /// feeds, whose packets wait for lost ones each by itself, must not learn of it at different times.
  Duration offset(Time now);

  /// A report came, of any feed: whether NTP time has gone on since the report before as arrivals have. True for the first.
  bool goes_on(rtp::NtpTime ntp, Time now);
  /// What the setting adds to NTP; nullopt: too long ago.
  std::optional<Duration> added_by(Setting setting) const;
  std::optional<Setting> newest() const { return settings_.empty() ? std::nullopt : std::optional(settings_.back().number); }
  /// One that adds `add` within `tolerance`, which is the newest from now on; made if there is none. `own`: one feed's clock, which the
  /// other feeds know nothing of.
  Setting set(Duration add, Duration tolerance, Duration ntp, bool own = false);
  bool is_own(Setting setting) const;
  /// The one that adds most between these, which puts media nearest to its arrival; one of all feeds rather than an own one.
  std::optional<Setting> adding(Duration more_than, Duration less_than) const;
  /// A report of time `ntp` still goes by `setting`: there is no newer one from before it.
  void confirm(Setting setting, Duration ntp);

 private:
  static constexpr Duration kWindow = 15s;
  static constexpr Duration kMostEarly = 10s, kMostLate = 60s;  // what a sender keeps over a cut, and is asked for again, comes late and is true
  static constexpr Duration kBeginning = 5s;  // until then it follows at once
  static constexpr int kEasing = 200;
  static constexpr std::size_t kMostSettings = 8;
  struct Known {
    Setting number = 0;
    Duration add{};
    Duration since{};  // on the participant's line
    bool own = false;
  };
  WindowedMinimum offset_{kWindow};
  std::optional<Duration> steady_;  // the offset, without its jumps
  Time steady_since_, steady_at_;
  std::optional<rtp::NtpTime> reported_;  // the newest report, and when it came
  Time reported_at_;
  std::deque<Known> settings_;
  Setting numbers_ = 0;
};

Duration ntp_duration(rtp::NtpTime ntp);

class FeedTimeline {
 public:
  /// `floor`: where the feed's file begins; nothing lies before it, though it may have been taken before.
  FeedTimeline(std::uint32_t clock_rate, Time start, Duration floor, ParticipantClock& clock, Drops& drops)
      : clock_rate_(clock_rate == 0 ? 1 : clock_rate), start_(start), floor_(floor), clock_(clock), drops_(drops) {}

  /// How long frames wait for `place` when `observe` says so.
  static constexpr Duration kProbe = 150ms;

  /// A packet arrived. Before the first frame is placed this tells where arrivals lie. True: it came later behind the one before than its
  /// timestamp says. Either a network stalled, and a burst follows, or the sender paused its timestamps; the packets of the next kProbe
  /// tell, so its frame should be placed after them.
  bool observe(rtp::WireTimestamp timestamp, Time arrival);
  /// Where this frame lies. Frames never lie before the ones before them, except `reordered` ones, whose timestamps may step back.
  /// Equal places are told apart by FrameClock.
  Duration place(rtp::WireTimestamp timestamp, Time arrival, bool reordered = false);
  void handle_sender_report(rtp::NtpTime ntp, rtp::WireTimestamp timestamp, Time now);
  /// Other timestamps from here on: the next frame lies where it arrives.
  void restart();

 private:
  struct Report {
    Duration ntp{};
    rtp::WireTimestamp wire = 0;
    std::optional<rtp::Timestamp> timestamp;  // known once a frame is there to widen it by
    ParticipantClock::Setting setting = 0;
    Duration add{};  // what it was last known to add
  };

  /// The packets that came since one was late.
  struct Probe {
    rtp::Timestamp timestamp = 0;  // of the late one
    Duration first{};  // arrival minus timestamp, of the late one
    Duration least{};  // and the least since
  };

  Duration length(rtp::Timestamp ticks) const;
  rtp::Timestamp extended(rtp::WireTimestamp wire) const;
  void settle(const Probe& probe, Time arrival);
  Duration place_before(rtp::Timestamp step) const;
  Duration drifted(Duration media) const;
  bool left_the_line(rtp::Timestamp step, Duration expected, Time arrival);
  std::optional<Duration> participant_time(rtp::Timestamp timestamp);
  bool is_believed(const rtp::ReportedInstant& report, Time now);
  ParticipantClock::Setting first_setting(const Report& report, Time now);
  ParticipantClock::Setting next_setting(const Report& report, Duration ntp_passed, Duration media_passed);
  Duration slewed(Duration expected, Duration wanted, Duration step) const;

  std::uint32_t clock_rate_;
  Time start_;
  Duration floor_;
  ParticipantClock& clock_;
  Drops& drops_;

  WindowedMinimum earliest_{5s};  // arrival minus timestamp
  WindowedMinimum behind_{30s};    // arrival minus the time that reports give
  Duration lead_{};                 // by which media lies before its arrivals, until the first report behind a pause
  std::optional<Report> report_;
  double drift_ = 0;  // of NTP time against media time
  rtp::ReportCheck check_;
  bool confirmed_ = false;  // some report was, since the line began
  int contradictions_ = 0;  // since then, in a row
  rtp::WireTimestamp last_reported_ = 0;
  std::optional<Probe> probe_;
  rtp::Timestamp newest_timestamp_ = 0;  // of the packets, and when it came
  std::optional<Time> newest_arrival_;
  bool placed_any_ = false;
  bool anew_ = true;  // nothing is placed since the line began, or began anew
  rtp::Timestamp last_timestamp_ = 0;
  Duration first_{}, last_{};  // where the first frame lies, and the one before
  rtp::Timestamp advance_ = 0;  // from the frame before that one, in timestamps and on the line
  Duration moved_{};
  Time last_arrival_;
  std::optional<Time> late_since_;
};

}  // namespace amphi::recording
