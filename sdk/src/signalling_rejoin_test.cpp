// The signalling client with reconnect, its default: what it tries again, for how long, and what ends it.
#include <fstream>
#include <map>

#include "test_signalling_rig.h"

namespace amphi::sdk::signalling {
namespace {

TEST(SignallingRejoin, tries_to_join_for_as_long_as_the_owner_wants_it_with_full_jitter_up_to_10_s) {
  Rig rig;
  rig.client.connect(rig.now);
  std::vector<Duration> waits;
  for (int attempt = 0; attempt < 400; ++attempt) {
    ASSERT_TRUE(rig.reopen()) << attempt;
    const Time since = rig.now;
    rig.refuse();
    rig.drain();
    waits.push_back(rig.client.next_timeout() - since);
  }
  EXPECT_EQ(rig.take<Interrupted>().size(), 1u) << "one reason, told once";
  Duration bound = 250ms, shortest = 10s, longest = 0s;
  for (std::size_t i = 0; i < waits.size(); ++i) {
    EXPECT_LE(waits[i], bound) << i;
    bound = std::min<Duration>(bound * 2, 10s);
    if (i < 10) continue;
    shortest = std::min(shortest, waits[i]);
    longest = std::max(longest, waits[i]);
  }
  EXPECT_LT(shortest, 1s) << "full jitter";
  EXPECT_GT(longest, 9s);
  ASSERT_TRUE(rig.reopen());
  rig.answer_join(Rig::joined());
  EXPECT_EQ(rig.take<Joined>().size(), 1u);
  EXPECT_TRUE(rig.take<Ended>().empty());
}

TEST(SignallingRejoin, a_loss_past_the_window_is_told_and_joined_anew_as_another_participant) {
  Rig rig;
  rig.join();
  rig.client.connection_closed(rig.now);
  const Time lost_at = rig.now;
  EXPECT_EQ(rig.take<Interrupted>().size(), 1u);
  while (rig.now < lost_at + Client::kResumeWindow) {
    ASSERT_TRUE(rig.reopen());
    rig.refuse();
  }
  EXPECT_EQ(rig.take<Lapsed>().size(), 1u);
  rig.run(5min);  // nobody answers OpenConnection: each attempt is given up
  EXPECT_TRUE(rig.take<Lapsed>().empty());
  EXPECT_TRUE(rig.take<Ended>().empty());
  ASSERT_TRUE(rig.client.next_timeout() != Time::max());
  rig.drain();
  rig.out.clear();
  ASSERT_TRUE(rig.reopen(20s));
  EXPECT_EQ(rig.answer_join(Rig::fatal("disconnected")).at("resumeToken"), "r1");
  ASSERT_TRUE(rig.reopen());
  Json anew = Rig::joined(false, "r2");
  anew["participantId"] = "par_new";
  EXPECT_FALSE(rig.answer_join(anew).contains("resumeToken"));
  const auto again = rig.take<Rejoined>();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].participant_id, "par_new");
  EXPECT_TRUE(rig.client.joined());
}

TEST(SignallingRejoin, a_participant_that_the_server_no_longer_holds_lapses_at_once_and_joins_anew) {
  for (const bool while_joined : {true, false}) {
    Rig rig;
    rig.join();
    if (while_joined) {  // another connection resumed this participant
      rig.hear(Rig::fatal("disconnected"));
    } else {
      rig.client.connection_closed(rig.now);
      ASSERT_TRUE(rig.reopen());
      rig.answer_join(Rig::fatal("disconnected"));
    }
    EXPECT_EQ(rig.take<Lapsed>().size(), 1u);
    ASSERT_TRUE(rig.reopen());
    EXPECT_FALSE(rig.answer_join(Rig::joined()).contains("resumeToken"));
    EXPECT_EQ(rig.take<Rejoined>().size(), 1u);
    rig.run(2 * Client::kDeadAfter);
    EXPECT_TRUE(rig.take<Ended>().empty());
  }
}

/// One cause of protocol/scenarios/signalling/causes.json in one state of the client.
void expect_outcome(const Json& cause, const std::string& in) {
  SCOPED_TRACE(cause.at("name").get<std::string>() + ", " + in);
  Rig rig;
  if (in == "joining") {
    rig.client.connect(rig.now);
  } else {
    rig.join();
  }
  if (in == "resuming") {
    rig.client.connection_closed(rig.now);
    ASSERT_TRUE(rig.reopen());
  }
  if (in != "joined") rig.client.connection_opened(rig.now);
  rig.drain();
  rig.out.clear();
  if (cause.contains("receive")) rig.hear(cause.at("receive"));
  else rig.client.connection_closed(rig.now);
  const auto ended = rig.take<Ended>();
  const auto interrupted = rig.take<Interrupted>();
  if (cause.at("then") == "ended") {
    ASSERT_EQ(ended.size(), 1u);
    EXPECT_TRUE(interrupted.empty());
    EXPECT_EQ(ended[0].error ? Json(wire_name(ended[0].error->code)) : Json(), cause.at("error"));
    EXPECT_FALSE(rig.reopen());
    return;
  }
  EXPECT_TRUE(ended.empty());
  if (cause.at("then") == "nothing") {
    EXPECT_TRUE(interrupted.empty() && rig.client.joined());
    return;
  }
  // While resuming, `disconnected` was told when the connection was lost.
  ASSERT_EQ(interrupted.size(), in == "resuming" && cause.at("error") == "disconnected" ? 0u : 1u);
  for (const auto& each : interrupted) EXPECT_EQ(Json(wire_name(each.why.code)), cause.at("error"));
  ASSERT_TRUE(rig.reopen());
  rig.client.connection_opened(rig.now);
  const auto sent = rig.sent();
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent.back().contains("resumeToken"), in != "joining" && cause.at("resumes") == true);
}

TEST(SignallingRejoin, only_final_causes_end_the_session) {
  std::ifstream file(std::string(AMPHI_SOURCE_DIR) + "/protocol/scenarios/signalling/causes.json");
  const Json causes = Json::parse(file);
  ASSERT_GE(causes.size(), 20u);
  for (const Json& cause : causes)
    for (const Json& in : cause.at("in")) expect_outcome(cause, in);
}

TEST(SignallingRejoin, media_that_broke_for_good_leaves_as_one_that_returns_and_a_transport_that_failed_at_the_server_is_told) {
  Rig rig;
  rig.join();
  rig.hear({{"type", "error"}, {"code", "timeout"}, {"message", "why"}, {"fatal", false}, {"transport", "subscribing"}});
  const auto failed = rig.take<TransportFailed>();
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(failed[0].transport, "subscribing");
  EXPECT_EQ(failed[0].error.code, ErrorCode::timeout);
  rig.client.rejoin({ErrorCode::timeout, "broken"}, rig.now);
  EXPECT_EQ(rig.sent().back(), (Json{{"type", "leave"}, {"mayReturn", true}}));
  EXPECT_EQ(rig.take<Lapsed>().size(), 1u);
}

TEST(SignallingRejoin, a_participant_that_is_left_while_its_connection_is_lost_is_taken_back_by_a_connection_of_its_own) {
  for (const std::string answer : {"opened", "failed", "silence"}) {
    for (const bool opening : {true, false}) {
      SCOPED_TRACE(answer + (opening ? ", opening" : ", waiting"));
      Rig rig;
      rig.join();
      rig.client.connection_closed(rig.now);
      if (opening) {
        ASSERT_TRUE(rig.reopen());
      }
      rig.client.leave(rig.now);
      rig.client.leave(rig.now);
      EXPECT_EQ(rig.take<OpenConnection>().size(), opening ? 0u : 1u);
      const auto ended = rig.take<Ended>();
      ASSERT_EQ(ended.size(), 1u) << "told at once";
      EXPECT_FALSE(ended[0].error);
      EXPECT_TRUE(rig.client.ended());
      if (answer == "opened") rig.client.connection_opened(rig.now);
      if (answer == "failed") rig.refuse();
      const auto sent = rig.sent();
      ASSERT_EQ(sent.size(), answer == "opened" ? 2u : 0u);
      if (answer == "opened") {
        EXPECT_EQ(sent[0].at("resumeToken"), "r1");
        EXPECT_EQ(sent[1], (Json{{"type", "leave"}}));
      }
      rig.run(10min);
      EXPECT_EQ(rig.take<CloseConnection>().size(), 2u) << "the lost one, and this one";
      rig.drain();
      EXPECT_TRUE(rig.out.size() <= 1) << "nothing but Interrupted before it";
      EXPECT_EQ(rig.client.next_timeout(), Time::max());
    }
  }
  Rig lapsed;
  lapsed.join();
  lapsed.client.connection_closed(lapsed.now);
  while (lapsed.take<Lapsed>().empty()) {
    ASSERT_TRUE(lapsed.reopen());
    lapsed.refuse();
  }
  lapsed.take<OpenConnection>();
  lapsed.client.leave(lapsed.now);
  EXPECT_TRUE(lapsed.take<OpenConnection>().empty()) << "nobody holds it";
  EXPECT_EQ(lapsed.take<Ended>().size(), 1u);
}

TEST(SignallingRejoin, who_is_absent_after_a_resume_may_return_and_a_feed_that_its_owner_ended_does_not) {
  Rig rig;
  Json ann{{"id", "par_a"}, {"identity", "Ann"}, {"feeds", {Rig::feed("fd_a", "par_a"), Rig::feed("fd_b", "par_a")}}};
  const Json bob{{"id", "par_b"}, {"identity", "Bob"}, {"feeds", {Rig::feed("fd_c", "par_b")}}};
  rig.join(Rig::joined(false, "r1", Json::array({ann, bob})));
  rig.client.connection_closed(rig.now);
  ASSERT_TRUE(rig.reopen());
  ann["feeds"] = Json::array({Rig::feed("fd_a", "par_a")});
  rig.answer_join(Rig::joined(true, "r2", Json::array({ann})));
  std::map<std::string, bool> removed;
  for (const auto& each : rig.take<FeedRemoved>()) removed[each.feed_id] = each.may_return;
  EXPECT_EQ(removed, (std::map<std::string, bool>{{"fd_b", false}, {"fd_c", true}}));

  for (const bool lost : {true, false}) {
    const std::string id = lost ? "fd_x" : "fd_y";
    rig.hear({{"type", "feedAdded"}, {"feed", Rig::feed(id.c_str(), "par_a")}});
    Json gone{{"type", "feedRemoved"}, {"feedId", id}};
    if (lost) gone["mayReturn"] = true;
    rig.hear(gone);
    const auto told = rig.take<FeedRemoved>();
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].may_return, lost);
  }
}

TEST(SignallingRejoin, a_token_that_is_refused_while_away_is_the_end_with_its_error_once) {
  Rig rig;
  rig.join();
  rig.client.connection_closed(rig.now);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(rig.reopen());
    rig.refuse();
  }
  ASSERT_TRUE(rig.reopen());
  rig.answer_join(Rig::fatal("unauthorized"));
  rig.client.connection_closed(rig.now);
  rig.client.leave(rig.now);
  rig.run(10min);
  const auto ended = rig.take<Ended>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].error->code, ErrorCode::unauthorized);
}

TEST(SignallingRejoin, each_reason_of_an_outage_is_told_when_it_changes) {
  Rig rig;
  rig.join();
  rig.client.connection_closed(rig.now);
  for (const char* code : {"limit_exceeded", "limit_exceeded", "internal"}) {
    ASSERT_TRUE(rig.reopen());
    rig.answer_join(Rig::fatal(code));
  }
  std::string reasons;
  for (const Interrupted& each : rig.take<Interrupted>()) reasons += std::string(wire_name(each.why.code)) + " ";
  EXPECT_EQ(reasons, "disconnected limit_exceeded internal ");
}

TEST(SignallingRejoin, a_server_that_goes_away_and_may_return_is_waited_for_also_before_the_first_join) {
  const Json closing{{"type", "closing"}, {"reason", "restart"}, {"mayReturn", true}};
  Rig first;
  first.client.connect(first.now);
  first.take<OpenConnection>();
  first.answer_join(closing);
  ASSERT_TRUE(first.reopen());
  first.answer_join(Rig::joined());
  EXPECT_EQ(first.take<Joined>().size(), 1u);

  Rig later;
  later.join();
  later.hear(closing);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(later.reopen());
    later.refuse();
  }
  EXPECT_TRUE(later.take<Ended>().empty());
  ASSERT_TRUE(later.reopen());
  later.answer_join(Rig::joined());
  EXPECT_EQ(later.take<Rejoined>().size(), 1u);
}

TEST(SignallingRejoin, a_server_that_drops_every_join_at_once_is_tried_at_growing_intervals) {
  Rig rig;
  rig.client.connect(rig.now);
  rig.take<OpenConnection>();
  const Time begun = rig.now;
  int attempts = 0;
  while (rig.now < begun + 10min) {
    rig.answer_join(Rig::joined());
    rig.client.connection_closed(rig.now);
    ++attempts;
    rig.drain();
    std::erase_if(rig.out, [](const Output& o) { return !std::holds_alternative<OpenConnection>(o); });
    ASSERT_TRUE(rig.reopen());
  }
  EXPECT_LT(attempts, 240) << "5 s on average";
}

}  // namespace
}  // namespace amphi::sdk::signalling
