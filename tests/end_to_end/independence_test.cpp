// Proof 3: services and media live apart, on real processes. Each is killed while the other is watched.
#include <gtest/gtest.h>

#include "faults.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

struct Theatre {
  Theatre() : relay(server.port()), url("http://127.0.0.1:" + std::to_string(relay.port()) + "/s/theatre"),
              publisher(url, server.token("theatre", "surgeon")), viewer(url, server.token("theatre", "viewer", "subscribe")) {}

  void start() {
    ASSERT_TRUE(publisher.connect()) << server.log();
    ASSERT_TRUE(viewer.connect()) << server.log();
    outgoing = publisher->addOutgoingVideoFeed("camera", {VideoInputComponentTestPattern{}, {VideoCodec::vp8, 400'000, 320, 240, 20}});
    ASSERT_TRUE(viewer.wait([&] { return !viewer.happened().feeds.empty(); })) << server.log();
    incoming = viewer->subscribeVideoFeed(viewer.happened().feeds.front().id, VideoOutputComponentNull{});
    ASSERT_TRUE(viewer.wait([&] { return incoming->statistics().frames > 10; })) << server.log();
  }
  bool media_flows() {
    const auto before = incoming->statistics().frames;
    return viewer.wait([&] { return incoming->statistics().frames > before + 20; }, 15s);
  }

  ServerProcess server;
  Relay relay;
  std::string url;
  SessionProbe publisher, viewer;
  std::shared_ptr<OutgoingVideoFeed> outgoing;
  std::shared_ptr<IncomingVideoFeed> incoming;
};

TEST(Independence, media_flows_on_when_the_services_are_cut_and_the_sdk_regains_them_by_itself) {
  Theatre theatre;
  theatre.start();
  ASSERT_FALSE(::testing::Test::HasFatalFailure());
  theatre.relay.block("/services", true);
  theatre.relay.cut("/services");
  ASSERT_TRUE(theatre.publisher.wait([&] { return theatre.publisher.happened().services_disconnected == 1; }));
  EXPECT_TRUE(theatre.publisher.happened().services_error);
  EXPECT_FALSE(theatre.publisher->areSessionServicesConnected());
  const auto refused = theatre.publisher->requestSessionRecording(true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), Errc::disconnected) << refused.error().message();
  EXPECT_TRUE(theatre.media_flows());
  EXPECT_TRUE(theatre.publisher->isConnected());

  theatre.relay.block("/services", false);
  ASSERT_TRUE(theatre.publisher.wait([&] { return theatre.publisher.happened().services_connected == 2; }, 15s));
  EXPECT_EQ(theatre.publisher.happened().services_disconnected, 1) << "each loss is told once";
  EXPECT_EQ(theatre.publisher.happened().disconnected, 0) << "never a session error";
  EXPECT_TRUE(theatre.media_flows());
  ASSERT_TRUE(theatre.publisher->requestSessionRecording(true));
  EXPECT_TRUE(theatre.publisher.wait_recording(true));
  ASSERT_TRUE(theatre.publisher->requestSessionRecording(false));
  EXPECT_TRUE(theatre.publisher.wait_recording(false));
}

TEST(Independence, services_stay_when_the_media_is_cut_and_the_media_comes_back) {
  Theatre theatre;
  theatre.start();
  ASSERT_FALSE(::testing::Test::HasFatalFailure());
  {
    const UdpLoss cut(100);
    ASSERT_TRUE(theatre.publisher->requestSessionRecording(true));
    EXPECT_TRUE(theatre.publisher.wait_recording(true)) << "the services answer while no media flows";
    EXPECT_TRUE(theatre.viewer.wait([&] { return theatre.viewer->sessionRecordingState().on; }));
    ASSERT_TRUE(theatre.publisher->requestSessionRecording(false));
    EXPECT_TRUE(theatre.publisher.wait_recording(false));
    EXPECT_TRUE(theatre.publisher->areSessionServicesConnected());
    EXPECT_EQ(theatre.publisher.happened().services_disconnected, 0);
  }
  EXPECT_TRUE(theatre.media_flows());
  EXPECT_EQ(theatre.publisher.happened().disconnected, 0);
}

TEST(Independence, media_comes_back_after_a_cut_that_outlasts_consent) {
  Theatre theatre;
  theatre.start();
  ASSERT_FALSE(::testing::Test::HasFatalFailure());
  {
    const UdpLoss cut(100);
    const auto until = std::chrono::steady_clock::now() + 40s;  // RFC 7675 5.1: consent lasts 30 s
    theatre.viewer.wait([&] { return std::chrono::steady_clock::now() > until; }, 60s);
    EXPECT_TRUE(theatre.publisher->areSessionServicesConnected());
  }
  EXPECT_TRUE(theatre.viewer.wait([&, before = theatre.incoming->statistics().frames] { return theatre.incoming->statistics().frames > before + 20; }, 30s))
      << theatre.server.log();
  EXPECT_EQ(theatre.publisher.happened().disconnected, 0);
  EXPECT_EQ(theatre.viewer.happened().disconnected, 0);
}

TEST(Independence, a_lost_signalling_connection_does_not_stop_media_and_is_resumed) {
  Theatre theatre;
  theatre.start();
  ASSERT_FALSE(::testing::Test::HasFatalFailure());
  const auto id = theatre.publisher->participantId();
  const int before = theatre.relay.count("/signalling");
  theatre.relay.cut("/signalling");
  EXPECT_TRUE(theatre.media_flows());
  ASSERT_TRUE(theatre.publisher.wait([&] { return theatre.relay.count("/signalling") >= before + 2; }, 15s)) << "both come back";
  EXPECT_TRUE(theatre.media_flows());
  EXPECT_EQ(theatre.publisher->participantId(), id);
  EXPECT_EQ(theatre.publisher.happened().disconnected, 0);
  EXPECT_EQ(theatre.viewer.happened().feeds.size(), 1u) << "the same feed, not a second one";
  auto second = theatre.publisher->addOutgoingVideoFeed("second", {VideoInputComponentTestPattern{}, {VideoCodec::vp8, 200'000, 320, 240, 10}});
  EXPECT_TRUE(theatre.viewer.wait([&] { return theatre.viewer.happened().feeds.size() == 2; })) << "signalling works again";
}

TEST(Independence, a_disconnect_is_told_once_and_is_graceful) {
  Theatre theatre;
  theatre.start();
  ASSERT_FALSE(::testing::Test::HasFatalFailure());
  theatre.publisher->disconnect();
  ASSERT_TRUE(theatre.publisher.wait([&] { return theatre.publisher.happened().disconnected == 1; }));
  EXPECT_FALSE(theatre.publisher.happened().disconnect_error);
  EXPECT_TRUE(theatre.viewer.wait([&] { return theatre.viewer.happened().feeds.empty(); })) << "its feeds are gone for the others at once";
}

}  // namespace
}  // namespace amphi::end_to_end
