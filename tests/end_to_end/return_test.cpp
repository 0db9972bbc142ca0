// Participants that are away for longer than the resume window, and return by themselves: asleep, asleep over a restart of the server, without
// a network, as a new process, and as one of two with the same identity. Those who stayed see them again in the same feed objects, and
// everybody has the recording's state. All of it waits together, in sessions of their own.
#include <gtest/gtest.h>

#include <optional>

#include "faults.h"
#include "other_process.h"
#include "raw_client.h"
#include "recorded_files.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kAsleep = 45s;
constexpr auto kOffline = 60s;

/// One in a process of its own who shares, and one who stays, watches and records.
struct Story {
  Story(const ServerProcess& on, const std::string& name)
      : server(on), session(name), url(on.session_url(name)), token(on.token(name, "surgeon")), viewer(url, on.token(name, "viewer")) {}

  void start(bool record) {
    surgeon = std::make_unique<OtherProcess>(url, token);
    ASSERT_TRUE(viewer.connect()) << server.log();
    ASSERT_TRUE(sees(1));
    first_id = surgeon_id();
    if (!record) return;
    ASSERT_TRUE(viewer->requestSessionRecording(true));
    ASSERT_TRUE(viewer.wait_recording(true)) << server.log();
    recording = viewer->sessionRecordingState().recordingId;
    ASSERT_TRUE(viewer.wait([&] { return surgeon->status().value("on", false) && viewer->sessionRecordingState().totalRunningDurationMs() > 1000; }));
  }
  /// Subscribes to each picture, and waits for pictures of all.
  bool sees(std::size_t pictures) {
    const auto videos = [&] {
      std::vector<FeedInfo> found;
      for (const FeedInfo& feed : viewer.happened().feeds)
        if (feed.kind == FeedKind::video) found.push_back(feed);
      return found;
    };
    if (!viewer.wait([&] { return videos().size() == pictures; }, 20s)) return false;
    seen.clear();
    for (const FeedInfo& feed : videos()) seen.push_back(viewer->subscribeVideoFeed(feed.id, VideoOutputComponentNull{}));
    return sees_more();
  }
  /// Further pictures in every object that there has been all the time.
  bool sees_more(std::chrono::milliseconds limit = 25s) {
    std::vector<std::uint64_t> before;
    for (const auto& feed : seen) before.push_back(feed->statistics().frames);
    return viewer.wait([&] {
      for (std::size_t i = 0; i < seen.size(); ++i)
        if (seen[i]->statistics().frames < before[i] + 10 || seen[i]->statistics().stalled) return false;
      return true;
    }, limit);
  }
  std::string surgeon_id() const { return surgeon->status().value("participantId", ""); }
  bool alone() { return viewer->participants().empty(); }

  /// The one who was away has the state that the other one has, and both see the recording end.
  void expect_same_state(const std::string& id) {
    EXPECT_TRUE(viewer.wait([&] { return surgeon->status().value("on", false) && surgeon->status().value("recordingId", "") == id; }, 15s)) << surgeon->status();
    EXPECT_EQ(surgeon->status().value("error", "?"), "");
    EXPECT_TRUE(viewer->requestSessionRecording(false));
    EXPECT_TRUE(viewer.wait_recording(false)) << server.log();
    const std::int64_t total = viewer->sessionRecordingState().totalRunningDurationMs();
    EXPECT_TRUE(viewer.wait([&] { return !surgeon->status().value("on", true) && surgeon->status().value("totalMs", 0LL) == total; })) << total << " ms, and " << surgeon->status();
    EXPECT_FALSE(viewer->sessionRecordingState().error);
  }

  const ServerProcess& server;
  std::string session, url, token, first_id, recording;
  std::unique_ptr<OtherProcess> surgeon;
  SessionProbe viewer;
  std::vector<std::shared_ptr<IncomingVideoFeed>> seen;
};

/// Everything to and from these ports is lost, and nobody is told: a network that is away.
struct Offline {
  Offline(int tcp, int udp)
      : to("th dport { " + std::to_string(tcp) + ", " + std::to_string(udp) + " }"), from("th sport { " + std::to_string(tcp) + ", " + std::to_string(udp) + " }") {}
  Dropped to, from;
};

/// Two with one identity and label; one of them loses its signalling connection for longer than the window.
struct Twins {
  explicit Twins(const ServerProcess& server)
      : relay(server.port()), lost("http://127.0.0.1:" + std::to_string(relay.port()) + "/s/twins", server.token("twins", "surgeon")),
        other(server.session_url("twins"), server.token("twins", "surgeon")), story(server, "twins") {}
  void start() {
    const OutgoingVideoComponents picture{VideoInputComponentTestPattern{}, {VideoCodec::vp8, 200'000, 320, 180, 15}};
    ASSERT_TRUE(lost.connect() && other.connect() && story.viewer.connect());
    of_lost = lost->addOutgoingVideoFeed("scope", picture);
    of_other = other->addOutgoingVideoFeed("scope", picture);
    ASSERT_TRUE(story.sees(2));
    relay.block("/signalling", true);
    relay.cut("/signalling");
  }
  Relay relay;
  SessionProbe lost, other;
  Story story;
  std::shared_ptr<OutgoingVideoFeed> of_lost, of_other;
};

TEST(Return, those_who_were_away_for_longer_than_the_window_are_seen_and_recorded_again_by_themselves) {
  constexpr int kMediaPort = 7999;
  ServerProcess steady, restarted, unreachable({"--media-port", std::to_string(kMediaPort)});
  Story asleep(steady, "asleep"), over_restart(restarted, "restart"), offline(unreachable, "offline"), reborn(steady, "reborn");
  Twins twins(steady);
  for (Story* story : {&asleep, &over_restart, &offline}) story->start(true);
  reborn.start(false);
  twins.start();
  ASSERT_FALSE(::testing::Test::HasFatalFailure()) << steady.log();

  asleep.surgeon->freeze();
  over_restart.surgeon->freeze();
  std::optional<Offline> network(std::in_place, unreachable.port(), kMediaPort);
  reborn.surgeon->kill_now();
  reborn.surgeon = std::make_unique<OtherProcess>(reborn.url, reborn.token);  // as a watchdog does
  const auto begun = Clock::now();
  const auto wait_until = [&](Clock::time_point at) { asleep.viewer.wait([&] { return Clock::now() >= at; }, 200s); };

  // The server notices a silence after 10 s, and ends meanwhile: a restart finds one participant asleep.
  wait_until(begun + 15s);
  restarted.kill_now();
  restarted.start_again();
  ASSERT_TRUE(over_restart.viewer.wait([&] { return over_restart.viewer.happened().reconnected == 1; }, 20s)) << restarted.log();

  wait_until(begun + kAsleep);
  EXPECT_TRUE(asleep.viewer.wait([&] { return asleep.alone(); })) << "it is held for 30 s";
  EXPECT_TRUE(asleep.viewer.wait([&] { return asleep.viewer.happened().feeds.empty(); })) << "the removal is told";
  EXPECT_EQ(asleep.seen[0]->state(), FeedState::running) << "lost, and not ended";
  EXPECT_TRUE(asleep.seen[0]->statistics().stalled);
  EXPECT_TRUE(asleep.viewer->sessionRecordingState().on);
  asleep.surgeon->wake();
  over_restart.surgeon->wake();
  twins.relay.block("/signalling", false);

  EXPECT_TRUE(asleep.sees_more()) << steady.log();
  EXPECT_NE(asleep.surgeon_id(), asleep.first_id);
  asleep.expect_same_state(asleep.recording);
  EXPECT_EQ(asleep.surgeon->status().value("disconnected", -1), 0);
  EXPECT_EQ(asleep.surgeon->status().value("reconnected", -1), 1);

  EXPECT_TRUE(over_restart.sees_more()) << restarted.log();
  over_restart.expect_same_state(over_restart.viewer->sessionRecordingState().recordingId);
  EXPECT_EQ(over_restart.surgeon->status().value("disconnected", -1), 0);

  EXPECT_TRUE(reborn.sees_more()) << "its successor was there before it was removed\n" << steady.log();
  EXPECT_NE(reborn.surgeon_id(), reborn.first_id);
  EXPECT_EQ(reborn.viewer->participants().size(), 1u);

  EXPECT_TRUE(twins.lost.wait([&] { return twins.lost.happened().reconnected == 1; }, 20s)) << steady.log();
  EXPECT_TRUE(twins.story.sees_more()) << "both, each in its object";
  EXPECT_NE(twins.story.seen[0]->id(), twins.story.seen[1]->id());
  EXPECT_EQ(twins.other.happened().reconnecting, 0);

  wait_until(begun + kOffline);
  network.reset();
  EXPECT_TRUE(offline.viewer.wait([&] { return offline.viewer.happened().reconnected == 1; }, 25s)) << unreachable.log();
  EXPECT_TRUE(offline.sees_more()) << unreachable.log();
  EXPECT_NE(offline.surgeon_id(), offline.first_id);
  EXPECT_EQ(offline.viewer.happened().disconnected, 0);
  EXPECT_EQ(offline.surgeon->status().value("disconnected", -1), 0);
}

TEST(Return, a_feed_that_its_owner_ends_is_not_waited_for) {
  ServerProcess server;
  Story stopped(server, "stopped"), left(server, "left");
  const OutgoingVideoComponents picture{VideoInputComponentTestPattern{}, {VideoCodec::vp8, 200'000, 320, 180, 15}};
  SessionProbe one(stopped.url, stopped.token), two(left.url, left.token);
  ASSERT_TRUE(one.connect() && two.connect() && stopped.viewer.connect() && left.viewer.connect());
  const auto feed = one->addOutgoingVideoFeed("scope", picture);
  two->addOutgoingVideoFeed("scope", picture);
  ASSERT_TRUE(stopped.sees(1) && left.sees(1)) << server.log();
  feed->stop();
  two->disconnect();
  EXPECT_TRUE(stopped.viewer.wait([&] { return stopped.seen[0]->state() == FeedState::stopped; }));
  EXPECT_TRUE(left.viewer.wait([&] { return left.seen[0]->state() == FeedState::stopped; }));
}

/// A connection that is open at one end only: nobody closes it, and nothing gets through.
TEST(Return, a_join_whose_connection_goes_half_open_is_not_seen_for_longer_than_a_silence) {
  ServerProcess server;
  SessionProbe watcher(server.session_url("theatre"), server.token("theatre", "watcher"));
  ASSERT_TRUE(watcher.connect()) << server.log();
  Relay relay(server.port());
  RawClient joined(relay.port(), "/v1/sessions/theatre/signalling"), joining(relay.port(), "/v1/sessions/theatre/signalling");
  joined.send({{"type", "join"}, {"version", 1}, {"token", server.token("theatre", "joined")}});
  ASSERT_TRUE(joined.receive_type("joined"));
  joining.send({{"type", "join"}, {"version", 1}, {"token", server.token("theatre", "joining")}});
  ASSERT_TRUE(watcher.wait([&] { return watcher->participants().size() == 2; }));
  {
    Relay other(server.port());
    SessionProbe lost("http://127.0.0.1:" + std::to_string(other.port()) + "/s/theatre", server.token("theatre", "lost"));
    ASSERT_TRUE(lost.connect()) << server.log();
    ASSERT_TRUE(watcher.wait([&] { return watcher->participants().size() == 3; }));
    other.block("/signalling", true);
    other.cut("/signalling");
    ASSERT_TRUE(lost.wait([&] { return lost.happened().reconnecting == 1; }));
    other.block("/signalling", false);
    lost.session.reset();  // while it reconnects
    EXPECT_TRUE(watcher.wait([&] { return watcher->participants().size() == 2; }, 5s)) << "it is held for 30 s\n" << server.log();
  }
  relay.freeze();
  EXPECT_TRUE(watcher.wait([&] { return watcher->participants().empty(); }, 16s)) << watcher->participants().size() << " are still there\n" << server.log();
}

}  // namespace
}  // namespace amphi::end_to_end
