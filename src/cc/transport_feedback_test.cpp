// What the receiving side reports of transport-wide numbers, and when.
#include "cc/transport_feedback.h"

#include <gtest/gtest.h>

#include <string>

namespace amphi::cc {
namespace {

Time at(std::int64_t ms) {
  return Time(milliseconds(ms));
}

/// "7:+-+" for three numbers from 7 on, of which the second is missing.
std::string text(const std::optional<rtp::TransportFeedback>& feedback) {
  if (!feedback) return "none";
  std::string out = std::to_string(feedback->arrivals.at(0).seq) + ":";
  std::uint16_t next = feedback->arrivals[0].seq;
  for (const auto& arrival : feedback->arrivals) {
    EXPECT_EQ(arrival.seq, next++);
    out += arrival.time_250us ? '+' : '-';
  }
  return out;
}

}  // namespace

TEST(FeedbackGenerator, reports_fifty_milliseconds_after_the_first_packet) {
  FeedbackGenerator generator;
  EXPECT_EQ(generator.next_timeout(), Time::max());
  EXPECT_EQ(text(generator.poll(at(1'000))), "none");
  generator.on_packet(7, at(1'000));
  generator.on_packet(9, at(1'010));
  EXPECT_EQ(generator.next_timeout(), at(1'050));
  EXPECT_EQ(text(generator.poll(at(1'049))), "none");
  const auto feedback = generator.poll(at(1'050));
  EXPECT_EQ(text(feedback), "7:+-+");
  EXPECT_EQ(feedback->feedback_count, 0);
  EXPECT_EQ(*feedback->arrivals[2].time_250us - *feedback->arrivals[0].time_250us, 40);
  EXPECT_EQ(generator.next_timeout(), Time::max());
  EXPECT_EQ(text(generator.poll(at(2'000))), "none");
}

TEST(FeedbackGenerator, a_loss_between_two_reports_is_reported) {
  FeedbackGenerator generator;
  generator.on_packet(1, at(0));
  EXPECT_EQ(text(generator.poll(at(50))), "1:+");
  generator.on_packet(3, at(60));
  const auto feedback = generator.poll(at(110));
  EXPECT_EQ(text(feedback), "2:-+");
  EXPECT_EQ(feedback->feedback_count, 1);
}

TEST(FeedbackGenerator, handles_wrap_reordering_and_duplicates) {
  FeedbackGenerator generator;
  for (std::uint16_t seq : {65'534, 0, 65'535, 0, 2}) generator.on_packet(seq, at(0));
  generator.on_packet(2, at(40));
  const auto feedback = generator.poll(at(50));
  EXPECT_EQ(text(feedback), "65534:+++-+");
  EXPECT_EQ(feedback->arrivals.back().time_250us, 0) << "the first arrival counts";
  generator.on_packet(1, at(60));
  EXPECT_EQ(text(generator.poll(at(110))), "1:+-") << "late, across the report";
  generator.on_packet(3, at(120));
  EXPECT_EQ(text(generator.poll(at(170))), "3:+");
}

TEST(FeedbackGenerator, the_first_packet_may_be_a_reordered_one) {
  FeedbackGenerator generator;
  generator.on_packet(1, at(0));
  generator.on_packet(0, at(1));
  generator.on_packet(65'535, at(2));
  EXPECT_EQ(text(generator.poll(at(60))), "65535:+++");
}

TEST(FeedbackGenerator, very_late_numbers_are_ignored_and_huge_jumps_start_over) {
  FeedbackGenerator generator;
  generator.on_packet(1'000, at(0));
  EXPECT_EQ(text(generator.poll(at(50))), "1000:+");
  generator.on_packet(800, at(60));
  EXPECT_EQ(generator.next_timeout(), Time::max());
  for (std::uint16_t seq : {30'000, 5, 60'000}) generator.on_packet(seq, at(100));
  EXPECT_EQ(text(generator.poll(at(150))), "60000:+") << "only what came after the last jump";
  EXPECT_EQ(text(generator.poll(at(150))), "none");
}

TEST(FeedbackGenerator, many_numbers_go_into_several_reports_that_each_fit_a_datagram) {
  FeedbackGenerator generator;
  for (std::uint16_t seq = 0; seq < 700; ++seq) generator.on_packet(seq, Time(milliseconds(seq % 2 ? 70 : 0)));
  for (std::size_t want : {500u, 200u}) {
    const auto feedback = generator.poll(at(120));
    ASSERT_TRUE(feedback);
    EXPECT_EQ(feedback->arrivals.size(), want);
    Bytes wire;
    rtp::append_rtcp(wire, *feedback);
    EXPECT_LE(wire.size(), 1'200u) << "where every delta takes two bytes";
  }
  EXPECT_FALSE(generator.poll(at(120)));
}

TEST(FeedbackGenerator, a_report_goes_on_until_it_has_an_arrival) {
  FeedbackGenerator generator;
  generator.on_packet(0, at(0));
  EXPECT_TRUE(generator.poll(at(50)));
  generator.on_packet(800, at(60));
  const auto feedback = generator.poll(at(110));
  ASSERT_TRUE(feedback);
  EXPECT_EQ(feedback->arrivals.size(), 800u);
  EXPECT_TRUE(feedback->arrivals.back().time_250us);
  EXPECT_EQ(generator.next_timeout(), Time::max());
}

}  // namespace amphi::cc
