// One participant floods a real server's signalling in every way that the protocol has, and another one's media and signalling go on. All
// tests share a server; each has a session of its own. The numbers are those of docs/limits.md.
#include <gtest/gtest.h>

#include "attack_stage.h"
#include "hostile_offer.h"

namespace amphi::end_to_end {
namespace {

using nlohmann::json;

class GreedySignalling : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = std::make_unique<ServerProcess>(); }
  static void TearDownTestSuite() { server_.reset(); }
  void SetUp() override {
    stage_ = std::make_unique<AttackStage>(*server_, "theatre-" + std::to_string(++sessions_));
    stage_->start();
    ASSERT_FALSE(HasFatalFailure()) << "no media";
    first_ = stage_->sent() + 1;
  }
  /// The others: every packet has arrived, and what is said is answered.
  void TearDown() override {
    if (!stage_) return;
    EXPECT_TRUE(stage_->good_has_all(first_)) << server_->log();
    stage_->good_signalling.send({{"type", "publishOffer"}, {"sdp", "x"}, {"feeds", json::array()}});
    const auto answer = stage_->good_signalling.receive_type("error");
    ASSERT_TRUE(answer) << server_->log();
    EXPECT_EQ(answer->at("code"), "malformed") << *answer;
    stage_.reset();
  }
  RawClient& greedy() { return stage_->greedy_signalling; }
  /// The greedy connection is told a fatal `limit_exceeded`, and closed.
  void expect_cut_off() {
    json last;
    while (const auto heard = greedy().receive()) last = *heard;
    EXPECT_EQ(last.value("code", ""), "limit_exceeded") << last;
    EXPECT_EQ(last.value("fatal", false), true) << last;
    EXPECT_TRUE(greedy().closed());
  }

  static std::unique_ptr<ServerProcess> server_;
  static int sessions_;
  std::unique_ptr<AttackStage> stage_;
  std::uint32_t first_ = 0;
};
std::unique_ptr<ServerProcess> GreedySignalling::server_;
int GreedySignalling::sessions_ = 0;

TEST_F(GreedySignalling, pings_beyond_the_rate_end_the_connection) {
  const std::uint64_t before = drops_of(*server_, "ws_rate_limited");
  stage_->stream(200, [&] {
    for (int i = 0; i < 20; ++i) greedy().send({{"type", "ping"}});
  });
  expect_cut_off();
  EXPECT_EQ(drops_of(*server_, "ws_rate_limited"), before + 1);
}

TEST_F(GreedySignalling, binary_messages_count_against_the_rate) {
  const std::uint64_t before = drops_of(*server_, "ws_rate_limited");
  stage_->stream(200, [&] {
    for (int i = 0; i < 20; ++i) greedy().send_binary("x");
  });
  expect_cut_off();
  EXPECT_EQ(drops_of(*server_, "ws_rate_limited"), before + 1);
}

TEST_F(GreedySignalling, large_messages_count_as_several) {
  const std::uint64_t before = drops_of(*server_, "ws_rate_limited");
  const std::string large = "{\"type\":\"ping\",\"x\":\"" + std::string(250'000, 'x') + "\"}";
  stage_->stream(200, [&] { greedy().send_text(large); });
  expect_cut_off();
  EXPECT_EQ(drops_of(*server_, "ws_rate_limited"), before + 1);
}

TEST_F(GreedySignalling, frames_of_the_websocket_protocol_are_limited_below_the_messages) {
  const std::string ping("\x89\x80\0\0\0\0", 6), first("\x01\x81\0\0\0\0x", 7), fragment("\x00\x81\0\0\0\0x", 7);
  for (const bool pings : {true, false}) {
    SCOPED_TRACE(pings ? "pings" : "fragments of a byte, of a message that never ends");
    const std::uint64_t before = drops_of(*server_, "ws_frame_rate_limited");
    const auto loud = stage_->join("loud " + std::to_string(pings));
    ASSERT_TRUE(loud->receive_type("joined"));
    if (!pings) loud->send_bytes(first);
    std::string flood;
    for (int i = 0; i < 10'000; ++i) flood += pings ? ping : fragment;
    for (int i = 0; i < 20 && drops_of(*server_, "ws_frame_rate_limited") == before; ++i) {
      loud->send_bytes(flood);
      stage_->stream(20);
    }
    EXPECT_EQ(drops_of(*server_, "ws_frame_rate_limited"), before + 1);
    EXPECT_TRUE(loud->dead());
  }
}

TEST_F(GreedySignalling, offers_beyond_the_rate_are_refused_one_by_one) {
  int turn = 0, taken = 0, refused = 0;
  const auto offer = [&](int count) {
    for (int i = 0; i < count; ++i) greedy().send(offer_without_media(turn++));
    for (int answers = 0; answers < count;) {
      const auto heard = greedy().receive();
      ASSERT_TRUE(heard) << "turn " << turn << "\n" << server_->log();
      const bool is_taken = heard->value("type", "") == "publishAnswer", is_refused = heard->value("type", "") == "error";
      answers += is_taken || is_refused;
      taken += is_taken;
      refused += is_refused;
      EXPECT_TRUE(!is_refused || heard->at("code") == "limit_exceeded") << *heard;
    }
  };
  offer(150);
  for (int i = 0; i < 100 && refused == 0 && !HasFatalFailure(); ++i) {  // more than 10 and less than 100 a second
    stage_->stream(100);
    offer(20);
  }
  EXPECT_GE(taken, 240);
  EXPECT_GT(refused, 0) << taken << " offers were taken";
}

TEST_F(GreedySignalling, ice_restarts_beyond_the_rate_are_refused_one_by_one) {
  const std::uint64_t before = drops_of(*server_, "ws_offer_rate_limited");
  for (int i = 0; i < 20; ++i) {  // each answered offer begins the path anew
    greedy().send({{"type", "restartSubscribe"}});
    const auto heard = greedy().receive_type("subscribeOffer");
    ASSERT_TRUE(heard) << server_->log();
    const std::string sdp = stage_->greedy.on_loop([&](testing::RawNode& node, Time now) { return node.answer(heard->at("sdp").get<std::string>(), now); });
    greedy().send({{"type", "subscribeAnswer"}, {"offerId", heard->at("offerId")}, {"sdp", sdp}});
    stage_->stream(5);
  }
  for (int i = 0; i < 100 && drops_of(*server_, "ws_offer_rate_limited") == before; ++i) {
    for (int k = 0; k < (i == 0 ? 130 : 20); ++k) greedy().send({{"type", "restartSubscribe"}});
    stage_->stream(100);
  }
  EXPECT_GT(drops_of(*server_, "ws_offer_rate_limited"), before);
  const auto refused = greedy().receive_type("error");
  ASSERT_TRUE(refused) << server_->log();
  EXPECT_EQ(refused->at("code"), "limit_exceeded") << *refused;
  EXPECT_EQ(refused->at("fatal"), false) << *refused;
}

TEST_F(GreedySignalling, answers_that_nobody_asked_for_and_answers_that_decline_everything_disturb_nobody) {
  for (int i = 0; i < 100; ++i) {
    greedy().send({{"type", "subscribeAnswer"}, {"offerId", 1000 + i}, {"sdp", "v=0\r\n"}});
    stage_->stream(2);
  }
  for (int i = 0; i < 20; ++i) {  // paths that never connect, and at last no line at all
    greedy().send({{"type", "restartSubscribe"}});
    const auto offered = greedy().receive_type("subscribeOffer");
    ASSERT_TRUE(offered) << server_->log();
    std::string sdp = stage_->greedy.on_loop([&](testing::RawNode& node, Time now) { return node.answer(offered->at("sdp").get<std::string>(), now, false); });
    if (const auto at = sdp.find("m=video 9"); i == 19 && at != std::string::npos) sdp.replace(at, 9, "m=video 0");
    greedy().send({{"type", "subscribeAnswer"}, {"offerId", offered->at("offerId")}, {"sdp", sdp}});
    stage_->stream(10);
  }
  EXPECT_TRUE(greedy().receive_type("feedUnsupported")) << server_->log();
}

TEST_F(GreedySignalling, an_identity_that_joins_and_leaves_all_the_time_is_held_back_and_others_join) {
  const std::uint64_t before = drops_of(*server_, "ws_join_rate_limited");
  const std::string token = server_->token(stage_->session, "flapping", "subscribe");
  int joined = 0, refused = 0;
  for (int i = 0; i < 2000 && refused < 3; ++i) {
    const auto flapping = stage_->connect();
    flapping->send({{"type", "join"}, {"version", 1}, {"token", token}});
    auto heard = flapping->receive();
    while (heard && heard->value("type", "") != "joined" && heard->value("type", "") != "error") heard = flapping->receive();
    ASSERT_TRUE(heard) << server_->log();
    if (heard->at("type") == "joined") {
      ++joined;
      flapping->send({{"type", "leave"}});
    } else {
      EXPECT_EQ(heard->at("code"), "limit_exceeded") << *heard;
      ++refused;
    }
    stage_->stream(1);
  }
  EXPECT_GE(joined, 50);
  EXPECT_EQ(refused, 3);
  EXPECT_GE(drops_of(*server_, "ws_join_rate_limited"), before + 3);
  EXPECT_TRUE(stage_->join("somebody else")->receive_type("joined"));
}

TEST_F(GreedySignalling, services_messages_beyond_the_rate_end_the_connection_and_others_are_answered) {
  const auto hello = [&](const std::string& identity) {
    const std::string token = server_->token(stage_->session, identity);
    auto member = stage_->connect();
    member->send({{"type", "join"}, {"version", 1}, {"token", token}});
    const auto joined = member->receive_type("joined");
    auto services = std::make_unique<RawClient>(server_->port(), "/v1/sessions/" + stage_->session + "/services");
    if (joined) services->send({{"type", "hello"}, {"version", 1}, {"token", token}, {"participantId", joined->at("participantId")}});
    EXPECT_TRUE(services->receive_type("welcome")) << server_->log();
    return std::pair(std::move(member), std::move(services));
  };
  const auto loud = hello("loud"), quiet = hello("quiet");
  stage_->stream(200, [&] {
    for (int i = 0; i < 20; ++i) loud.second->send({{"type", "ping"}});
  });
  EXPECT_TRUE(loud.second->closed());
  quiet.second->send({{"type", "recording.request"}, {"requestId", "1"}, {"on", false}});
  const auto answer = quiet.second->receive_type("recording.response");
  ASSERT_TRUE(answer) << server_->log();
}

TEST_F(GreedySignalling, connections_that_never_speak_are_told_and_those_that_fall_silent_are_closed) {
  const std::uint64_t first = drops_of(*server_, "ws_first_message_timeout"), silent = drops_of(*server_, "ws_silent");
  std::vector<std::unique_ptr<RawClient>> mute;
  for (int i = 0; i < 10; ++i) mute.push_back(stage_->connect());
  const auto fell_silent = stage_->join("silent", "subscribe");
  for (auto& each : mute) {
    const auto told = each->receive();
    ASSERT_TRUE(told) << server_->log();
    EXPECT_EQ(told->value("code", ""), "timeout") << *told;
    EXPECT_TRUE(each->closed());
    stage_->good_signalling.send({{"type", "ping"}});
  }
  EXPECT_EQ(drops_of(*server_, "ws_first_message_timeout"), first + 10);
  for (int i = 0; i < 400 && drops_of(*server_, "ws_silent") == silent; ++i) {
    stage_->stream(10);
    stage_->good_signalling.send({{"type", "ping"}});
  }
  EXPECT_GT(drops_of(*server_, "ws_silent"), silent);
}

TEST_F(GreedySignalling, rest_requests_of_one_identity_beyond_the_rate_are_answered_429_and_another_ones_are_not) {
  const std::string target = "/v1/sessions/" + stage_->session + "/recordings", loud = server_->token(stage_->session, "loud"), quiet = server_->token(stage_->session, "quiet");
  int refused = 0;
  for (int i = 0; i < 2000 && refused < 3; ++i) refused += http(server_->port(), "GET", target, loud).status == 429;
  EXPECT_EQ(refused, 3);
  EXPECT_EQ(http(server_->port(), "GET", target, quiet).status, 200);
}

}  // namespace
}  // namespace amphi::end_to_end
