// When lost packets are asked for, how often, and when not.
#include "rtp/nack_generator.h"

#include <gtest/gtest.h>

namespace amphi::rtp {
namespace {

using Asked = std::vector<WireSeq>;

Time at(std::int64_t ms) {
  return Time(milliseconds(ms));
}

void feed(NackGenerator& nack, Seq from, Seq to, Time now) {
  for (Seq seq = from; seq <= to; ++seq) nack.on_packet(seq, now);
}

}  // namespace

TEST(NackGenerator, asks_for_nothing_while_nothing_is_lost) {
  NackGenerator nack;
  feed(nack, 65'000, 66'000, at(0));
  nack.on_packet(65'990, at(1));
  EXPECT_EQ(nack.poll(at(1'000)), Asked{});
  EXPECT_EQ(nack.next_timeout(), Time::max());
  EXPECT_FALSE(nack.take_keyframe_needed());
}

TEST(NackGenerator, waits_ten_milliseconds_for_reordering) {
  NackGenerator nack;
  feed(nack, 1, 5, at(0));
  nack.on_packet(7, at(100));
  EXPECT_EQ(nack.poll(at(100)), Asked{});
  EXPECT_EQ(nack.next_timeout(), at(110));
  EXPECT_EQ(nack.poll(at(109)), Asked{});
  EXPECT_EQ(nack.poll(at(110)), Asked{6});
}

TEST(NackGenerator, waits_no_longer_once_three_packets_overtook) {
  NackGenerator nack;
  nack.on_packet(1, at(0));
  nack.on_packet(3, at(0));
  nack.on_packet(4, at(1));
  EXPECT_EQ(nack.poll(at(1)), Asked{});
  nack.on_packet(5, at(2));
  EXPECT_EQ(nack.poll(at(2)), Asked{2});
  nack.on_packet(6, at(3));
  EXPECT_EQ(nack.poll(at(3)), Asked{}) << "not again with every packet";
}

TEST(NackGenerator, a_reordered_packet_is_not_asked_for) {
  NackGenerator nack;
  nack.on_packet(1, at(0));
  nack.on_packet(3, at(0));
  nack.on_packet(2, at(5));
  EXPECT_EQ(nack.missing(), 0u);
  EXPECT_EQ(nack.poll(at(50)), Asked{});
}

TEST(NackGenerator, asks_again_after_a_round_trip_until_it_comes) {
  NackGenerator nack;
  nack.set_round_trip(50ms);
  nack.on_packet(65'534, at(0));
  nack.on_packet(65'538, at(0));
  EXPECT_EQ(nack.poll(at(10)), (Asked{65'535, 0, 1})) << "wire numbers, oldest first";
  EXPECT_EQ(nack.poll(at(60)), Asked{});
  nack.on_packet(65'536, at(62));
  EXPECT_EQ(nack.next_timeout(), at(70));
  EXPECT_EQ(nack.poll(at(70)), (Asked{65'535, 1}));
  feed(nack, 65'535, 65'537, at(100));
  EXPECT_EQ(nack.next_timeout(), Time::max());
}

TEST(NackGenerator, never_asks_more_often_than_each_20_ms) {
  NackGenerator nack;
  nack.set_round_trip(1us);
  nack.on_packet(1, at(0));
  nack.on_packet(3, at(0));
  EXPECT_EQ(nack.poll(at(10)), Asked{2});
  EXPECT_EQ(nack.poll(at(29)), Asked{});
  EXPECT_EQ(nack.poll(at(30)), Asked{2});
}

TEST(NackGenerator, gives_up_after_ten_tries_or_one_second_and_says_so) {
  struct Row {
    Duration round_trip;
    int tries;
  };
  for (const Row& row : {Row{10ms, 10}, Row{190ms, 5}}) {
    NackGenerator nack;
    nack.set_round_trip(row.round_trip);
    nack.on_packet(1, at(0));
    nack.on_packet(3, at(0));
    int asked = 0;
    while (nack.next_timeout() != Time::max()) {
      ASSERT_LE(nack.next_timeout(), at(1'000));
      asked += static_cast<int>(nack.poll(nack.next_timeout()).size());
      ASSERT_LE(asked, 20);
    }
    EXPECT_EQ(asked, row.tries);
    EXPECT_TRUE(nack.take_keyframe_needed());
    EXPECT_FALSE(nack.take_keyframe_needed()) << "once";
  }
}

TEST(NackGenerator, a_jump_of_more_than_a_thousand_starts_over) {
  for (Seq jump : {Seq{5'000}, Seq{-5'000}}) {
    NackGenerator nack;
    nack.on_packet(10'000, at(0));
    nack.on_packet(10'002, at(0));
    nack.on_packet(10'000 + jump, at(0));
    EXPECT_EQ(nack.missing(), 0u);
    EXPECT_TRUE(nack.take_keyframe_needed());
    nack.on_packet(10'002 + jump, at(1));
    EXPECT_EQ(nack.poll(at(20)), Asked{static_cast<WireSeq>(10'001 + jump)});
  }
}

TEST(NackGenerator, many_small_gaps_are_bounded_too_and_one_request_fits_a_datagram) {
  NackGenerator nack;
  for (Seq seq = 0; seq <= 2'000; seq += 2) nack.on_packet(seq, at(0));
  EXPECT_EQ(nack.missing(), 1'000u);
  EXPECT_EQ(nack.poll(at(20)).size(), NackGenerator::kMaxPerPoll);
  std::size_t rest = 0;
  for (Asked asked = nack.poll(at(20)); !asked.empty(); asked = nack.poll(at(20))) rest += asked.size();
  EXPECT_EQ(rest, 800u);
  nack.on_packet(2'002, at(20));
  EXPECT_EQ(nack.missing(), 0u);
  EXPECT_TRUE(nack.take_keyframe_needed());
}

}  // namespace amphi::rtp
