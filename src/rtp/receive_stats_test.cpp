// Receiver statistics against the numbers of RFC 3550.
#include "rtp/receive_stats.h"

#include <gtest/gtest.h>

namespace amphi::rtp {
namespace {

constexpr std::uint32_t kRate = 90'000;

/// One packet each 10 ms, on time.
void feed(ReceiveStats& stats, Seq seq, Duration late = {}) {
  stats.on_packet(seq, static_cast<WireTimestamp>(seq * 900), kRate, Time(10ms * seq + late));
}

}  // namespace

TEST(ReceiveStats, counts_loss_in_all_and_since_the_last_report) {
  ReceiveStats stats;
  EXPECT_TRUE(stats.empty());
  for (Seq seq = 65'530; seq < 65'630; ++seq) {
    if (seq % 4 != 0) feed(stats, seq);
  }
  EXPECT_EQ(stats.received(), 75u);
  EXPECT_EQ(stats.lost(), 25);
  ReportBlock block = stats.report(9, {});
  EXPECT_EQ(block.ssrc, 9u);
  EXPECT_EQ(block.cumulative_lost, 25);
  EXPECT_EQ(block.fraction_lost, 64);
  EXPECT_EQ(block.highest_seq, 65'629u) << "cycles in the upper half";

  for (Seq seq = 65'630; seq < 65'640; ++seq) feed(stats, seq);
  block = stats.report(9, {});
  EXPECT_EQ(block.cumulative_lost, 25);
  EXPECT_EQ(block.fraction_lost, 0);
  EXPECT_EQ(stats.report(9, {}).fraction_lost, 0) << "nothing was expected since";
}

TEST(ReceiveStats, duplicates_count_neither_as_received_nor_against_loss) {
  ReceiveStats stats;
  for (Seq seq : {10, 11, 11, 13, 12, 12, 10}) feed(stats, seq);
  EXPECT_EQ(stats.received(), 4u);
  EXPECT_EQ(stats.duplicates(), 3u);
  EXPECT_EQ(stats.lost(), 0);
  for (Seq seq = 14; seq < 4'000; ++seq) feed(stats, seq);
  EXPECT_EQ(stats.duplicates(), 3u) << "a number's place in the window is free again";
  EXPECT_EQ(stats.lost(), 0);
}

TEST(ReceiveStats, a_packet_from_before_the_first_extends_the_stream) {
  ReceiveStats stats;
  for (Seq seq : {100, 99, 101}) feed(stats, seq);
  EXPECT_EQ(stats.lost(), 0);
  EXPECT_EQ(stats.received(), 3u);
}

TEST(ReceiveStats, one_stray_number_changes_nothing_and_two_in_a_row_start_over) {
  ReceiveStats stats;
  for (Seq seq = 0; seq < 10; ++seq) feed(stats, seq);
  feed(stats, 20'000);
  feed(stats, 10);
  EXPECT_EQ(stats.lost(), 0);
  EXPECT_EQ(stats.report(1, {}).highest_seq, 10u);
  feed(stats, 20'000);
  feed(stats, 20'001);
  feed(stats, 20'002);
  EXPECT_EQ(stats.report(1, {}).highest_seq, 20'002u);
  EXPECT_EQ(stats.lost(), 0);
}

TEST(ReceiveStats, jitter_follows_the_formula_of_a_8) {
  ReceiveStats stats;
  for (Seq seq = 0; seq < 100; ++seq) feed(stats, seq);
  EXPECT_EQ(stats.jitter(), 0u);
  feed(stats, 100, 16ms);  // 1440 units late: J = 1440 / 16
  EXPECT_EQ(stats.jitter(), 90u);
  feed(stats, 101, 16ms);  // as late: J -= J / 16
  EXPECT_EQ(stats.jitter(), 84u);

  ReceiveStats swinging;
  for (Seq seq = 0; seq < 1'000; ++seq) feed(swinging, seq, seq % 2 ? 4ms : 0ms);
  EXPECT_NEAR(swinging.jitter(), 360, 2);
}

TEST(ReceiveStats, a_jump_of_the_time_line_is_not_jitter) {
  ReceiveStats stats;
  stats.on_packet(1, 0, kRate, Time(0ms));
  stats.on_packet(2, 0x80000000, kRate, Time(10ms));
  stats.on_packet(3, 0x80000000 + 900, kRate, Time(20ms));
  EXPECT_EQ(stats.jitter(), 0u);
}

TEST(ReceiveStats, tells_the_last_sender_report_and_its_age) {
  ReceiveStats stats;
  feed(stats, 1);
  EXPECT_EQ(stats.report(1, Time(1s)).last_sr, 0u);
  EXPECT_EQ(stats.report(1, Time(1s)).delay_since_last_sr, 0u);
  stats.on_sender_report({0x0123456789abcdef}, Time(2s));
  const ReportBlock block = stats.report(1, Time(4'500ms));
  EXPECT_EQ(block.last_sr, 0x456789abu);
  EXPECT_EQ(block.delay_since_last_sr, 5u * 65'536 / 2);
}

}  // namespace amphi::rtp
