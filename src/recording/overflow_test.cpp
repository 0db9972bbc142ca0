// What a bounded queue before the recorder drops is counted, and lies in a gap, whatever else happened at that moment.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "recording/test_files.h"

namespace amphi::recording::test {
namespace {

const Bytes kOpus{std::byte{0x78}, std::byte{1}, std::byte{2}};  // 20 ms

/// A microphone's packets of 20 ms, whose number says when they are sent.
struct Talk {
  Studio studio;

  Talk() { studio.recorder.add_feed(feed("mic", opus_codec()), studio.at(0ms)); }
  void send(int from, int to) {
    for (int n = from; n < to; ++n) studio.packet("mic", n, static_cast<rtp::WireTimestamp>(n) * 960, true, kOpus, studio.at(20ms * n));
  }
  void overflow(std::uint64_t packets, Duration at) {
    studio.run_until(studio.at(at));
    studio.recorder.handle_overflow(FeedId("mic"), packets, studio.at(at));
  }
  nlohmann::json track() const { return nlohmann::json::parse(studio.manifest())["tracks"][0]; }
};

struct Expected {
  int from_ms, to_ms;
  const char* reason;
};
void expect_gaps(const nlohmann::json& track, const std::vector<Expected>& expected) {
  ASSERT_EQ(track["gaps"].size(), expected.size()) << track["gaps"];
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto& gap = track["gaps"][i];
    EXPECT_NEAR(gap["fromMs"].get<int>(), expected[i].from_ms, 2) << gap;
    EXPECT_NEAR(gap["toMs"].get<int>(), expected[i].to_ms, 2) << gap;
    EXPECT_EQ(gap["reason"], expected[i].reason) << gap;
  }
}

}  // namespace

TEST(Overflow, is_counted_and_no_absence_where_it_is_told_when_the_feed_has_gone) {
  Talk talk;
  talk.send(0, 50);
  talk.studio.recorder.remove_feed(FeedId("mic"), talk.studio.at(2s));
  talk.overflow(50, 2100ms);
  talk.studio.recorder.add_feed(feed("mic", opus_codec()), talk.studio.at(4s));
  talk.send(200, 250);
  talk.studio.stop(5s);
  EXPECT_EQ(talk.track()["overflowPackets"], 50);
  expect_gaps(talk.track(), {{1000, 2000, "overflow"}, {2000, 4000, "absent"}});
  EXPECT_EQ(talk.studio.recorder.drops()[Drop::unknown_feed], 0u);
}

TEST(Overflow, is_no_absence_where_the_feed_goes_before_anything_else_came) {
  Talk talk;
  talk.send(0, 50);
  talk.overflow(20, 1500ms);
  talk.studio.recorder.remove_feed(FeedId("mic"), talk.studio.at(2s));
  talk.studio.recorder.add_feed(feed("mic", opus_codec()), talk.studio.at(4s));
  talk.send(200, 250);
  talk.studio.stop(5s);
  expect_gaps(talk.track(), {{1000, 2000, "overflow"}, {2000, 4000, "absent"}});
}

TEST(Overflow, of_a_feed_that_has_gone_for_good_ends_when_it_left) {
  Talk talk;
  talk.send(0, 50);
  talk.studio.recorder.remove_feed(FeedId("mic"), talk.studio.at(2s));
  talk.overflow(50, 3s);
  talk.studio.stop(5s);
  EXPECT_EQ(talk.track()["overflowPackets"], 50);
  EXPECT_EQ(talk.track()["durationMs"], 2000);
  expect_gaps(talk.track(), {{1000, 2000, "overflow"}});
}

TEST(Overflow, is_not_taken_for_the_loss_of_what_had_come_before_it) {
  Talk talk;
  talk.send(0, 50);
  talk.send(51, 52);         // and waits for the one before it
  talk.overflow(95, 1040ms);  // everything since
  talk.studio.stop(3s);
  EXPECT_EQ(talk.track()["overflowPackets"], 95);
  expect_gaps(talk.track(), {{1000, 1020, "loss"}, {1040, 3000, "overflow"}});
}

TEST(Overflow, of_a_feed_that_was_never_there_is_left_out_and_counted) {
  Talk talk;
  talk.send(0, 50);
  talk.studio.recorder.handle_overflow(FeedId("other"), 5, talk.studio.at(1s));
  talk.studio.stop(1s);
  EXPECT_EQ(talk.track()["overflowPackets"], 0);
  EXPECT_EQ(talk.studio.recorder.drops()[Drop::unknown_feed], 1u);
}

}  // namespace amphi::recording::test
