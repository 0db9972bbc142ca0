// Feeds that come and go all day: the last one is seen and recorded as the first.
#include <gtest/gtest.h>

#include <algorithm>

#include "recorded_files.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

TEST(Churn, the_last_of_a_hundred_and_fifty_feeds_is_seen_and_recorded_as_the_first) {
  ServerProcess server;
  SessionProbe publisher(server.session_url("day"), server.token("day", "publisher")), viewer(server.session_url("day"), server.token("day", "viewer"));
  ASSERT_TRUE(publisher.connect()) << server.log();
  ASSERT_TRUE(viewer.connect()) << server.log();
  constexpr int kFeeds = 150;
  for (int i = 1; i <= kFeeds; ++i) {
    SCOPED_TRACE("feed " + std::to_string(i));
    if (i == kFeeds) {
      ASSERT_TRUE(publisher->requestSessionRecording(true));
      ASSERT_TRUE(publisher.wait_recording(true));
    }
    const auto outgoing = publisher->addOutgoingVideoFeed("camera", {VideoInputComponentTestPattern{}, {VideoCodec::vp8, 60'000, 64, 48, 30}});
    ASSERT_TRUE(viewer.wait([&] { return !viewer.happened().feeds.empty(); })) << server.log();
    const auto incoming = viewer->subscribeVideoFeed(viewer.happened().feeds.front().id, VideoOutputComponentNull{});
    ASSERT_TRUE(viewer.wait([&] { return incoming->statistics().frames > 0; })) << server.log();
    if (i == kFeeds) { ASSERT_TRUE(publisher.wait([&] { return outgoing->statistics().frames > 30; })); }
    outgoing->stop();
    ASSERT_TRUE(viewer.wait([&] { return viewer.happened().feeds.empty(); }));
  }
  const auto folder = server.recordings() / "day" / publisher->sessionRecordingState().recordingId;
  ASSERT_TRUE(publisher->requestSessionRecording(false));
  ASSERT_TRUE(publisher.wait_recording(false));
  EXPECT_EQ(read_manifest(folder).at("tracks").size(), 1u);
  expect_sound(folder);
}

TEST(Churn, the_seventeenth_feed_at_once_fails_by_itself_and_says_why) {
  ServerProcess server;
  SessionProbe publisher(server.session_url("many"), server.token("many", "publisher"));
  std::vector<std::shared_ptr<OutgoingVideoFeed>> feeds;
  for (int i = 1; i <= 17; ++i)
    feeds.push_back(publisher->addOutgoingVideoFeed("camera " + std::to_string(i), {VideoInputComponentTestPattern{}, {VideoCodec::vp8, 30'000, 64, 48, 5}}));
  ASSERT_TRUE(publisher.connect()) << server.log();
  const auto count = [&](FeedState state) { return std::count_if(feeds.begin(), feeds.end(), [&](const auto& feed) { return feed->state() == state; }); };
  ASSERT_TRUE(publisher.wait([&] { return count(FeedState::running) == 16 && count(FeedState::failed) == 1; }, 20s)) << count(FeedState::running) << " run";
  for (const auto& feed : feeds) {
    if (feed->state() == FeedState::failed) {
      EXPECT_EQ(feed->error(), Errc::limitExceeded);
    }
  }
}

}  // namespace
}  // namespace amphi::end_to_end
