// When a frame happened: its RTP timestamp placed on the recording's time line, whose zero is the recording's start.
//
// Until its sender has reported, a feed's line is that of its earliest arrivals. From then on it is its sender's NTP
// clock (RFC 3550 6.4.1), which all feeds of a participant share, and which the earliest arrivals of reports tie to
// ours. So a clock's drift is followed, delay and jitter are not. Corrections are slewed; only forward, and
// beyond kJump, does a line step. Durations are nanoseconds on whichever line. Thread: the recorder's.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"
#include "recording/drops.h"
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

/// One participant's NTP clock, as all of its feeds report it.
class ParticipantClock {
 public:
  void add_report(Duration ntp, Time arrival);
  bool known() const { return !offset_.empty(); }
  Duration offset() const { return offset_.value(); }  // arrival on our line minus NTP
  std::uint32_t epoch() const { return epoch_; }       // grows when the clock was set

 private:
  static constexpr Duration kWindow = 15s;
  WindowedMinimum offset_{kWindow};
  std::uint32_t epoch_ = 0;
};

Duration ntp_duration(rtp::NtpTime ntp);

class FeedTimeline {
 public:
  /// `floor`: where the feed's file begins; nothing lies before it, though it may have been taken before.
  FeedTimeline(std::uint32_t clock_rate, Time start, Duration floor, ParticipantClock& clock, Drops& drops)
      : clock_rate_(clock_rate == 0 ? 1 : clock_rate), start_(start), floor_(floor), clock_(clock), drops_(drops) {}

  /// A packet arrived. Before the first frame is placed this tells where arrivals lie.
  void observe(rtp::WireTimestamp timestamp, Time arrival);
  /// Where this frame lies; later frames lie later, even if their timestamps do not grow.
  Duration place(rtp::WireTimestamp timestamp, Time arrival);
  void handle_sender_report(rtp::NtpTime ntp, rtp::WireTimestamp timestamp, Time now);
  /// Other timestamps from here on: the next frame lies where it arrives.
  void restart();

 private:
  struct Report {
    Duration ntp{};
    rtp::WireTimestamp wire = 0;
    std::optional<rtp::Timestamp> timestamp;  // known once a frame is there to widen it by
    std::uint32_t epoch = 0;
  };

  Duration length(rtp::Timestamp ticks) const;
  bool left_the_line(rtp::Timestamp step, Duration expected, Time arrival);
  std::optional<Duration> by_reports(rtp::Timestamp timestamp);
  Duration slewed(Duration expected, Duration wanted, Duration step) const;

  std::uint32_t clock_rate_;
  Time start_;
  Duration floor_;
  ParticipantClock& clock_;
  Drops& drops_;

  WindowedMinimum earliest_{5s};  // arrival minus timestamp
  std::optional<Report> report_;
  bool placed_any_ = false;
  rtp::Timestamp last_timestamp_ = 0;
  Duration last_{};  // where the frame before lies
  Time last_arrival_;
  std::optional<Time> late_since_;
};

}  // namespace amphi::recording
