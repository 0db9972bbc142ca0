// Places in a session: how many one identity has, which participants make room, and the administrator's removal and closing.
#include "server/test_signalling_rig.h"

namespace amphi::server {
namespace {

TEST(SessionPlaces, an_identity_has_so_many_participants_and_one_that_is_away_makes_room) {
  SignallingRig rig;
  rig.run();
  Talker other(rig.port(), "s");
  ASSERT_EQ(other.join("s other")["type"], "joined");
  std::vector<std::unique_ptr<Talker>> greedy;
  std::vector<Json> joined;
  for (int i = 0; i < 3; ++i) {
    greedy.push_back(std::make_unique<Talker>(rig.port(), "s"));
    joined.push_back(greedy.back()->join("s greedy"));
    ASSERT_EQ(joined.back()["type"], "joined");
    greedy.back()->say({{"type", "ping"}});  // acknowledges `joined`: its place is held when the connection is lost
  }
  const Json refused = Talker(rig.port(), "s").join("s greedy");
  EXPECT_EQ(refused["code"], "limit_exceeded") << refused;
  EXPECT_EQ(refused["fatal"], true);
  EXPECT_EQ(Talker(rig.port(), "s").join("s good")["type"], "joined") << "there is room for others";
  EXPECT_EQ(Talker(rig.port(), "t").join("t greedy")["type"], "joined") << "and in other sessions";

  greedy[1].reset();
  const std::string away = joined[1]["participantId"];
  rig.on_control([] {});
  Json in;
  while ((in = Talker(rig.port(), "s").join("s greedy"))["type"] != "joined") ASSERT_EQ(in["code"], "limit_exceeded");  // until the server has seen the loss
  for (Json heard = other.hear(); heard["type"] != "participantLeft" || heard["participantId"] != away; heard = other.hear()) ASSERT_FALSE(heard.is_null());
  const Json late = Talker(rig.port(), "s").join("s greedy", joined[1]["resumeToken"]);
  EXPECT_EQ(late["code"], "disconnected") << "its place has gone: it may join anew " << late;
  EXPECT_EQ(Talker(rig.port(), "s").join("s greedy", joined[0]["resumeToken"])["resumed"], true) << "those that are present stay";
  rig.on_control([&] { EXPECT_EQ(rig.drops[Drop::held_place_yielded], 1u); });
}

TEST(SessionPlaces, in_a_full_session_present_participants_stay_and_one_that_is_away_makes_room) {
  SignallingRig rig;
  rig.run();
  std::vector<std::unique_ptr<Talker>> present;
  std::vector<Json> joined;
  for (int i = 0; i < 6; ++i) {
    present.push_back(std::make_unique<Talker>(rig.port(), "s"));
    joined.push_back(present.back()->join("s p" + std::to_string(i)));
    ASSERT_EQ(joined.back()["type"], "joined");
  }
  const Json full = Talker(rig.port(), "s").join("s newcomer");
  EXPECT_EQ(full["code"], "limit_exceeded") << full;
  present[2].reset();
  Talker newcomer(rig.port(), "s");
  Json in = newcomer.join("s newcomer");
  std::unique_ptr<Talker> again;
  while (in["type"] != "joined") {
    ASSERT_EQ(in["code"], "limit_exceeded") << in;
    again = std::make_unique<Talker>(rig.port(), "s");
    in = again->join("s newcomer");
  }
  EXPECT_EQ(in["participants"].size(), 5u);
  for (const auto& participant : in["participants"]) EXPECT_NE(participant["id"], joined[2]["participantId"]);
  EXPECT_EQ(Talker(rig.port(), "s").join("s second")["code"], "limit_exceeded") << "nobody is away";
  present[0]->say({{"type", "publishOffer"}, {"sdp", "x"}, {"feeds", Json::array()}});
  Json answer = present[0]->hear();
  while (answer["type"] != "error") answer = present[0]->hear();
  EXPECT_EQ(answer["code"], "malformed") << "who is present is served: " << answer;
}

TEST(SessionPlaces, who_is_removed_is_told_and_does_not_come_back) {
  SignallingRig rig;
  rig.run();
  Talker bad(rig.port(), "s"), worse(rig.port(), "s"), good(rig.port(), "s");
  const Json joined = bad.join("s bad");
  ASSERT_EQ(worse.join("s bad")["type"], "joined");
  ASSERT_EQ(good.join("s good")["type"], "joined");
  rig.on_control([&] {
    EXPECT_EQ(rig.directory.expel({SessionId("s"), ParticipantId("par_none")}, "admin").error().code, ErrorCode::not_found);
    EXPECT_TRUE(rig.directory.expel({SessionId("s"), ParticipantId(joined["participantId"])}, "admin"));
  });
  for (Talker* removed : {&bad, &worse}) {
    Json last;
    for (Json heard = removed->hear(); !heard.is_null(); heard = removed->hear()) last = heard;
    EXPECT_EQ(last["type"], "closing") << last;
    EXPECT_FALSE(last.contains("mayReturn"));
    EXPECT_FALSE(last["reason"].get<std::string>().empty());
  }
  for (const std::string& resume : {std::string(), joined["resumeToken"].get<std::string>()}) {
    const Json refused = Talker(rig.port(), "s").join("s bad", resume);
    EXPECT_EQ(refused["code"], "forbidden") << refused;
    EXPECT_EQ(refused["fatal"], true);
  }
  EXPECT_EQ(Talker(rig.port(), "t").join("t bad")["type"], "joined") << "in another session the identity is another's business";
  EXPECT_EQ(Talker(rig.port(), "s").join("s new")["type"], "joined");
  good.say({{"type", "publishOffer"}, {"sdp", "x"}, {"feeds", Json::array()}});
  Json answer = good.hear();
  while (answer["type"] != "error") answer = good.hear();
  EXPECT_EQ(answer["code"], "malformed") << "nobody else is disturbed";
}

/// It waits for the media worker when its identity is removed.
TEST(SessionPlaces, who_is_removed_on_the_way_in_does_not_get_in) {
  SignallingRig rig;
  rig.run();
  Talker bad(rig.port(), "s");
  const Json joined = bad.join("s bad");
  std::promise<Result<Member>> outcome;
  rig.on_control([&] {
    auto stream = std::make_shared<AnyStream>(asio::ip::tcp::socket(rig.control), nullptr);
    auto connection = std::make_shared<WebSocketConnection>(std::move(stream), WebSocketConnection::Limits{}, rig.drops, WebSocketConnection::Origin{});
    asio::co_spawn(rig.control, rig.directory.join(read("s bad").value(), "", std::move(connection)), [&](std::exception_ptr, Result<Member> result) { outcome.set_value(std::move(result)); });
    EXPECT_TRUE(rig.directory.expel({SessionId("s"), ParticipantId(joined["participantId"])}, "admin"));
  });
  const auto result = outcome.get_future().get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::forbidden);
  rig.on_control([&] { EXPECT_EQ(rig.directory.participant_count(), 0u); });
}

TEST(SessionPlaces, a_session_that_is_closed_is_over_for_everybody) {
  SignallingRig rig;
  rig.run();
  Talker a(rig.port(), "s"), b(rig.port(), "s"), other(rig.port(), "t");
  ASSERT_EQ(a.join("s a")["type"], "joined");
  ASSERT_EQ(b.join("s b")["type"], "joined");
  ASSERT_EQ(other.join("t other")["type"], "joined");
  rig.on_control([&] {
    EXPECT_EQ(rig.directory.sessions().size(), 2u);
    EXPECT_EQ(rig.directory.participants(SessionId("s"))->size(), 2u);
    EXPECT_EQ(rig.directory.close(SessionId("none"), "admin").error().code, ErrorCode::not_found);
    EXPECT_TRUE(rig.directory.close(SessionId("s"), "admin"));
    EXPECT_EQ(rig.directory.session_count(), 1u);
  });
  for (Talker* talker : {&a, &b}) {
    Json last;
    for (Json heard = talker->hear(); !heard.is_null(); heard = talker->hear()) last = heard;
    EXPECT_EQ(last["type"], "closing") << last;
    EXPECT_FALSE(last.contains("mayReturn"));
  }
  EXPECT_EQ(Talker(rig.port(), "s").join("s a")["type"], "joined") << "a token that is valid begins it anew";
}

TEST(Bans, end_with_the_token_and_are_bounded) {
  Bans bans;
  bans.add(SessionId("s"), "a", 100, 50);
  bans.add(SessionId("s"), "a", 80, 50);
  EXPECT_TRUE(bans.holds(SessionId("s"), "a", 99));
  EXPECT_FALSE(bans.holds(SessionId("s"), "a", 100));
  EXPECT_FALSE(bans.holds(SessionId("t"), "a", 99));
  EXPECT_FALSE(bans.holds(SessionId("s"), "b", 99));
  for (int i = 0; i < 30'000; ++i) bans.add(SessionId("s"), "x" + std::to_string(i), 1000 + i, 50);
  EXPECT_EQ(bans.size(), Bans::kMost);
  EXPECT_TRUE(bans.holds(SessionId("s"), "x29999", 999));
  EXPECT_FALSE(bans.holds(SessionId("s"), "x0", 999)) << "the first to end went";
}

}  // namespace
}  // namespace amphi::server
