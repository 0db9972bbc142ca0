// A session goes on for as long as its application wants it: over a server that is away for longer than the resume window, with a token
// that expires meanwhile, before the first join, and for a process that was suspended. And a join that is given up leaves nobody behind.
#include <gtest/gtest.h>

#include <csignal>
#include <random>
#include <thread>

#include "faults.h"
#include "participant.h"
#include "raw_client.h"

namespace amphi::end_to_end {
namespace {

using Clock = std::chrono::steady_clock;

OutgoingVideoComponents small_picture() { return {VideoInputComponentTestPattern{}, {VideoCodec::vp8, 200'000, 320, 180, 15}}; }

TEST(Rejoin, a_server_that_is_away_for_longer_than_the_window_and_comes_back_finds_everybody_again) {
  ServerProcess server;
  SessionProbe surgeon(server.session_url("theatre"), server.token("theatre", "surgeon"));
  SessionProbe student(server.session_url("theatre"), server.token("theatre", "student"));
  SessionProbe expired(server.session_url("theatre"), server.token("theatre", "expired", "publish,subscribe", 20));
  SessionProbe once(server.session_url("theatre"), server.token("theatre", "once"), "", false);
  ASSERT_TRUE(surgeon.connect() && student.connect() && once.connect()) << server.log();
  expired->connect();
  ASSERT_TRUE(expired.wait([&] { return expired.happened().connected == 1; }));
  const auto scope = surgeon->addOutgoingVideoFeed("scope", small_picture());
  const auto voice = surgeon->setOutgoingAudioFeed("voice", AudioInputComponentTone{});
  ASSERT_TRUE(student.wait([&] { return student.happened().feeds.size() == 2; }, 15s));
  std::shared_ptr<IncomingVideoFeed> seen;
  for (const FeedInfo& feed : student.happened().feeds)
    if (feed.kind == FeedKind::video) seen = student->subscribeVideoFeed(feed.id, VideoOutputComponentNull{});
  const auto mix = student->setIncomingAudioFeed(AudioOutputComponentNull{});
  ASSERT_TRUE(student.wait([&] { return seen->statistics().frames > 10 && mix->statistics().frames > 50; }, 15s)) << server.log();

  server.kill_now();
  const auto gone_at = Clock::now();
  // Asked while nobody answers: the request is refused at once, for the services are not connected.
  ASSERT_TRUE(surgeon.wait([&] { return surgeon.happened().reconnecting > 0 && !surgeon->areSessionServicesConnected(); }, 15s));
  EXPECT_EQ(surgeon->requestSessionRecording(true).error(), Errc::disconnected);
  surgeon.wait([&] { return Clock::now() > gone_at + 36s; }, 60s);
  for (SessionProbe* probe : {&surgeon, &student, &expired}) {
    EXPECT_EQ(probe->happened().disconnected, 0);
    EXPECT_FALSE((*probe)->isConnected());
  }
  EXPECT_TRUE(once.wait([&] { return once.happened().disconnected == 1; })) << "without reconnect";
  EXPECT_EQ(once.happened().disconnect_error, Errc::disconnected);
  EXPECT_TRUE(scope->statistics().stalled && seen->statistics().stalled && mix->statistics().stalled);
  server.start_again();

  for (SessionProbe* probe : {&surgeon, &student}) {
    ASSERT_TRUE(probe->wait([&] { return probe->happened().reconnected == 1; }, 25s)) << server.log();
    EXPECT_TRUE((*probe)->isConnected());
    EXPECT_TRUE(probe->wait([&] { return (*probe)->areSessionServicesConnected(); }, 15s));
  }
  const auto frames = seen->statistics().frames, sounds = mix->statistics().packets;
  EXPECT_TRUE(student.wait([&] { return seen->statistics().frames > frames + 15 && mix->statistics().packets > sounds + 50; }, 20s))
      << "the same objects go on: " << seen->statistics().frames - frames << " frames\n" << server.log();
  EXPECT_EQ(seen->state(), FeedState::running);
  EXPECT_TRUE(student.wait([&] { return !seen->statistics().stalled && !mix->statistics().stalled; }));
  EXPECT_TRUE(surgeon.wait([&] { return !scope->statistics().stalled && !voice->statistics().stalled; }));
  EXPECT_EQ(seen->id(), scope->id());
  ASSERT_TRUE(surgeon->requestSessionRecording(true));
  EXPECT_TRUE(surgeon.wait_recording(true));
  ASSERT_TRUE(surgeon->requestSessionRecording(false));
  EXPECT_TRUE(surgeon.wait_recording(false));

  for (SessionProbe* probe : {&surgeon, &student}) {
    EXPECT_EQ(probe->happened().connected, 1);
    EXPECT_EQ(probe->happened().disconnected, 0);
    EXPECT_EQ(probe->happened().reconnected, 1);
  }
  EXPECT_EQ(once.happened().disconnected, 1);
}

TEST(Rejoin, a_token_that_expired_while_away_is_the_end_and_told_once) {
  ServerProcess server;
  Relay relay(server.port());
  SessionProbe guest("http://127.0.0.1:" + std::to_string(relay.port()) + "/s/theatre", server.token("theatre", "guest", "publish,subscribe", 20));
  guest->connect();
  ASSERT_TRUE(guest.wait([&] { return guest.happened().connected == 1; })) << server.log();
  relay.block("/signalling", true);
  relay.cut("/signalling");
  const auto lost_at = Clock::now();
  guest.wait([&] { return Clock::now() > lost_at + 33s; }, 60s);
  EXPECT_EQ(guest.happened().disconnected, 0);
  relay.block("/signalling", false);
  EXPECT_TRUE(guest.wait([&] { return guest.happened().disconnected == 1; }, 25s)) << server.log();
  EXPECT_EQ(guest.happened().disconnect_error, Errc::unauthorized) << guest.happened().disconnect_error.message();
  EXPECT_FALSE(guest.wait([&] { return guest.happened().disconnected > 1 || guest.happened().reconnected > 0; }, 2s));
}

TEST(Rejoin, a_server_that_is_started_later_is_joined_and_a_name_that_does_not_resolve_is_told_as_such) {
  ServerProcess server;
  const std::string url = server.session_url("theatre"), token = server.token("theatre", "surgeon");
  server.kill_now();
  SessionProbe early(url, token), lost("http://no-such-host.invalid:" + std::to_string(server.port()) + "/s/theatre", token);
  const auto scope = early->addOutgoingVideoFeed("scope", small_picture());
  ASSERT_TRUE(early->connect() && lost->connect());
  ASSERT_TRUE(early.wait([&] { return early.happened().reconnecting == 1; }, 15s));
  ASSERT_TRUE(lost.wait([&] { return lost.happened().reconnecting == 1; }, 15s));
  EXPECT_EQ(early.happened().reconnect_reason, Errc::disconnected);
  EXPECT_FALSE(early.wait([&] { return early.happened().disconnected > 0 || lost.happened().disconnected > 0; }, 5s));
  server.start_again();
  ASSERT_TRUE(early.wait([&] { return early.happened().connected == 1; }, 25s)) << server.log();
  EXPECT_EQ(early.happened().reconnected, 0) << "it is the first join";
  EXPECT_TRUE(early.wait([&] { return scope->state() == FeedState::running; }, 15s));
  lost->disconnect();
  EXPECT_TRUE(lost.wait([&] { return lost.happened().disconnected == 1; }));
  EXPECT_FALSE(lost.happened().disconnect_error);
}

TEST(Rejoin, a_session_that_is_destroyed_while_it_joins_leaves_nobody_behind) {
  ServerProcess server;
  SessionProbe watcher(server.session_url("theatre"), server.token("theatre", "watcher"));
  ASSERT_TRUE(watcher.connect()) << server.log();
  std::mt19937 random(7);
  const std::string token = server.token("theatre", "hasty");
  for (int i = 0; i < 40; ++i) {
    SessionProbe hasty(server.session_url("theatre"), token);
    hasty->connect();
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 12'000));
    hasty.session.reset();
  }
  EXPECT_TRUE(watcher.wait([&] { return watcher->participants().empty(); }, 5s)) << watcher->participants().size() << " are still there\n" << server.log();

  // A crash right behind the join: the connection ends and nothing was said.
  for (int i = 0; i < 10; ++i) {
    RawClient crashed(server.port(), "/v1/sessions/theatre/signalling");
    crashed.send({{"type", "join"}, {"version", 1}, {"token", token}});
    if (i % 2 == 0) (void)crashed.receive_type("joined");
  }
  EXPECT_TRUE(watcher.wait([&] { return watcher->participants().empty(); }, 5s)) << watcher->participants().size() << " are still there\n" << server.log();
}

}  // namespace
}  // namespace amphi::end_to_end
