// What a sender report ties together (RFC 3550 6.4.1): one instant on its sender's NTP clock and on a stream's. Pure values; thread: any.
#pragma once

#include "base/time.h"
#include "rtp/rtcp.h"

namespace amphi::rtp {

struct ReportedInstant {
  NtpTime ntp;
  WireTimestamp rtp = 0;
};

/// As long as two clocks agree well enough for `advanced` to be of use.
constexpr Duration kReportLasts = 60s;

/// What the report would have said `by` later, for those who come after it. `by` is not negative.
inline ReportedInstant advanced(const ReportedInstant& reported, Duration by, std::uint32_t clock_rate) {
  const auto ms = static_cast<std::uint64_t>(to_ms(by));
  return {{reported.ntp.value + (ms << 32) / 1000}, static_cast<WireTimestamp>(reported.rtp + ms * clock_rate / 1000)};
}

}  // namespace amphi::rtp
