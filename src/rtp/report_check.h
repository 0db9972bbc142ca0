// Whether a stream's sender reports (RFC 3550 6.4.1) tell the truth about its clock. A report is confirmed by the one before it: between
// the two, NTP time and media time passed alike. A report that alone contradicts the one before (a clock that was set, media that stood
// still) is confirmed by its successor; reports that contradict each other always (a frozen NTP time, timestamps of another stream) are
// never confirmed. NTP 0 means that the sender has no wall clock. Pure; thread: its owner's.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"
#include "rtp/reported_instant.h"

namespace amphi::rtp {

/// From `b` to `a`, over the wrap of NTP time in 2036.
inline Duration between(NtpTime a, NtpTime b) {
  const auto difference = static_cast<std::int64_t>(a.value - b.value);
  return Duration((difference >> 32) * 1'000'000'000 + static_cast<std::int64_t>(((difference & 0xffffffff) * 1'000'000'000) >> 32));
}

class ReportCheck {
 public:
  static constexpr Duration kLeastSpan = 200ms;  // reports nearer than that confirm nothing
  static constexpr Duration kTolerance = 20ms;   // and one part in kDrift of the time that passed
  static constexpr int kDrift = 200;

  enum class Verdict {
    no_clock,      // NTP 0
    repeated,      // tells nothing new, or was overtaken
    unconfirmed,   // the first one
    confirmed,
    inconsistent,  // with the one before
  };

  Verdict check(const ReportedInstant& report, std::uint32_t clock_rate) {
    if (report.ntp.value == 0) return Verdict::no_clock;
    if (!last_) {
      last_ = report;
      return Verdict::unconfirmed;
    }
    const Duration ntp = between(report.ntp, last_->ntp);
    const std::int64_t ticks = static_cast<std::int32_t>(report.rtp - last_->rtp);
    const Duration media(ticks * 1'000'000'000 / (clock_rate == 0 ? 1 : clock_rate));
    const Duration span = media < Duration{} ? -media : media;
    const Duration error = ntp < media ? media - ntp : ntp - media;
    const bool alike = error <= kTolerance + span / kDrift;
    if (alike && media < kLeastSpan) return Verdict::repeated;
    last_ = report;
    return alike ? Verdict::confirmed : Verdict::inconsistent;
  }
  /// Other timestamps from here on.
  void restart() { last_.reset(); }

 private:
  std::optional<ReportedInstant> last_;
};

}  // namespace amphi::rtp
