#include "server/connection_gate.h"

#include <gtest/gtest.h>

namespace amphi::server {
namespace {

using Number = ConnectionGate::Number;
using Refusal = ConnectionGate::Refusal;

struct Rig {
  ConnectionGate gate;
  Number next = 1;

  explicit Rig(ConnectionGate::Limits limits) : gate(limits) {}
  ConnectionGate::Verdict enter(const std::string& group, bool of_proxy = false) { return gate.enter(next++, group, of_proxy); }
  /// The number of a connection that has a token.
  Number member(const std::string& group, const std::string& identity) {
    EXPECT_EQ(enter(group).refusal, Refusal::none);
    gate.authenticated(next - 1, identity);
    return next - 1;
  }
};

TEST(ConnectionGate, the_address_that_has_most_idle_connections_makes_room_for_everybody_else) {
  Rig rig({10, 1000, 2, 64});
  EXPECT_EQ(rig.enter("good").refusal, Refusal::none);
  for (int i = 0; i < 7; ++i) EXPECT_FALSE(rig.enter("greedy").yields);
  const auto ninth = rig.enter("greedy");
  EXPECT_EQ(ninth.refusal, Refusal::none);
  EXPECT_EQ(ninth.yields, 2u) << "its own oldest, and not the good one's older one";
  EXPECT_EQ(rig.enter("other").yields, 3u);
  EXPECT_EQ(rig.gate.open(), 8u) << "two of ten are for those with a token";
}

TEST(ConnectionGate, an_address_at_its_limit_takes_the_place_of_its_own_oldest_idle_connection) {
  Rig rig({100, 3, 0, 64});
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(rig.enter("a").yields);
  rig.gate.set_busy(1, true);
  EXPECT_EQ(rig.enter("a").yields, 2u) << "the first is being answered";
  rig.gate.set_busy(3, true);
  rig.gate.set_busy(3, false);
  EXPECT_EQ(rig.enter("a").yields, 4u) << "the third has been idle for less long";
  EXPECT_FALSE(rig.enter("b").yields);
}

TEST(ConnectionGate, a_connection_with_a_token_yields_to_nobody_and_has_places_of_its_own) {
  Rig rig({10, 1000, 4, 64});
  std::vector<Number> members;
  for (int i = 0; i < 4; ++i) members.push_back(rig.member("clinic", "s\nsurgeon"));
  for (int i = 0; i < 1000; ++i) {
    const auto verdict = rig.enter("greedy");
    ASSERT_EQ(verdict.refusal, Refusal::none);
    ASSERT_GT(verdict.yields.value_or(members.back() + 1), members.back()) << i;
  }
  EXPECT_EQ(rig.gate.open(), 10u);
  for (int i = 0; i < 6; ++i) members.push_back(rig.member("clinic", "s\nsurgeon"));
  EXPECT_EQ(rig.gate.open(), 10u) << "all have a token now";
  EXPECT_EQ(rig.enter("greedy").refusal, Refusal::total);
  rig.gate.leave(members[0]);
  EXPECT_EQ(rig.enter("greedy").refusal, Refusal::none);
}

TEST(ConnectionGate, one_identity_cannot_keep_all_places) {
  Rig rig({10, 1000, 5, 3});
  for (int i = 0; i < 10; ++i) rig.member("greedy", "s\ngreedy");
  EXPECT_EQ(rig.member("clinic", "s\nsurgeon"), 11u);
  int refused = 0;
  for (int i = 0; i < 20; ++i) refused += rig.enter("greedy").refusal != Refusal::none;
  EXPECT_EQ(refused, 0) << "its further connections yield";
  rig.gate.leave(11);
  EXPECT_LE(rig.gate.open(), 10u);
}

TEST(ConnectionGate, an_address_whose_connections_all_have_a_token_is_refused_at_its_limit_and_nobody_else_is) {
  Rig rig({100, 2, 0, 64});
  rig.member("a", "s\none");
  rig.member("a", "s\ntwo");
  EXPECT_EQ(rig.enter("a").refusal, Refusal::address);
  EXPECT_EQ(rig.enter("b").refusal, Refusal::none);
}

TEST(ConnectionGate, a_proxy_has_no_limit_and_each_of_its_clients_has) {
  Rig rig({100, 2, 0, 64});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(rig.enter("proxy", true).refusal, Refusal::none);
  EXPECT_FALSE(rig.gate.move(1, "client", false).yields);
  EXPECT_FALSE(rig.gate.move(2, "client", false).yields);
  EXPECT_EQ(rig.gate.move(3, "client", false).yields, 1u);
  EXPECT_FALSE(rig.gate.move(4, "other", false).yields);
  EXPECT_EQ(rig.gate.move(1, "proxy", true).refusal, Refusal::gone);
  rig.gate.authenticated(2, "s\na");
  rig.gate.authenticated(3, "s\na");
  EXPECT_EQ(rig.gate.move(5, "client", false).refusal, Refusal::address);
  rig.gate.move(2, "proxy", true);
  EXPECT_EQ(rig.gate.move(5, "client", false).refusal, Refusal::none) << "the request of the second is over";
  EXPECT_EQ(rig.gate.open(), 9u);
}

TEST(ConnectionGate, nothing_is_left_of_those_who_have_gone) {
  Rig rig({5, 3, 2, 2});
  for (int round = 0; round < 100; ++round) {
    rig.enter("a"), rig.member("b", "s\nb"), rig.enter("c", true);
    for (Number n = 1; n < rig.next; ++n) rig.gate.set_busy(n, n % 2 == 0), rig.gate.move(n, n % 3 ? "a" : "d", false);
    for (Number n = 1; n < rig.next; ++n) rig.gate.leave(n), rig.gate.leave(n);
    ASSERT_EQ(rig.gate.open(), 0u);
    ASSERT_FALSE(rig.gate.make_room());
  }
}

}  // namespace
}  // namespace amphi::server
