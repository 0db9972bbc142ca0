// A line's receiving side against senders whose packets tell wrong numbers.
#include "peer/receive_stream.h"

#include <gtest/gtest.h>

namespace amphi::peer {
namespace {

constexpr std::uint32_t kClock = 90'000;

struct Sender {
  ReceiveStream stream;
  Time now = Time{} + 10s;
  std::uint16_t seq = 1000;
  rtp::WireTimestamp timestamp = 50'000;
  std::uint64_t taken = 0, sent = 0;
  std::uint32_t step = 900;
  Duration pause = 10ms;

  std::optional<rtp::Seq> give(std::uint16_t number, rtp::WireTimestamp at, bool recovered = false) {
    rtp::RtpHeader header;
    header.ssrc = 7;
    header.seq = number;
    header.timestamp = at;
    return stream.on_packet(header, recovered, true, kClock, 1000, now);
  }
  void send(int packets) {
    for (int i = 0; i < packets; ++i, ++seq, timestamp += step, now += pause, ++sent) taken += give(seq, timestamp) ? 1 : 0;
  }
};

TEST(ReceiveStream, an_rtx_packet_with_a_number_ahead_costs_no_media) {
  for (const int ahead : {1, 40, 500, 2047, 2048, 3000, 9000, 20'000, 32'767}) {
    Sender sender;
    sender.send(100);
    EXPECT_FALSE(sender.give(static_cast<std::uint16_t>(sender.seq - 1 + ahead), sender.timestamp, true)) << ahead;
    sender.send(3000);
    EXPECT_EQ(sender.taken, sender.sent) << ahead;
  }
}

TEST(ReceiveStream, an_rtx_packet_with_an_older_number_costs_no_media) {
  for (const int behind : {0, 1, 99, 2000, 2048, 5000, 32'000}) {
    Sender sender;
    sender.send(100);
    sender.give(static_cast<std::uint16_t>(sender.seq - 1 - behind), sender.timestamp, true);
    sender.send(3000);
    EXPECT_EQ(sender.taken, sender.sent) << behind;
  }
}

TEST(ReceiveStream, rtx_brings_a_missing_packet_once) {
  Sender sender;
  sender.send(10);
  ++sender.seq;
  sender.send(10);
  const std::uint16_t missing = sender.seq - 11;
  EXPECT_TRUE(sender.give(missing, sender.timestamp - 9900, true));
  EXPECT_FALSE(sender.give(missing, sender.timestamp - 9900, true));
  EXPECT_FALSE(sender.give(missing, sender.timestamp - 9900));
}

TEST(ReceiveStream, rtx_before_the_first_packet_of_the_source_is_refused) {
  Sender sender;
  EXPECT_FALSE(sender.give(5, 0, true));
  sender.send(100);
  EXPECT_EQ(sender.taken, sender.sent);
}

TEST(ReceiveStream, one_packet_with_a_number_far_ahead_costs_its_feed_few_packets) {
  for (const int ahead : {100, 1000, 2047, 2100, 2900, 3100, 20'000}) {
    Sender sender;
    sender.send(100);
    sender.give(static_cast<std::uint16_t>(sender.seq + ahead), sender.timestamp);
    sender.send(3000);
    EXPECT_GE(sender.taken + 2, sender.sent) << ahead;
  }
}

TEST(ReceiveStream, dropped_packets_are_told_half_a_second_after_the_first_and_each_is_told_once) {
  Sender sender;
  ReceiveStream& stream = sender.stream;
  EXPECT_EQ(stream.dropped_deadline(), Time::max());
  EXPECT_FALSE(stream.take_dropped(sender.now));
  const Time first = sender.now;
  stream.count_repeated(first);
  stream.count_not_selected(7, first + 300ms);
  stream.count_repeated(first + 499ms);
  EXPECT_EQ(stream.dropped_deadline(), first + ReceiveStream::kTellDropped);
  EXPECT_FALSE(stream.take_dropped(first + 499ms));
  const auto told = stream.take_dropped(first + 500ms);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->repeated, 2u);
  EXPECT_EQ(told->not_selected, 7u);
  EXPECT_FALSE(stream.take_dropped(first + 2s));
  stream.count_not_selected(1, first + 2s);
  EXPECT_EQ(stream.dropped_deadline(), first + 2500ms);
}

TEST(ReceiveStream, late_packets_are_no_new_beginning) {
  Sender sender;
  sender.step = 45;  // 2,000 packets a second
  sender.pause = 500us;
  sender.send(2500);
  const std::uint32_t generation = sender.stream.generation();
  for (std::uint16_t late = 1010; late < 1100; ++late) sender.give(late, 50'000 + (late - 1000u) * 45);
  sender.send(100);
  EXPECT_EQ(sender.stream.generation(), generation);
  EXPECT_EQ(sender.taken, sender.sent);
}

}  // namespace
}  // namespace amphi::peer
