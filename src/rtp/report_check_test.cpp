// Which sender reports confirm each other.
#include "rtp/report_check.h"

#include <gtest/gtest.h>

#include <vector>

namespace amphi::rtp {
namespace {

using Verdict = ReportCheck::Verdict;

ReportedInstant at(std::uint64_t ntp_ms, std::uint32_t media_ms) {
  return {{(ntp_ms / 1000) << 32 | ((ntp_ms % 1000) << 32) / 1000}, media_ms * 90};
}

}  // namespace

TEST(ReportCheck, believes_what_two_reports_agree_on) {
  constexpr std::uint64_t kNow = 3'900'000'000'000, kWrap = std::uint64_t{1} << 32;
  struct Row {
    const char* what;
    std::vector<ReportedInstant> reports;
    std::vector<Verdict> verdicts;
  };
  const Row rows[] = {
      {"truth", {at(kNow, 0), at(kNow + 1000, 1000), at(kNow + 6000, 6000)}, {Verdict::unconfirmed, Verdict::confirmed, Verdict::confirmed}},
      {"NTP 0", {at(0, 0), at(0, 1000)}, {Verdict::no_clock, Verdict::no_clock}},
      {"NTP 0 between", {at(kNow, 0), at(0, 500), at(kNow + 1000, 1000)}, {Verdict::unconfirmed, Verdict::no_clock, Verdict::confirmed}},
      {"uptime", {at(1, 0), at(1001, 1000)}, {Verdict::unconfirmed, Verdict::confirmed}},
      {"a clock that stands still", {at(kNow, 0), at(kNow, 1000), at(kNow, 2000)}, {Verdict::unconfirmed, Verdict::inconsistent, Verdict::inconsistent}},
      {"timestamps that stand still", {at(kNow, 7), at(kNow + 1000, 7)}, {Verdict::unconfirmed, Verdict::inconsistent}},
      {"the same again", {at(kNow, 0), at(kNow, 0), at(kNow + 1000, 1000)}, {Verdict::unconfirmed, Verdict::repeated, Verdict::confirmed}},
      {"too near to tell", {at(kNow, 0), at(kNow, 10), at(kNow, 20), at(kNow, 300)}, {Verdict::unconfirmed, Verdict::repeated, Verdict::repeated, Verdict::inconsistent}},
      {"an overtaken one", {at(kNow + 1000, 1000), at(kNow, 0), at(kNow + 2000, 2000)}, {Verdict::unconfirmed, Verdict::repeated, Verdict::confirmed}},
      {"a clock that is set", {at(kNow, 0), at(kNow + 7'201'000, 1000), at(kNow + 7'202'000, 2000)}, {Verdict::unconfirmed, Verdict::inconsistent, Verdict::confirmed}},
      {"drift of 1,000 ppm", {at(kNow, 0), at(kNow + 60'060, 60'000)}, {Verdict::unconfirmed, Verdict::confirmed}},
      {"half the rate", {at(kNow, 0), at(kNow + 500, 1000), at(kNow + 1000, 2000)}, {Verdict::unconfirmed, Verdict::inconsistent, Verdict::inconsistent}},
      {"the wrap of 2036", {at(kWrap * 1000 - 500, 0), at(kWrap * 1000 + 500, 1000)}, {Verdict::unconfirmed, Verdict::confirmed}},
      {"the wrap of timestamps", {{at(kNow, 0).ntp, 0xffff'ffffu - 45'000}, {at(kNow + 1000, 0).ntp, 44'999}}, {Verdict::unconfirmed, Verdict::confirmed}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    ReportCheck check;
    std::vector<Verdict> verdicts;
    for (const auto& report : row.reports) verdicts.push_back(check.check(report, 90'000));
    EXPECT_EQ(verdicts, row.verdicts);
  }
}

}  // namespace amphi::rtp
