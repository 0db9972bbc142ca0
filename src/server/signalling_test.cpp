// Signalling over a real socket, to a real directory and media worker: who gets in, how many, how much they may say, and what becomes of
// those who come while the server goes down.
#include "server/test_signalling_rig.h"

namespace amphi::server {
namespace {

TEST(Signalling, the_server_has_so_many_sessions_and_no_more) {
  SignallingRig rig;
  rig.run();
  std::vector<std::unique_ptr<Talker>> talkers;
  for (std::size_t i = 0; i < kMaxSessions; ++i) {
    const std::string session = "s" + std::to_string(i);
    talkers.push_back(std::make_unique<Talker>(rig.port(), session));
    EXPECT_EQ(talkers.back()->join(session + " a")["type"], "joined");
  }
  Talker one_too_many(rig.port(), "other");
  const Json refused = one_too_many.join("other a");
  EXPECT_EQ(refused["code"], "limit_exceeded") << refused;
  EXPECT_EQ(refused["fatal"], true);
  EXPECT_TRUE(one_too_many.hear().is_null());
  EXPECT_EQ(Talker(rig.port(), "s1").join("s1 b")["type"], "joined") << "in a session that exists there is room";
}

TEST(Signalling, who_says_more_than_is_allowed_is_told_and_cut_off) {
  SignallingRig rig;
  rig.run();
  Talker loud(rig.port(), "s"), quiet(rig.port(), "s");
  ASSERT_EQ(quiet.join("s quiet")["type"], "joined");
  ASSERT_EQ(loud.join("s loud")["type"], "joined");
  for (int i = 0; i < 2000; ++i) loud.say({{"type", "ping"}});
  Json last;
  for (Json heard = loud.hear(); !heard.is_null(); heard = loud.hear()) last = heard;
  EXPECT_EQ(last["code"], "limit_exceeded") << last;
  EXPECT_EQ(last["fatal"], true);
  quiet.say({{"type", "publishOffer"}, {"sdp", "x"}, {"feeds", Json::array()}});
  Json answer = quiet.hear();
  while (answer["type"] == "participantJoined") answer = quiet.hear();
  EXPECT_EQ(answer["code"], "malformed") << "nobody else suffers: " << answer;
  rig.on_control([&] { EXPECT_EQ(rig.drops[Drop::ws_rate_limited], 1u); });
}

TEST(Signalling, who_offers_faster_than_anybody_has_to_is_refused_and_nobody_else) {
  SignallingRig rig;
  rig.run();
  Talker quiet(rig.port(), "s");
  auto loud = std::make_unique<Talker>(rig.port(), "s");
  ASSERT_EQ(quiet.join("s quiet")["type"], "joined");
  const Json joined = loud->join("s loud");
  const Json offer{{"type", "publishOffer"}, {"sdp", "x"}, {"feeds", Json::array()}};
  const auto answer = [&](Talker& talker) {
    talker.say(offer);
    Json heard = talker.hear();
    while (heard["type"] != "error") heard = talker.hear();
    return heard;
  };
  std::map<std::string, int> answers;
  for (int i = 0; i < 90; ++i) {
    const Json heard = answer(*loud);
    EXPECT_EQ(heard["fatal"], false) << heard;
    ++answers[heard["code"]];
  }
  EXPECT_GE(answers["malformed"], 40) << "so many at once are taken";
  EXPECT_GE(answers["limit_exceeded"], 25);
  loud = std::make_unique<Talker>(rig.port(), "s");
  ASSERT_EQ(loud->join("s loud", joined["resumeToken"])["resumed"], true);
  answer(*loud), answer(*loud), answer(*loud);
  EXPECT_EQ(answer(*loud)["code"], "limit_exceeded") << "another connection changes nothing";
  loud = std::make_unique<Talker>(rig.port(), "s");
  ASSERT_NE(loud->join("s loud")["participantId"], joined["participantId"]);
  answer(*loud), answer(*loud), answer(*loud);
  EXPECT_EQ(answer(*loud)["code"], "limit_exceeded") << "another participant of the identity has no budget of its own";
  EXPECT_EQ(answer(quiet)["code"], "malformed") << "nobody else is disturbed";
  rig.on_control([&] { EXPECT_GE(rig.drops[Drop::ws_offer_rate_limited], 25u); });
}

TEST(Signalling, a_token_of_a_former_key_brings_back_the_participant_that_came_with_it_and_nobody_else) {
  SignallingRig rig;
  rig.run();
  auto surgeon = std::make_unique<Talker>(rig.port(), "s");
  const Json joined = surgeon->join("s surgeon");
  ASSERT_EQ(joined["type"], "joined");
  const auto refused = [&](const std::string& token, const std::string& resume) {
    const Json heard = Talker(rig.port(), "s").join(token, resume);
    EXPECT_EQ(heard["code"], "unauthorized") << token << " " << heard;
    EXPECT_EQ(heard["fatal"], true);
  };
  refused("former s guest", "");
  refused("former s surgeon", "");
  refused("former s surgeon -60", joined["resumeToken"]);  // another token of the former key, with other grants perhaps
  const Json back = Talker(rig.port(), "s").join("former s surgeon", joined["resumeToken"]);
  EXPECT_EQ(back["resumed"], true) << back;
  EXPECT_EQ(back["participantId"], joined["participantId"]);
  EXPECT_EQ(Talker(rig.port(), "s").join("s surgeon -60", back.value("resumeToken", ""))["resumed"], true) << "a token of the current key";
}

TEST(Signalling, a_limit_is_told_with_the_identity_that_reached_it_also_where_it_does_not_come_in) {
  SignallingRig rig;
  std::vector<std::string> told;
  rig.on_limit_reached = [&](const SessionId& session, const services::ReachedLimit& limit) {
    told.push_back(session.value + " " + limit.identity + (limit.participant_id.empty() ? " " : " in ") + limit.what);
  };
  rig.run();
  const auto all_told = [&] {
    std::vector<std::string> copy;
    rig.on_control([&] { copy = told; });
    return copy;
  };
  Talker loud(rig.port(), "s");
  ASSERT_EQ(loud.join("s loud")["type"], "joined");
  std::vector<std::unique_ptr<Talker>> others;
  Json last;
  for (int i = 0; i < 3; ++i) last = others.emplace_back(std::make_unique<Talker>(rig.port(), "s"))->join("s loud");
  EXPECT_EQ(last["code"], "limit_exceeded");
  EXPECT_EQ(all_told(), std::vector<std::string>{"s loud This identity has 3 participants in the session, which is the most."});
  for (int i = 0; i < 250; ++i) loud.say({{"type", "ping"}});
  while (!loud.hear().is_null()) continue;
  ASSERT_EQ(all_told().size(), 2u);
  EXPECT_EQ(all_told()[1], "s loud in Too many messages a second.");
}

TEST(Signalling, a_participant_that_never_acknowledged_its_join_is_gone_with_its_connection_and_any_other_is_held) {
  SignallingRig rig;
  rig.run();
  Talker watcher(rig.port(), "s");
  ASSERT_EQ(watcher.join("s watcher")["type"], "joined");
  const auto hear = [&](const char* type) {
    const Json heard = watcher.hear();
    EXPECT_EQ(heard["type"], type) << heard;
    return heard;
  };
  // Gone before anything was said: by a lost connection, and by `leave` right behind the join.
  (void)Talker(rig.port(), "s").join("s crashed");
  hear("participantJoined");
  hear("participantLeft");
  {
    Talker destroyed(rig.port(), "s");
    destroyed.say({{"type", "join"}, {"version", 1}, {"token", "s destroyed"}});
    destroyed.say({{"type", "leave"}});
    hear("participantJoined");
    hear("participantLeft");
  }
  // One message is enough to be held; so is a resume.
  std::string resume;
  {
    Talker held(rig.port(), "s");
    resume = held.join("s held").value("resumeToken", "");
    held.say({{"type", "ping"}});
    held.say({{"type", "publishOffer"}, {"sdp", "x"}, {"feeds", Json::array()}});
    EXPECT_EQ(held.hear()["type"], "error") << "so the ping was read";
  }
  hear("participantJoined");
  const Json back = Talker(rig.port(), "s").join("s held", resume);
  ASSERT_EQ(back["resumed"], true) << back;
  EXPECT_EQ(Talker(rig.port(), "s").join("s held", back.value("resumeToken", ""))["resumed"], true) << "a resume acknowledges";
  watcher.say({{"type", "publishOffer"}, {"sdp", "x"}, {"feeds", Json::array()}});
  hear("error");  // nobody has left meanwhile
}

TEST(Signalling, a_participant_that_is_lost_may_return_and_one_that_leaves_or_is_removed_does_not) {
  SignallingRig rig;
  rig.run();
  Talker watcher(rig.port(), "s");
  ASSERT_EQ(watcher.join("s watcher")["type"], "joined");
  const auto left_by = [&](const std::function<void(std::optional<Talker>&, const Json& joined)>& goes) {
    std::optional<Talker> who(std::in_place, rig.port(), "s");
    const Json joined = who->join("s who");
    EXPECT_EQ(watcher.hear()["type"], "participantJoined");
    goes(who, joined);
    const Json heard = watcher.hear();
    EXPECT_EQ(heard["type"], "participantLeft") << heard;
    return heard.value("mayReturn", false);
  };
  EXPECT_FALSE(left_by([](std::optional<Talker>& who, const Json&) { who->say({{"type", "leave"}}); }));
  EXPECT_FALSE(left_by([](std::optional<Talker>& who, const Json&) { who->say({{"type", "leave"}, {"mayReturn", false}}); }));
  EXPECT_TRUE(left_by([](std::optional<Talker>& who, const Json&) { who->say({{"type", "leave"}, {"mayReturn", true}}); }));
  EXPECT_TRUE(left_by([](std::optional<Talker>& who, const Json&) { who.reset(); })) << "before it had acknowledged its join";
  EXPECT_FALSE(left_by([&](std::optional<Talker>&, const Json& joined) {
    rig.on_control([&] { EXPECT_TRUE(rig.directory.expel({SessionId("s"), ParticipantId(joined["participantId"])}, "test")); });
  }));
}

TEST(Signalling, two_joins_with_a_resume_token_of_a_former_server_are_two_participants) {
  std::string resume;
  {
    SignallingRig before;
    before.run();
    resume = Talker(before.port(), "s").join("s ann")["resumeToken"];
  }
  SignallingRig rig;
  rig.run();
  // Both are read before the media worker has answered the first.
  std::promise<void> hold;
  std::promise<void> held;
  rig.workers[0]->post([&](MediaWorker&, Time) { held.set_value(), hold.get_future().wait(); });
  held.get_future().wait();
  Talker one(rig.port(), "s"), two(rig.port(), "s");
  for (Talker* talker : {&one, &two}) talker->say({{"type", "join"}, {"version", 1}, {"token", "s ann"}, {"resumeToken", resume}});
  // Another session's join is answered behind them on this connection's thread.
  Talker third(rig.port(), "t");
  third.say({{"type", "ping"}});
  EXPECT_EQ(third.hear()["code"], "unauthorized");
  hold.set_value();
  const Json first = one.hear(), second = two.hear();
  const Json& refused = first["type"] == "error" ? first : second;
  const Json& joined = first["type"] == "error" ? second : first;
  EXPECT_EQ(joined["type"], "joined");
  EXPECT_TRUE(refused["type"] == "joined" || refused["code"] == "disconnected") << refused;
}

TEST(Signalling, a_token_that_has_expired_lets_nobody_in_and_brings_back_who_is_in) {
  SignallingRig rig;
  rig.run();
  const auto join = [&](const std::string& token, const std::string& resume_token) {
    return Talker(rig.port(), "s").join(token, resume_token);
  };
  Talker first(rig.port(), "s");
  const Json joined = first.join("s a");
  const std::string resume = joined.value("resumeToken", "");
  ASSERT_FALSE(resume.empty()) << joined;
  struct Row {
    const char* what;
    std::string token, resume_token;
  };
  for (const Row& row : {Row{"nobody", "s a 1", ""}, Row{"a lie", "s a 1", "rt_a.lie.par_1.0"}, Row{"another identity", "s b 1", resume}}) {
    const Json refused = join(row.token, row.resume_token);
    EXPECT_EQ(refused["code"], "unauthorized") << row.what << refused;
    EXPECT_EQ(refused["message"], "The token has expired.") << row.what;
  }
  const Json back = join("s a 1", resume);
  ASSERT_EQ(back["type"], "joined") << back;
  EXPECT_EQ(back["resumed"], true);
  EXPECT_EQ(back["participantId"], joined["participantId"]);
  EXPECT_EQ(join("s a 1", back.value("resumeToken", ""))["resumed"], true) << "and again";
  EXPECT_EQ(join("s a 1", resume)["code"], "unauthorized") << "this one is spent";
  rig.on_control([&] { EXPECT_EQ(rig.drops[Drop::ws_unauthorized], 4u); });
}

TEST(Signalling, after_a_restart_an_expired_token_brings_back_who_was_in_but_not_who_was_in_days_ago) {
  std::string resume, id;
  {
    SignallingRig before;
    before.run();
    const Json joined = Talker(before.port(), "s").join("s a");
    resume = joined.value("resumeToken", "");
    id = joined.value("participantId", "");
  }
  SignallingRig after;
  after.run();
  EXPECT_EQ(Talker(after.port(), "s").join("s a 200000", resume)["code"], "unauthorized");
  EXPECT_EQ(Talker(after.port(), "s").join("s b 60", resume)["code"], "unauthorized");
  const Json back = Talker(after.port(), "s").join("s a 60", resume);
  ASSERT_EQ(back["type"], "joined") << back;
  EXPECT_EQ(back["participantId"], id);
  EXPECT_EQ(back["resumed"], false);
}

TEST(Signalling, who_is_on_the_way_in_when_the_server_goes_down_is_refused) {
  SignallingRig rig;
  Result<Member> outcome = Member{};
  bool done = false;
  const auto join = [&]() -> asio::awaitable<void> {
    outcome = co_await rig.directory.join(read("s late").value(), "", nullptr);
    done = true;
  };
  asio::co_spawn(rig.control, join(), asio::detached);
  while (rig.directory.session_count() == 0) rig.control.run_one();  // it waits for the media worker now
  ASSERT_FALSE(done);
  rig.directory.close_all("The server is going down.");
  while (!done) rig.control.run_one();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().message, "The server is going down.");
  EXPECT_EQ(rig.directory.session_count(), 0u);

  rig.run();
  const Json refused = Talker(rig.port(), "s").join("s new");
  EXPECT_EQ(refused["code"], "disconnected") << refused;
  const Json come_back = Talker(rig.port(), "s").join("s old", "rt_of.the.past.0");
  EXPECT_EQ(come_back["type"], "closing") << come_back;
  EXPECT_EQ(come_back["mayReturn"], true) << "who was here tries again until the server is back";
}

}  // namespace
}  // namespace amphi::server
