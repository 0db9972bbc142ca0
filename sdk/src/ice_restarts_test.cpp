#include "ice_restarts.h"

#include <gtest/gtest.h>

#include <vector>

namespace amphi::sdk {
namespace {

constexpr Time kStart{100s};

/// Runs until `end` and tells when it restarted, in seconds after kStart.
std::vector<double> restarts_until(IceRestarts& policy, Time end) {
  std::vector<double> at;
  while (policy.next_timeout() < end) {
    const Time now = policy.next_timeout();
    if (policy.take_due(now) == IceRestarts::Due::restart) at.push_back(std::chrono::duration<double>(now - kStart).count());
  }
  return at;
}
Time after(Duration d) { return kStart + d; }

TEST(IceRestarts, a_transport_that_works_is_left_alone) {
  IceRestarts policy;
  EXPECT_EQ(policy.next_timeout(), Time::max());
  EXPECT_EQ(policy.take_due(kStart), IceRestarts::Due::nothing);
  policy.signalling_interrupted();
  policy.signalling_resumed(kStart);
  EXPECT_EQ(policy.next_timeout(), Time::max());
}

TEST(IceRestarts, a_silence_is_given_two_seconds_and_then_restarts_come_ever_more_slowly) {
  IceRestarts policy;
  policy.silent(kStart);
  EXPECT_EQ(policy.take_due(after(1999ms)), IceRestarts::Due::nothing);
  EXPECT_EQ(restarts_until(policy, after(60s)), (std::vector<double>{2, 4, 8, 16, 26, 36, 46, 56}));
}

TEST(IceRestarts, lost_consent_without_a_silence_before_is_answered_at_once) {
  IceRestarts policy;
  policy.consent_lost(kStart);
  EXPECT_EQ(restarts_until(policy, after(20s)), (std::vector<double>{0, 2, 6, 14}));
}

TEST(IceRestarts, what_is_told_again_while_restarts_go_on_does_not_hurry_them) {
  IceRestarts policy;
  policy.silent(kStart);
  EXPECT_EQ(restarts_until(policy, after(20s)), (std::vector<double>{2, 4, 8, 16}));
  policy.consent_lost(after(20s));
  policy.silent(after(21s));
  EXPECT_EQ(restarts_until(policy, after(40s)), (std::vector<double>{26, 36}));
}

TEST(IceRestarts, a_connected_transport_begins_anew_the_next_time) {
  IceRestarts policy;
  policy.silent(kStart);
  EXPECT_EQ(restarts_until(policy, after(20s)).size(), 4u);
  policy.connected();
  EXPECT_EQ(policy.next_timeout(), Time::max());
  policy.silent(after(100s));
  EXPECT_EQ(restarts_until(policy, after(110s)), (std::vector<double>{102, 104, 108}));
}

TEST(IceRestarts, nothing_is_asked_for_while_signalling_is_interrupted_and_at_once_when_it_is_resumed) {
  IceRestarts policy;
  policy.silent(kStart);
  policy.signalling_interrupted();
  EXPECT_EQ(policy.next_timeout(), Time::max());
  EXPECT_EQ(policy.take_due(after(25s)), IceRestarts::Due::nothing);
  policy.consent_lost(after(25s));
  EXPECT_EQ(policy.take_due(after(28s)), IceRestarts::Due::nothing);
  policy.signalling_resumed(after(29s));
  EXPECT_EQ(restarts_until(policy, after(40s)), (std::vector<double>{29, 31, 35}));
}

TEST(IceRestarts, after_the_end_nothing_is_restarted) {
  IceRestarts policy;
  policy.silent(kStart);
  policy.stop();
  EXPECT_EQ(policy.take_due(after(60s)), IceRestarts::Due::nothing);
}

TEST(IceRestarts, another_network_is_tried_at_once_where_the_path_is_lost_and_left_alone_where_it_is_not) {
  IceRestarts policy;
  policy.network_changed(kStart);
  EXPECT_FALSE(policy.lost());
  EXPECT_EQ(policy.next_timeout(), Time::max());
  policy.silent(kStart);
  EXPECT_TRUE(policy.lost());
  EXPECT_EQ(restarts_until(policy, after(9s)), (std::vector<double>{2, 4, 8}));
  policy.network_changed(after(9s));
  EXPECT_EQ(restarts_until(policy, after(16s)), (std::vector<double>{9, 11, 15})) << "and the pauses begin anew";
  policy.connected();
  EXPECT_FALSE(policy.lost());
}

TEST(IceRestarts, a_broken_transport_is_renewed_at_once_and_again_until_somebody_does) {
  IceRestarts policy;
  policy.silent(kStart);
  policy.broken(kStart);
  EXPECT_TRUE(policy.lost() && policy.is_broken());
  EXPECT_EQ(policy.take_due(kStart), IceRestarts::Due::renewal);
  EXPECT_EQ(policy.take_due(after(1s)), IceRestarts::Due::nothing);
  policy.network_changed(after(1s));
  policy.consent_lost(after(1s));
  EXPECT_EQ(policy.next_timeout(), after(2s)) << "other news changes nothing";
  EXPECT_EQ(policy.take_due(after(2s)), IceRestarts::Due::renewal);
  policy.signalling_interrupted();
  EXPECT_EQ(policy.next_timeout(), Time::max());
  policy.signalling_resumed(after(90s));
  EXPECT_EQ(policy.take_due(after(90s)), IceRestarts::Due::renewal);
}

TEST(IceRestarts, a_transport_that_the_other_end_closed_is_renewed_after_signalling_had_2_s_to_tell_the_cause) {
  IceRestarts policy;
  policy.closed(kStart);
  EXPECT_EQ(policy.take_due(after(1999ms)), IceRestarts::Due::nothing);
  EXPECT_EQ(policy.take_due(after(2s)), IceRestarts::Due::renewal);
  policy.stop();
  EXPECT_FALSE(policy.lost() || policy.is_broken());
}

}  // namespace
}  // namespace amphi::sdk
