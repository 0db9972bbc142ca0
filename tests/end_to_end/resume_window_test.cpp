// The two waits of 30 s, in real time: for a participant whose signalling connection is lost (product.md, section 2), and of a
// recording that everybody has left. All of it waits together, in sessions of their own on one server.
#include <gtest/gtest.h>

#include "faults.h"
#include "raw_client.h"
#include "recorded_files.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

using Clock = std::chrono::steady_clock;

OutgoingVideoComponents small_picture() { return {VideoInputComponentTestPattern{}, {VideoCodec::vp8, 200'000, 320, 180, 15}}; }

/// One participant whose signalling is relayed, and so can be cut, and one who watches.
struct Pair {
  Pair(ServerProcess& server, const std::string& session, bool reconnect = true)
      : relay(server.port()), cut(url(session), server.token(session, "cut"), "", reconnect), viewer(server.session_url(session), server.token(session, "viewer")) {}
  std::string url(const std::string& session) const { return "http://127.0.0.1:" + std::to_string(relay.port()) + "/s/" + session; }

  void start() {
    ASSERT_TRUE(cut.connect());
    ASSERT_TRUE(viewer.connect());
    outgoing = cut->addOutgoingVideoFeed("camera", small_picture());
    ASSERT_TRUE(viewer.wait([&] { return !viewer.happened().feeds.empty(); }));
    incoming = viewer->subscribeVideoFeed(viewer.happened().feeds.front().id, VideoOutputComponentNull{});
    ASSERT_TRUE(viewer.wait([&] { return incoming->statistics().frames > 5; }));
  }
  void lose_signalling() {
    relay.block("/signalling", true);
    relay.cut("/signalling");
    lost_at = Clock::now();
  }
  bool viewer_sees_the_other() { return !viewer->participants().empty(); }
  bool media_flows() {
    const auto before = incoming->statistics().frames;
    return viewer.wait([&] { return incoming->statistics().frames > before + 5; });
  }

  Relay relay;
  SessionProbe cut, viewer;
  std::shared_ptr<OutgoingVideoFeed> outgoing;
  std::shared_ptr<IncomingVideoFeed> incoming;
  Clock::time_point lost_at;
};

/// A recording that everybody leaves while it runs.
struct Left {
  Left(ServerProcess& on, const std::string& name) : server(on), session(name) {}
  void record_and_leave() {
    SessionProbe surgeon(server.session_url(session), server.token(session, "surgeon"));
    ASSERT_TRUE(surgeon.connect());
    const auto feed = surgeon->addOutgoingVideoFeed("scope", small_picture());
    ASSERT_TRUE(surgeon->requestSessionRecording(true));
    ASSERT_TRUE(surgeon.wait_recording(true));
    ASSERT_TRUE(surgeon.wait([&] { return surgeon->sessionRecordingState().totalRunningDurationMs() > 1000 && feed->statistics().frames > 10; }));
    folder = server.recordings() / session / surgeon->sessionRecordingState().recordingId;
    surgeon->disconnect();
    ASSERT_TRUE(surgeon.wait([&] { return surgeon.happened().disconnected == 1; }));
    left_at = Clock::now();
  }
  std::string state() const { return read_manifest(folder).at("state"); }
  void expect_complete() const {
    EXPECT_EQ(state(), "complete");
    expect_sound(folder);
  }

  ServerProcess& server;
  std::string session;
  std::filesystem::path folder;
  Clock::time_point left_at;
};

TEST(ResumeWindow, ends_for_the_lost_and_for_a_recording_of_nobody_after_30_s_and_not_for_who_comes_back_in_time) {
  ServerProcess server;
  Pair gone(server, "gone", false), late(server, "late"), anew(server, "anew");
  Left abandoned(server, "abandoned"), resumed(server, "resumed");
  abandoned.record_and_leave();
  resumed.record_and_leave();
  gone.start();
  late.start();
  anew.start();
  const auto of_viewer = anew.viewer->addOutgoingVideoFeed("scope", small_picture());
  const auto others_feed = [&] { return anew.cut.happened().feeds; };
  ASSERT_TRUE(anew.cut.wait([&] { return others_feed().size() == 1; }));
  const auto kept = anew.cut->subscribeVideoFeed(others_feed().front().id, VideoOutputComponentNull{});
  ASSERT_TRUE(anew.cut.wait([&] { return kept->statistics().frames > 5; }));
  const auto anew_id = anew.cut->participantId();
  ASSERT_FALSE(::testing::Test::HasFatalFailure()) << server.log();
  const auto late_id = late.cut->participantId();
  gone.lose_signalling();
  late.lose_signalling();
  anew.lose_signalling();
  SessionProbe& clock = gone.viewer;
  const auto wait_until = [&](Clock::time_point at) { clock.wait([&] { return Clock::now() >= at; }, 60s); };

  // Ten seconds: all is as it was. Somebody comes back to one of the recordings.
  wait_until(resumed.left_at + 10s);
  EXPECT_TRUE(gone.viewer_sees_the_other());
  EXPECT_TRUE(gone.media_flows()) << "media does not need the signalling";
  EXPECT_TRUE(gone.cut->isConnected());
  SessionProbe returned(server.session_url("resumed"), server.token("resumed", "surgeon"));
  ASSERT_TRUE(returned.connect()) << server.log();
  EXPECT_TRUE(returned->sessionRecordingState().on) << "it went on";
  const auto feed = returned->addOutgoingVideoFeed("scope", small_picture());

  // Twenty seconds: one way is free again (the SDK tries at least every 10 s), the other never.
  wait_until(late.lost_at + 20s);
  EXPECT_TRUE(gone.viewer_sees_the_other());
  EXPECT_EQ(abandoned.state(), "recording");
  const int tries = late.relay.count("/signalling");
  late.relay.block("/signalling", false);
  ASSERT_TRUE(late.cut.wait([&] { return late.relay.count("/signalling") > tries; }, 9s));

  // Thirty seconds.
  wait_until(gone.lost_at + 28s);
  EXPECT_TRUE(gone.viewer_sees_the_other()) << "not before its time";
  EXPECT_EQ(gone.cut.happened().disconnected, 0);
  EXPECT_TRUE(gone.viewer.wait([&] { return !gone.viewer_sees_the_other(); })) << server.log();
  EXPECT_TRUE(gone.viewer.wait([&] { return gone.viewer.happened().feeds.empty(); }));
  EXPECT_TRUE(gone.viewer.wait([&] { return gone.incoming->statistics().stalled; }));
  EXPECT_EQ(gone.incoming->state(), FeedState::running) << "lost, and not ended: it waits for its owner";
  EXPECT_TRUE(gone.cut.wait([&] { return gone.cut.happened().disconnected > 0; }));
  EXPECT_EQ(gone.cut.happened().disconnect_error, Errc::disconnected) << gone.cut.happened().disconnect_error.message();
  EXPECT_FALSE(gone.cut->isConnected());
  EXPECT_TRUE(gone.cut.wait([&] { return gone.outgoing->state() == FeedState::stopped; }));
  EXPECT_TRUE(clock.wait([&] { return abandoned.state() == "complete"; })) << server.log();

  // Whose session reconnects is not in the session any more either, and has not ended. A way that is free again brings it back.
  EXPECT_TRUE(anew.viewer.wait([&] { return !anew.viewer_sees_the_other(); })) << server.log();
  EXPECT_TRUE(anew.cut.wait([&] { return !anew.cut->isConnected(); }));
  EXPECT_EQ(anew.cut.happened().disconnected, 0);
  EXPECT_EQ(anew.cut.happened().reconnected, 0);
  EXPECT_EQ(anew.outgoing->state(), FeedState::running);
  EXPECT_TRUE(anew.cut.wait([&] { return anew.outgoing->statistics().stalled && kept->statistics().stalled; })) << "and the feeds say so";
  anew.relay.block("/signalling", false);
  EXPECT_TRUE(anew.cut.wait([&] { return anew.cut.happened().reconnected == 1; }, 25s)) << server.log();
  EXPECT_TRUE(anew.cut->isConnected());
  EXPECT_NE(anew.cut->participantId(), anew_id);
  EXPECT_EQ(anew.cut.happened().connected, 1);
  EXPECT_EQ(anew.cut.happened().disconnected, 0);
  EXPECT_TRUE(anew.cut.wait([&] { return anew.cut->areSessionServicesConnected(); }, 15s));
  const auto frames_before = kept->statistics().frames;
  EXPECT_TRUE(anew.cut.wait([&] { return kept->statistics().frames > frames_before + 10 && !kept->statistics().stalled; }, 15s)) << "the same object goes on";
  EXPECT_EQ(kept->state(), FeedState::running);
  ASSERT_TRUE(anew.viewer.wait([&] { return !anew.viewer.happened().feeds.empty(); })) << server.log();
  EXPECT_TRUE(anew.media_flows()) << "what it shares is there again";
  EXPECT_TRUE(anew.cut.wait([&] { return !anew.outgoing->statistics().stalled; }));
  EXPECT_EQ(anew.outgoing->id(), anew.viewer.happened().feeds.front().id);

  // And a while later: nothing was told twice, and who came back in time is there.
  wait_until(std::max(late.lost_at, resumed.left_at) + 35s);
  EXPECT_EQ(gone.cut.happened().disconnected, 1) << "one terminal event";
  EXPECT_EQ(gone.cut.happened().connected, 1);
  EXPECT_EQ(gone.cut.happened().services_disconnected, 1);
  EXPECT_EQ(gone.viewer.happened().disconnected, 0);
  EXPECT_EQ(late.cut.happened().disconnected, 0);
  EXPECT_EQ(late.cut->participantId(), late_id);
  EXPECT_TRUE(late.viewer_sees_the_other());
  EXPECT_TRUE(late.media_flows());

  abandoned.expect_complete();
  const double recorded = read_manifest(abandoned.folder).at("durationMs");
  EXPECT_GE(recorded, 31'000) << "1 s with its participant, and 30 s without anybody";
  EXPECT_LE(recorded, 45'000);
  EXPECT_TRUE(returned->sessionRecordingState().on) << "it has a participant again, and goes on";
  EXPECT_EQ(resumed.state(), "recording");
  ASSERT_TRUE(returned->requestSessionRecording(false));
  EXPECT_TRUE(returned.wait_recording(false));
  resumed.expect_complete();
  EXPECT_EQ(read_manifest(resumed.folder).at("tracks").size(), 2u) << "before and after";
}

}  // namespace
}  // namespace amphi::end_to_end
