// The server machine by itself, as to a recording's markers.
#include "services/recording_control.h"

#include "services/test_server_world.h"

namespace amphi::services {
namespace {

TEST(RecordingMarkers, a_recording_has_at_most_10000_markers_and_none_is_confirmed_beyond) {
  World w;
  EXPECT_EQ(w.server.add_marker("early", "desk", w.now).error().code, ErrorCode::invalid_state);
  w.server.request_recording(true, "desk", w.now), w.drain(), w.started();
  for (std::uint64_t i = 0; i < 200; ++i) ASSERT_TRUE(w.server.add_marker("m", "desk", w.now));
  EXPECT_EQ(w.server.add_marker("m", "desk", w.now).error().code, ErrorCode::limit_exceeded) << "too many at once";
  ASSERT_TRUE(w.server.add_marker("m", "Ana", w.now)) << "another identity has an allowance of its own";
  std::uint64_t of_desk = 200;
  while (w.server.add_marker("m", "desk", w.now += 50ms)) ++of_desk;
  EXPECT_EQ(of_desk, 3333u) << "a half of what is free";
  std::uint64_t taken = of_desk + 1;
  for (int who = 0; who < 500 && taken < kMostMarkers; ++who)
    while (w.server.add_marker("m", "identity" + std::to_string(who), w.now += 50ms)) ++taken;
  EXPECT_EQ(taken, kMostMarkers);
  w.now += 1s;
  EXPECT_EQ(w.server.add_marker("m", "Ana", w.now).error().code, ErrorCode::limit_exceeded);
  w.drain();
  EXPECT_EQ(w.markers.size(), kMostMarkers);
}

TEST(RecordingMarkers, a_limit_that_markers_reach_is_a_warning_to_everybody_for_as_long_as_it_lasts) {
  World w;
  w.open_quietly(1, "Ana");
  w.server.request_recording(true, "desk", w.now), w.drain(), w.started();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(w.server.add_marker("m", "desk", w.now));
  w.drain(), w.news(1);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(w.server.add_marker("m", "desk", w.now).error().code, ErrorCode::limit_exceeded);
  w.drain();
  ASSERT_EQ(w.inbox[1].size(), 1u) << "told once";
  EXPECT_EQ(w.inbox[1][0]["warnings"][0]["code"], "limit_exceeded");
  EXPECT_EQ(w.inbox[1][0]["warnings"][0]["message"], "desk: Too many markers; at most 20 a second.");
  EXPECT_EQ(w.news(1), Words{"recording@5000~limit_exceeded"});
  w.wait(9s);
  EXPECT_EQ(w.news(1), Words{});
  EXPECT_EQ(w.server.snapshot(w.now).warnings.size(), 1u);
  w.wait(2s);
  EXPECT_TRUE(w.server.snapshot(w.now).warnings.empty());
}

TEST(RecordingMarkers, a_marker_is_told_to_everybody_once_and_to_who_comes_later) {
  World w;
  w.open_quietly(1, "Ana");
  w.open_quietly(2, "Ben", false);
  w.mark(1, "m0", "too early");
  EXPECT_EQ(w.news(1), (Words{"m0=invalid_state"}));
  w.request(1, "r", true);
  w.started();
  w.news(1), w.news(2);
  w.wait(1500ms);
  w.mark(1, "m1", "Incision");
  w.mark(1, "m1", "Incision");
  EXPECT_EQ(w.news(1), (Words{"#1@1500 Incision", "m1=ok", "m1=ok"}));
  EXPECT_EQ(w.news(2), (Words{"#1@1500 Incision"}));
  ASSERT_EQ(w.markers.size(), 1u);
  EXPECT_EQ(w.markers[0].by, "Ana");
  w.mark(2, "m2", "x");
  EXPECT_EQ(w.news(2), (Words{"m2=forbidden"}));
  EXPECT_EQ(w.server.add_marker(std::string(1, '\n'), "rest", w.now).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(w.server.add_marker("by another server", "rest", w.now)->index, 2u);
  w.drain();
  w.open(3, "Eva");
  EXPECT_EQ(w.news(3), (Words{"welcome", "recording@6500", "#1@1500 Incision", "#2@1500 by another server"}));
  w.request(1, "s", false);
  w.news(1);
  w.mark(1, "m3", "too late");
  EXPECT_EQ(w.news(1), (Words{"m3=invalid_state"}));
  w.finished(1500ms);
  w.open(4, "Kim");
  EXPECT_EQ(w.news(4), (Words{"welcome", "off@6500"})) << "they were of another recording";
}

TEST(RecordingMarkers, a_flood_of_markers_is_refused_and_only_the_newest_100_are_told_again) {
  World w;
  w.open_quietly(1, "Ana");
  w.request(1, "r", true);
  w.started();
  for (int i = 1; i <= 150; ++i) w.wait(100ms), w.mark(1, "m" + std::to_string(i), std::to_string(i));
  w.drain();
  w.open(2, "Ben");
  const Words told = w.news(2);
  ASSERT_EQ(told.size(), 102u);
  EXPECT_EQ(told[2], "#51@5100 51");
  w.news(1);
  for (int i = 0; i < 100; ++i) w.mark(1, "f" + std::to_string(i), "flood");
  EXPECT_LE(w.markers.size(), 150u + 40u);
}

}  // namespace
}  // namespace amphi::services
