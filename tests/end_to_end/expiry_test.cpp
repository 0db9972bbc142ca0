// A token's expiry ends the right to come in, not the stay (decision 0012): both connections are cut after it.
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "faults.h"
#include "raw_client.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

using Clock = std::chrono::steady_clock;

TEST(Expiry, who_is_in_comes_back_on_both_connections_after_it_and_nobody_else_comes_in) {
  ServerProcess server;
  Relay relay(server.port());
  const std::string url = "http://127.0.0.1:" + std::to_string(relay.port()) + "/s/theatre";
  const std::string token = server.token("theatre", "surgeon", "publish,subscribe,record", 3);
  const auto expired_at = Clock::now() + 4s;
  SessionProbe surgeon(url, token);
  ASSERT_TRUE(surgeon.connect()) << server.log();
  const auto id = surgeon->participantId();
  surgeon.wait([&] { return Clock::now() >= expired_at; });

  SessionProbe late(url, token);
  (void)late->connect();
  EXPECT_TRUE(late.wait([&] { return late.happened().disconnected == 1; }));
  EXPECT_EQ(late.happened().disconnect_error, Errc::unauthorized) << late.happened().disconnect_error.message();

  const int joins = relay.count("/signalling");
  relay.cut("/signalling");
  relay.cut("/services");
  EXPECT_TRUE(surgeon.wait([&] { return surgeon.happened().services_connected == 2; }, 20s)) << server.log();
  EXPECT_TRUE(surgeon.wait([&] { return relay.count("/signalling") > joins; }, 20s));
  ASSERT_TRUE(surgeon->requestSessionRecording(true));
  EXPECT_TRUE(surgeon.wait_recording(true)) << "with the grants of the beginning";
  ASSERT_TRUE(surgeon->requestSessionRecording(false));
  EXPECT_TRUE(surgeon.wait_recording(false));
  const auto feed = surgeon->addOutgoingVideoFeed("camera", {VideoInputComponentTestPattern{}, {VideoCodec::vp8, 60'000, 64, 48, 10}});
  EXPECT_TRUE(surgeon.wait([&] { return feed->state() == FeedState::running; })) << "and publishes with them too: " << feed->error().message();
  EXPECT_EQ(surgeon.happened().disconnected, 0) << surgeon.happened().disconnect_error.message();
  EXPECT_TRUE(surgeon->isConnected());
  EXPECT_EQ(surgeon->participantId(), id);
}

TEST(Expiry, a_server_started_anew_believes_an_expired_token_for_30_s_and_no_longer) {
  ServerProcess server;
  const auto expired_at = Clock::now() + 4s;
  std::map<std::string, nlohmann::json> joins;
  for (const std::string who : {"early", "late"}) {
    joins[who] = {{"type", "join"}, {"version", 1}, {"token", server.token("theatre", who, "publish,subscribe,record", 3)}};
    RawClient client(server.port(), "/v1/sessions/theatre/signalling");
    client.send(joins[who]);
    const auto joined = client.receive_type("joined");
    ASSERT_TRUE(joined) << server.log();
    joins[who]["resumeToken"] = joined->at("resumeToken");
  }
  server.kill_now();
  std::this_thread::sleep_until(expired_at);
  server.start_again();
  const auto started_at = Clock::now();
  const auto answer = [&](const std::string& who) {
    RawClient client(server.port(), "/v1/sessions/theatre/signalling");
    client.send(joins[who]);
    return client.receive().value_or(nlohmann::json{{"type", "nothing"}});
  };
  EXPECT_EQ(answer("early")["type"], "joined");
  std::this_thread::sleep_until(started_at + 31s);
  const auto refused = answer("late");
  EXPECT_EQ(refused["type"], "error") << refused;
  EXPECT_EQ(refused.value("code", ""), "unauthorized") << refused;
}

}  // namespace
}  // namespace amphi::end_to_end
