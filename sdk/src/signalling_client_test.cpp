#include "test_signalling_rig.h"

namespace amphi::sdk::signalling {
namespace {

TEST(SignallingClient, joins_and_tells_who_is_there_already) {
  Rig rig;
  rig.join(Rig::joined(false, "r1", {{{"id", "par_b"}, {"identity", "Bob"}, {"feeds", {Rig::feed("fd_1", "par_b")}}}}));
  EXPECT_EQ(rig.take<ParticipantJoined>().size(), 1u);
  const auto feeds = rig.take<FeedAdded>();
  ASSERT_EQ(feeds.size(), 1u);
  EXPECT_EQ(feeds[0].feed.id, "fd_1");
  EXPECT_TRUE(rig.client.joined());
}

TEST(SignallingClient, without_reconnect_a_server_that_cannot_be_reached_is_one_terminal_error) {
  Rig rig(false);
  rig.client.connect(rig.now);
  rig.client.connection_failed({ErrorCode::disconnected, "refused"}, rig.now);
  rig.run(60s);
  const auto ended = rig.take<Ended>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].error->code, ErrorCode::disconnected);
  EXPECT_EQ(rig.take<OpenConnection>().size(), 1u);
}

TEST(SignallingClient, a_refused_token_is_one_terminal_error_with_the_servers_code) {
  Rig rig;
  rig.client.connect(rig.now);
  rig.client.connection_opened(rig.now);
  rig.hear({{"type", "error"}, {"code", "unauthorized"}, {"message", "expired"}, {"fatal", true}});
  rig.client.connection_closed(rig.now);
  const auto ended = rig.take<Ended>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].error, (Error{ErrorCode::unauthorized, "expired"}));
}

TEST(SignallingClient, without_reconnect_a_server_that_never_answers_the_join_is_a_timeout) {
  for (bool opened : {false, true}) {
    Rig rig(false);
    rig.client.connect(rig.now);
    if (opened) rig.client.connection_opened(rig.now);
    rig.run(Client::kDeadAfter - 1ms);
    EXPECT_TRUE(rig.take<Ended>().empty());
    rig.run(1ms);
    const auto ended = rig.take<Ended>();
    ASSERT_EQ(ended.size(), 1u);
    EXPECT_EQ(ended[0].error->code, ErrorCode::timeout);
  }
}

TEST(SignallingClient, leaving_is_graceful_in_every_state_and_told_once) {
  for (int state = 0; state < 5; ++state) {
    Rig rig;
    if (state == 1) rig.client.connect(rig.now);
    if (state == 2) {
      rig.client.connect(rig.now);
      rig.client.connection_opened(rig.now);
    }
    if (state >= 3) rig.join();
    if (state == 4) rig.client.connection_closed(rig.now);
    rig.client.leave(rig.now);
    rig.client.leave(rig.now);
    rig.client.connection_closed(rig.now);
    rig.run(120s);
    const auto ended = rig.take<Ended>();
    ASSERT_EQ(ended.size(), state == 0 ? 0u : 1u) << state;
    for (const auto& e : ended) EXPECT_EQ(e.error, std::nullopt);
    bool left = false;
    for (const auto& m : rig.sent()) left = left || m["type"] == "leave";
    EXPECT_EQ(left, state == 2 || state == 3) << state << ": a join that is under way is taken back";
    EXPECT_TRUE(rig.client.ended());
  }
}

TEST(SignallingClient, a_feed_that_is_muted_is_told_also_where_that_happened_while_the_connection_was_lost) {
  Rig rig;
  const auto feed = [](const char* id, const char* owner, bool muted) {
    Json json = Rig::feed(id, owner);
    if (muted) json["muted"] = true;
    return json;
  };
  rig.join(Rig::joined(false, "r1", {{{"id", "par_b"}, {"identity", "Bob"}, {"feeds", {feed("fd_1", "par_b", false), feed("fd_2", "par_b", true)}}}}));
  const auto added = rig.take<FeedAdded>();
  ASSERT_EQ(added.size(), 2u);
  EXPECT_FALSE(added[0].feed.muted);
  EXPECT_TRUE(added[1].feed.muted);
  rig.hear({{"type", "feedChanged"}, {"feed", feed("fd_1", "par_b", true)}});
  const auto changed = rig.take<FeedChanged>();
  ASSERT_EQ(changed.size(), 1u);
  EXPECT_TRUE(changed[0].feed.muted);
  rig.hear({{"type", "feedChanged"}, {"feed", feed("fd_other", "par_b", true)}});
  EXPECT_EQ(rig.client.drops()[Drop::unexpected], 1u) << "nobody has that feed";

  rig.client.connection_closed(rig.now);
  ASSERT_TRUE(rig.reopen());
  rig.client.connection_opened(rig.now);
  rig.hear(Rig::joined(true, "r2", {{{"id", "par_b"}, {"identity", "Bob"}, {"feeds", {feed("fd_1", "par_b", false), feed("fd_2", "par_b", true)}}}}));
  const auto meanwhile = rig.take<FeedChanged>();
  ASSERT_EQ(meanwhile.size(), 1u);
  EXPECT_EQ(meanwhile[0].feed.id, "fd_1");
  EXPECT_FALSE(meanwhile[0].feed.muted);
}

TEST(SignallingClient, a_lost_connection_is_resumed_with_the_newest_token_and_only_changes_are_told) {
  Rig rig;
  const Json before = {{{"id", "par_b"}, {"identity", "Bob"}, {"feeds", {Rig::feed("fd_1", "par_b"), Rig::feed("fd_2", "par_b")}}}};
  rig.join(Rig::joined(false, "r1", before));
  rig.out.clear();
  for (const char* token : {"r1", "r2"}) {
    rig.client.connection_closed(rig.now);
    EXPECT_EQ(rig.take<Interrupted>().size(), 1u);
    ASSERT_TRUE(rig.reopen());
    rig.client.connection_opened(rig.now);
    EXPECT_EQ(rig.sent().back()["resumeToken"], token);
    rig.hear(Rig::joined(true, "r2", {{{"id", "par_b"}, {"identity", "Bob"},
                                      {"feeds", {Rig::feed("fd_2", "par_b"), Rig::feed("fd_3", "par_b")}}}}));
    EXPECT_EQ(rig.take<Resumed>().size(), 1u);
    EXPECT_TRUE(rig.take<Joined>().empty());
    EXPECT_TRUE(rig.take<ParticipantJoined>().empty());
    const auto added = rig.take<FeedAdded>();
    const auto removed = rig.take<FeedRemoved>();
    if (std::string(token) == "r1") {
      ASSERT_EQ(added.size(), 1u);
      EXPECT_EQ(added[0].feed.id, "fd_3");
      ASSERT_EQ(removed.size(), 1u);
      EXPECT_EQ(removed[0].feed_id, "fd_1");
    } else {
      EXPECT_TRUE(added.empty() && removed.empty());
    }
  }
}

TEST(SignallingClient, without_reconnect_retries_end_with_an_error_after_the_window) {
  Rig rig(false);
  rig.join();
  const Time lost_at = rig.now;
  rig.client.connection_closed(rig.now);
  std::vector<Duration> waits;
  Time since = rig.now;
  while (!rig.client.ended()) {
    rig.now = rig.client.next_timeout();
    rig.client.handle_timeout(rig.now);
    if (!rig.take<OpenConnection>().empty()) {
      waits.push_back(rig.now - since);
      since = rig.now;
      rig.client.connection_failed({ErrorCode::disconnected, "refused"}, rig.now);
    }
  }
  EXPECT_EQ(rig.now - lost_at, Client::kResumeWindow);
  const auto ended = rig.take<Ended>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].error->code, ErrorCode::disconnected);
  ASSERT_GE(waits.size(), 5u);
  Duration bound = 250ms;
  for (const Duration wait : waits) {
    EXPECT_LE(wait, bound);
    bound = std::min<Duration>(bound * 2, 10s);
  }
}

TEST(SignallingClient, a_participant_whom_the_server_gave_up_as_silent_resumes_and_a_stalled_resume_is_tried_again) {
  Rig rig;
  rig.join();
  rig.out.clear();
  const Json silent{{"type", "error"}, {"code", "timeout"}, {"message", "no join"}, {"fatal", true}};
  rig.hear(silent);
  EXPECT_EQ(rig.take<Interrupted>().size(), 1u);
  for (int attempt = 0; attempt < 3; ++attempt) {
    ASSERT_TRUE(rig.reopen()) << attempt;
    rig.client.connection_opened(rig.now);
    rig.hear(silent);
    EXPECT_TRUE(rig.take<Ended>().empty()) << attempt;
  }
  ASSERT_TRUE(rig.reopen());
  rig.client.connection_opened(rig.now);
  rig.hear(Rig::joined(true));
  EXPECT_EQ(rig.take<Resumed>().size(), 1u);
}

TEST(SignallingClient, without_reconnect_a_first_join_that_the_server_gave_up_ends_and_so_does_any_other_refusal_of_a_resume) {
  for (const bool first : {true, false}) {
    Rig rig(false);
    if (first) {
      rig.client.connect(rig.now);
    } else {
      rig.join();
      rig.client.connection_closed(rig.now);
      ASSERT_TRUE(rig.reopen());
    }
    rig.client.connection_opened(rig.now);
    rig.hear({{"type", "error"}, {"code", first ? "timeout" : "limit_exceeded"}, {"message", "no"}, {"fatal", true}});
    EXPECT_EQ(rig.take<Ended>().size(), 1u);
  }
}

TEST(SignallingClient, a_resume_as_somebody_else_is_not_taken_and_without_reconnect_ends_with_an_error) {
  Json other = Rig::joined(true);
  other["participantId"] = "par_other";
  Rig again;
  again.join();
  again.client.connection_closed(again.now);
  ASSERT_TRUE(again.reopen());
  again.answer_join(other);
  EXPECT_FALSE(again.client.joined());
  EXPECT_EQ(again.sent().back()["type"], "leave") << "the other participant is not ours to hold";
  ASSERT_TRUE(again.reopen());
  EXPECT_FALSE(again.answer_join(Rig::joined(false)).contains("resumeToken"));
  EXPECT_EQ(again.take<Rejoined>().size(), 1u);

  Rig rig(false);
  rig.join();
  rig.client.connection_closed(rig.now);
  ASSERT_TRUE(rig.reopen());
  rig.client.connection_opened(rig.now);
  rig.hear(other);
  const auto ended = rig.take<Ended>();
  ASSERT_EQ(ended.size(), 1u);
  ASSERT_TRUE(ended[0].error);
  EXPECT_EQ(ended[0].error->code, ErrorCode::disconnected);
}

TEST(SignallingClient, a_server_that_was_started_anew_is_joined_anew_and_everybody_has_left_and_come_again) {
  for (const char* me : {"par_me", "par_new"}) {
    Rig rig;
    const Json bob = {{"id", "par_b"}, {"identity", "Bob"}, {"feeds", {Rig::feed("fd_1", "par_b")}}};
    rig.join(Rig::joined(false, "r1", {bob}));
    rig.client.publish("v=0", {}, rig.now);
    rig.client.connection_closed(rig.now);
    ASSERT_TRUE(rig.reopen());
    rig.client.connection_opened(rig.now);
    rig.drain();
    rig.out.clear();
    Json anew = Rig::joined(false, "r2", {bob});
    anew["participantId"] = me;
    rig.hear(anew);
    rig.drain();
    std::string order;
    for (const Output& output : rig.out) {
      if (std::holds_alternative<Lapsed>(output)) order += "lapsed, ";
      if (std::holds_alternative<FeedRemoved>(output)) order += "feed gone, ";
      if (std::holds_alternative<ParticipantLeft>(output)) order += "left, ";
      if (const auto* again = std::get_if<Rejoined>(&output)) order += "again as " + again->participant_id + ", ";
      if (std::holds_alternative<ParticipantJoined>(output)) order += "joined, ";
      if (std::holds_alternative<FeedAdded>(output)) order += "feed there, ";
      if (const auto* text = std::get_if<SendText>(&output)) {
        EXPECT_EQ(Json::parse(text->text)["type"], "ping") << "the offer was for a server that is gone";
      }
    }
    EXPECT_EQ(order, "lapsed, feed gone, left, again as " + std::string(me) + ", joined, feed there, ");
    EXPECT_TRUE(rig.client.joined());
  }
}

TEST(SignallingClient, silence_is_answered_with_pings_and_then_taken_for_death) {
  Rig rig;
  rig.join();
  rig.run(Client::kPingAfter);
  ASSERT_EQ(rig.sent().size(), 1u);
  rig.hear({{"type", "ping"}});
  EXPECT_EQ(rig.sent().at(0)["type"], "pong");
  for (int i = 0; i < 10; ++i) {
    rig.run(5s);
    rig.hear({{"type", "pong"}});
  }
  EXPECT_TRUE(rig.take<Interrupted>().empty());
  rig.run(Client::kDeadAfter);
  EXPECT_EQ(rig.take<Interrupted>().size(), 1u);
  EXPECT_FALSE(rig.take<CloseConnection>().empty());
}

TEST(SignallingClient, an_unanswered_publish_offer_is_sent_again_after_a_resume_and_an_answered_one_is_not) {
  for (bool answered : {false, true}) {
    Rig rig;
    rig.join();
    rig.client.publish("v=0", {{"0", "video", "cam"}}, rig.now);
    EXPECT_EQ(rig.sent().at(0)["feeds"][0]["label"], "cam");
    if (answered) {
      rig.hear({{"type", "publishAnswer"}, {"sdp", "v=0"}, {"feeds", {{{"mid", "0"}, {"feedId", "fd_9"}}}}});
      EXPECT_EQ(rig.take<PublishAnswer>().at(0).feeds.at(0).feed_id, "fd_9");
    }
    rig.client.connection_closed(rig.now);
    ASSERT_TRUE(rig.reopen());
    rig.client.connection_opened(rig.now);
    rig.sent();
    rig.hear(Rig::joined(true, "r2"));
    EXPECT_EQ(rig.sent().size(), answered ? 1u : 2u) << "and the ping that acknowledges";
  }
}

TEST(SignallingClient, a_refused_offer_is_told_and_ends_nothing) {
  Rig rig;
  rig.join();
  rig.client.publish("v=0", {}, rig.now);
  rig.hear({{"type", "error"}, {"code", "limit_exceeded"}, {"message", "feeds"}, {"fatal", false}, {"inReplyTo", "publishOffer"}});
  EXPECT_EQ(rig.take<PublishRefused>().at(0).error.code, ErrorCode::limit_exceeded);
  EXPECT_TRUE(rig.client.joined());
}

TEST(SignallingClient, a_refused_subscribe_answer_or_restart_is_told_and_ends_nothing) {
  Rig rig;
  rig.join();
  for (const char* what : {"subscribeAnswer", "restartSubscribe"}) {
    rig.hear({{"type", "error"}, {"code", "malformed"}, {"message", "no"}, {"fatal", false}, {"inReplyTo", what}});
    const auto refused = rig.take<SubscribeRefused>();
    ASSERT_EQ(refused.size(), 1u) << what;
    EXPECT_EQ(refused[0].error.code, ErrorCode::malformed);
  }
  EXPECT_TRUE(rig.client.joined());
}

TEST(SignallingClient, a_server_that_says_closing_ends_the_session_gracefully) {
  Rig rig;
  rig.join();
  rig.hear({{"type", "closing"}, {"reason", "shutdown"}});
  rig.client.connection_closed(rig.now);
  const auto ended = rig.take<Ended>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].error, std::nullopt);
}

TEST(SignallingClient, without_reconnect_a_server_that_may_return_is_waited_for_and_not_to_find_it_is_no_error) {
  for (const bool returns : {true, false}) {
    Rig rig(false);
    rig.join();
    rig.hear({{"type", "closing"}, {"reason", "restart"}, {"mayReturn", true}});
    EXPECT_EQ(rig.take<Interrupted>().size(), 1u);
    ASSERT_TRUE(rig.reopen());
    if (returns) {
      rig.client.connection_opened(rig.now);
      rig.hear(Rig::joined());
      EXPECT_EQ(rig.take<Rejoined>().size(), 1u);
      EXPECT_TRUE(rig.take<Ended>().empty());
      continue;
    }
    rig.client.connection_failed({ErrorCode::disconnected, "refused"}, rig.now);
    while (!rig.client.ended()) {
      rig.run(1s);
      for (const auto& attempt : rig.take<OpenConnection>()) (void)attempt, rig.client.connection_failed({ErrorCode::disconnected, "refused"}, rig.now);
      rig.drain();
    }
    const auto ended = rig.take<Ended>();
    ASSERT_EQ(ended.size(), 1u);
    EXPECT_EQ(ended[0].error, std::nullopt);
  }
}

TEST(SignallingClient, offer_ids_are_sent_back_as_they_were_written) {
  for (const Json& id : {Json(7), Json("of_1")}) {
    Rig rig;
    rig.join();
    rig.hear({{"type", "subscribeOffer"}, {"offerId", id}, {"sdp", "v=0"}, {"feeds", Json::array()}});
    rig.client.answer_subscribe(rig.take<SubscribeOffer>().at(0).offer_id_text, "v=0", rig.now);
    EXPECT_EQ(rig.sent().at(0)["offerId"], id);
  }
}

TEST(SignallingClient, hostile_messages_are_counted_and_change_nothing) {
  const std::string good = Rig::joined(false, "r", {{{"id", "p"}, {"identity", "B"}, {"feeds", {Rig::feed("f", "p")}}}}).dump();
  SeededRandom random(3);
  for (int round = 0; round < 4000; ++round) {
    Rig rig;
    rig.join();
    std::string text = good;
    if (round < static_cast<int>(good.size())) {
      text.resize(static_cast<std::size_t>(round));
    } else {
      for (int i = 0; i < 3; ++i) text[random.below(text.size())] = static_cast<char>(random.below(256));
    }
    rig.client.handle_message(text, rig.now);
    EXPECT_FALSE(rig.client.ended());
  }
  for (const char* text : {"", "[]", "7", "{}", R"({"type":7})", R"({"type":"feedAdded"})", R"({"type":"feedAdded","feed":[]})",
                           R"({"type":"subscribeOffer","offerId":{},"sdp":""})", R"({"type":"participantLeft","participantId":1})"}) {
    Rig rig;
    rig.join();
    rig.client.handle_message(text, rig.now);
    EXPECT_EQ(rig.client.drops()[Drop::malformed], 1u) << text;
  }
  Rig rig;
  rig.join();
  rig.hear({{"type", "tomorrow"}});
  EXPECT_EQ(rig.client.drops()[Drop::unknown_type], 1u);
  rig.hear({{"type", "publishAnswer"}, {"sdp", ""}});
  rig.hear({{"type", "feedRemoved"}, {"feedId", "nobody"}});
  EXPECT_EQ(rig.client.drops()[Drop::unexpected], 2u);
}

TEST(SignallingClient, a_feed_that_cannot_be_decoded_is_told_and_one_that_is_not_there_is_counted) {
  Rig rig;
  rig.join(Rig::joined(false, "r1", {{{"id", "par_b"}, {"identity", "Bob"}, {"feeds", {Rig::feed("fd_1", "par_b")}}}}));
  rig.hear({{"type", "feedUnsupported"}, {"feedId", "fd_1"}, {"code", "unsupported"}, {"message", "H264"}});
  const auto told = rig.take<FeedUnsupported>();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].feed_id, "fd_1");
  EXPECT_EQ(told[0].error, (Error{ErrorCode::unsupported, "H264"}));
  rig.hear({{"type", "feedUnsupported"}, {"feedId", "fd_9"}, {"code", "unsupported"}, {"message", "H264"}});
  EXPECT_TRUE(rig.take<FeedUnsupported>().empty());
  EXPECT_EQ(rig.client.drops()[Drop::unexpected], 1u);
}

}  // namespace
}  // namespace amphi::sdk::signalling
