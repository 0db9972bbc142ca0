#include "cc/receiver_limit.h"

#include <gtest/gtest.h>

namespace amphi::cc {
namespace {

/// A sender at the lesser of what it wants and its limit, over a link that drops what is beyond its rate.
std::uint64_t after(int seconds, double wanted_bps, double link_bps, double random_loss = 0) {
  ReceiverLimit limit;
  for (int i = 0; i < seconds; ++i) {
    const double sent = std::min(wanted_bps, static_cast<double>(limit.limit()));
    const double arrived = std::min(sent, link_bps) * (1 - random_loss);
    limit.on_packet(static_cast<std::size_t>(arrived / 8));
    const auto expected = static_cast<std::uint64_t>(sent / 9600);
    limit.update(expected, expected - static_cast<std::uint64_t>(arrived / 9600), 1s);
  }
  return limit.limit();
}

TEST(ReceiverLimit, a_sender_on_a_wide_link_gets_what_it_wants) {
  EXPECT_GE(after(20, 8e6, 100e6), 8'000'000u);
  EXPECT_EQ(after(100, 100e6, 100e6), ReceiverLimit::kMax);
  EXPECT_GE(after(20, 8e6, 100e6, 0.01), 8'000'000u) << "a little loss is not congestion";
}

TEST(ReceiverLimit, a_sender_below_its_limit_keeps_it) {
  EXPECT_EQ(after(60, 200e3, 100e6), ReceiverLimit::kStart);
  ReceiverLimit silent;
  for (int i = 0; i < 60; ++i) silent.update(0, 0, 1s);
  EXPECT_EQ(silent.limit(), ReceiverLimit::kStart);
}

TEST(ReceiverLimit, a_narrow_link_is_found_and_not_starved) {
  for (const double link : {300e3, 1e6, 3e6}) {
    const std::uint64_t limit = after(60, 8e6, link);
    EXPECT_GT(static_cast<double>(limit), link * 0.4) << link;
    EXPECT_LT(static_cast<double>(limit), link * 1.5) << link;
  }
  EXPECT_EQ(after(60, 8e6, 10e3), ReceiverLimit::kMin);
}

}  // namespace
}  // namespace amphi::cc
