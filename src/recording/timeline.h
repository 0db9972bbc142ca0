// When a frame happened: its RTP timestamp placed on the recording's time line, whose zero is the recording's start.
//
// Until its sender has reported, a feed's line is that of its earliest arrivals. From then on it is its participant's clock: the NTP time of
// its reports (RFC 3550 6.4.1), freed of the leaps that setting that clock makes, and tied to ours by the earliest reports and frames. So a
// clock's drift is followed, delay and jitter are not, and a late report says as much as one in time. A report is believed when the one
// before it confirms it (rtp/report_check.h).
//
// Reports and timestamps that step are judged by the arrivals. Timestamps that stood still or stepped move the feed's arrivals against its
// timestamps for good (recording/arrival_level.h): the line goes on from there. A step of NTP time without such a shift is a clock that was
// set. A report that restates the relation from before such a shift undoes it: the delay changed, not the timestamps. NTP time that runs away
// from steady arrivals detaches the feed from its reports: it stays as far before its arrivals as it was. Timestamps of another rate than the
// arrivals' are not used. Corrections are slewed; a line steps only forward, and only beyond kJump or behind a shift. Durations are
// nanoseconds on either line. Thread: the recorder's.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"
#include "recording/arrival_level.h"
#include "recording/drops.h"
#include "recording/participant_clock.h"
#include "rtp/report_check.h"
#include "rtp/rtcp.h"
#include "rtp/seq.h"

namespace amphi::recording {

class FeedTimeline {
 public:
  /// `floor`: where the feed's file begins; nothing lies before it, though it may have been taken before.
  FeedTimeline(std::uint32_t clock_rate, Time start, Duration floor, ParticipantClock& clock, Drops& drops)
      : clock_rate_(clock_rate == 0 ? 1 : clock_rate), start_(start), floor_(floor), clock_(clock), drops_(drops) {}

  /// How long frames wait for `place` when `observe` says so.
  static constexpr Duration kProbe = 300ms;

  /// A packet arrived. Before the first frame is placed this tells where arrivals lie. True: it came later behind the one before than its
  /// timestamp says. Either the network stalled, and a burst follows, or the sender paused its timestamps. The packets of the next kProbe
  /// tell the two apart, so the caller places its frame after them.
  bool observe(rtp::WireTimestamp timestamp, Time arrival);
  /// Where this frame lies. Frames never lie before the ones before them, except `reordered` ones, whose timestamps may step back.
  /// Equal places are told apart by FrameClock.
  Duration place(rtp::WireTimestamp timestamp, Time arrival, bool reordered = false);
  void handle_sender_report(rtp::NtpTime ntp, rtp::WireTimestamp timestamp, Time now);
  /// Other timestamps from here on: the next frame lies where it arrives.
  void restart();

 private:
  static constexpr Duration kBurst = 45ms;  // by which the packets behind a late one catch up, if it was the network

  struct Report {
    Duration ntp{};
    rtp::WireTimestamp wire = 0;
    std::optional<rtp::Timestamp> timestamp;  // known once a frame is there to widen it by
    std::optional<Duration> level;            // ArrivalLevel::level when it came
    std::optional<Time> heard;                // arrival of the newest packet before it, or before the probe
    ParticipantClock::Setting setting = 0;
    Duration add{};  // as last known
    bool tied = false;       // by a setting of its own, to the arrivals
    bool estimated = false;  // timestamps stepped since: its NTP time is that of the arrivals
    Duration moved{};        // by those steps
    int movement = 0;        // of the participant, if it was that one only
    Duration set_by{};       // by which it says that the clock was set since `setting_before`
    ParticipantClock::Setting setting_before = 0;
  };

  /// The packets that came since one was late.
  struct Probe {
    rtp::Timestamp timestamp = 0;  // of the late one
    Time before, since;            // the arrivals of the packet before it, and its own
    Duration first{};              // arrival minus timestamp, of the late one
    Duration least{}, last{};      // the least and the last since
    int packets = 0;
  };

  /// Where reports and arrivals stood when the line began.
  struct Anchor {
    Duration time{};  // of the participant, at `timestamp`
    rtp::Timestamp timestamp = 0;
    std::optional<Duration> level;  // ArrivalLevel::level
    Duration lead{};                // by which media lay before its arrivals
  };

  Duration length(rtp::Timestamp ticks) const;
  rtp::Timestamp extended(rtp::WireTimestamp wire) const;
  bool observe_advance(rtp::Timestamp timestamp, Duration offset, Time arrival);
  void settle(Time arrival);
  void shift_line(Duration by, int movement = 0);
  void move_report(Duration by, int movement);
  void move_back();
  bool has_stepped(rtp::Timestamp step, Duration offset, bool reordered) const;
  Duration follow_step(rtp::WireTimestamp wire, rtp::Timestamp timestamp, Time arrival);
  Duration place_before(rtp::Timestamp step) const;
  Duration drifted(Duration media) const;
  bool left_the_line(Duration expected, Time arrival);
  std::optional<Duration> participant_time(rtp::Timestamp timestamp);
  Duration wanted_place(rtp::Timestamp timestamp, Time arrival);
  bool is_believed(const rtp::ReportedInstant& report, Time now);
  ParticipantClock::Setting first_setting(const Report& report, Time now);
  ParticipantClock::Setting stepped_setting(const Report& report, Duration set_by, Duration media_passed);
  ParticipantClock::Setting same_setting(const Report& report, Duration drifted_by, Duration media_passed);
  bool runs_away(const Report& report, Time now);
  void leave_report(Duration lead);
  Duration slewed(Duration expected, Duration wanted, Duration step) const;

  std::uint32_t clock_rate_;
  Time start_;
  Duration floor_;
  ParticipantClock& clock_;
  Drops& drops_;

  ArrivalLevel level_;
  WindowedMinimum earliest_{5s};  // arrival minus timestamp
  WindowedMinimum behind_{30s};    // arrival minus the time that reports give
  Duration lead_{};                 // by which media lies before its arrivals while no report is there
  std::optional<Report> report_;
  std::optional<Anchor> anchor_;
  bool detached_ = false;  // from its reports
  bool founds_ = false;    // its report was the first of the participant's clock
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
  bool reorders_ = false;  // some frame was shown before the newest
  rtp::Timestamp last_timestamp_ = 0;
  Duration first_{}, last_{};  // where the first frame lies, and the one before
  Duration usual_step_{};      // from a frame to the next, lately
  rtp::Timestamp advance_ = 0;  // from the frame before that one, in timestamps and on the line
  Duration moved_{};
  Time last_arrival_;
  std::optional<Time> late_since_;
};

}  // namespace amphi::recording
