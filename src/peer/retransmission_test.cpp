// Which packets a receiver gets again, and how many.
#include "peer/retransmission.h"

#include <gtest/gtest.h>

namespace amphi::peer {
namespace {

using Verdict = RetransmissionBudget::Verdict;
constexpr Duration kRoundTrip = 50ms;
const Time kStart = Time{} + 1h;

TEST(RetransmissionBudget, a_packet_goes_again_once_in_a_round_trip) {
  RetransmissionBudget budget;
  struct Row {
    const char* what;
    Duration at;
    bool new_report;
    rtp::Seq seq;
    Verdict verdict;
  };
  const Row rows[] = {
      {"the first request", 0ms, true, 7, Verdict::wanted},
      {"named twice in one report", 0ms, false, 7, Verdict::duplicate},
      {"another packet", 0ms, false, 8, Verdict::wanted},
      {"asked again at the same time", 0ms, true, 7, Verdict::too_soon},
      {"asked again within the round trip", 49ms, true, 7, Verdict::too_soon},
      {"asked again after it", 50ms, true, 7, Verdict::wanted},
      {"a number 2,048 later, which shares the place", 50ms, true, 7 + RetransmissionBudget::kWindow, Verdict::wanted},
      {"the same number of another line", 50ms, true, 8, Verdict::wanted},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    const Time now = kStart + row.at;
    if (row.new_report) budget.begin_report();
    EXPECT_EQ(budget.on_request(0, row.seq, kRoundTrip, now), row.verdict);
    if (row.verdict == Verdict::wanted) { EXPECT_TRUE(budget.spend(0, row.seq, 1000, now)); }
  }
  budget.begin_report();
  EXPECT_EQ(budget.on_request(1, 7, kRoundTrip, kStart), Verdict::wanted) << "another line has numbers of its own";
}

TEST(RetransmissionBudget, a_request_that_was_not_served_may_come_again_at_once) {
  RetransmissionBudget budget;
  budget.begin_report();
  EXPECT_EQ(budget.on_request(0, 7, kRoundTrip, kStart), Verdict::wanted);
  budget.begin_report();
  EXPECT_EQ(budget.on_request(0, 7, kRoundTrip, kStart + 1ms), Verdict::wanted);
}

TEST(RetransmissionBudget, half_a_second_of_video_may_be_lost_at_once_at_any_rate) {
  for (const std::size_t bits_per_second : {300'000, 2'000'000, 8'000'000, 50'000'000}) {
    SCOPED_TRACE(bits_per_second);
    RetransmissionBudget budget;
    const std::size_t packets = bits_per_second / 8 / 1000;  // a second of them
    for (std::size_t i = 0; i < 3 * packets; ++i) budget.on_sent(1000, kStart + 1s * i / packets);
    for (std::size_t i = 0; i < packets / 2; ++i) EXPECT_TRUE(budget.spend(0, rtp::Seq(i), 1000, kStart + 3s));
  }
}

TEST(RetransmissionBudget, in_the_long_run_no_more_than_half_of_the_rate_goes_again) {
  RetransmissionBudget budget;
  std::size_t sent = 0, again = 0;
  for (int i = 0; i < 60'000; ++i) {
    const Time now = kStart + i * 1ms;
    budget.on_sent(1000, now);
    sent += 1000;
    for (int greedy = 0; greedy < 10; ++greedy) again += budget.spend(0, i, 1000, now) ? 1000 : 0;
  }
  EXPECT_GT(again, sent * 0.45);
  EXPECT_LT(again, sent * 0.5 + 2 * RetransmissionBudget::kLeastBurst);
}

TEST(RetransmissionBudget, a_subscriber_that_is_sent_nothing_gets_a_burst_and_then_nothing_again) {
  RetransmissionBudget budget;
  std::size_t again = 0;
  for (int i = 0; i < 100'000; ++i) again += budget.spend(0, i, 1000, kStart + i * 1ms) ? 1000 : 0;
  EXPECT_EQ(again, RetransmissionBudget::kLeastBurst);
}

}  // namespace
}  // namespace amphi::peer
