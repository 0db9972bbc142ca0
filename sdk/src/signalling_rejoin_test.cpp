// The signalling client with reconnect, its default: what it tries again, for how long, and what ends it.
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

TEST(SignallingRejoin, only_final_errors_of_the_server_end_the_session) {
  for (const bool first : {true, false}) {
    for (const char* code : {"unauthorized", "forbidden", "not_found", "unsupported", "invalid_argument", "malformed", "fingerprint_mismatch", "limit_exceeded",
                             "internal", "timeout", "disconnected", "invalid_state", "storage", "a code of tomorrow"}) {
      Rig rig;
      if (first) {
        rig.client.connect(rig.now);
        rig.take<OpenConnection>();
      } else {
        rig.join();
        rig.client.connection_closed(rig.now);
        ASSERT_TRUE(rig.reopen());
      }
      rig.answer_join(Rig::fatal(code));
      rig.client.connection_closed(rig.now);
      const bool final_cause = is_final(error_code_from_wire(code));
      EXPECT_EQ(rig.take<Ended>().size(), final_cause ? 1u : 0u) << code;
      EXPECT_EQ(rig.reopen(), !final_cause) << code;
    }
  }
  EXPECT_TRUE(is_final(ErrorCode::unauthorized) && is_final(ErrorCode::forbidden));
  EXPECT_FALSE(is_final(ErrorCode::limit_exceeded) || is_final(ErrorCode::internal) || is_final(ErrorCode::timeout) || is_final(ErrorCode::disconnected));
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
