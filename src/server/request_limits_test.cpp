#include "server/request_limits.h"

#include <gtest/gtest.h>

namespace amphi::server {
namespace {

AccessToken token(const std::string& identity) { return {SessionId("s"), identity, {}, 0, "", 0, {}}; }

TEST(RequestLimits, each_identity_has_a_burst_and_a_rate_of_its_own) {
  RequestLimits limits;
  Time now{1h};
  int allowed = 0;
  for (int i = 0; i < 4300; ++i) allowed += limits.allow(token("flood"), now += 465us);  // 2 s
  EXPECT_NEAR(allowed, 300, 2);
  EXPECT_TRUE(limits.allow(token("another"), now));
  EXPECT_FALSE(limits.allow(token("flood"), now));
  EXPECT_TRUE(limits.allow(token("flood"), now + 1s));
}

TEST(RequestLimits, may_be_others) {
  RequestLimits limits(5, 40);
  Time now{1h};
  int allowed = 0;
  for (int i = 0; i < 1000; ++i) allowed += limits.allow("par_1", now += 10ms);
  EXPECT_NEAR(allowed, 40 + 50, 1);
  EXPECT_TRUE(limits.allow("par_2", now));
}

TEST(RequestLimits, of_those_who_have_gone_silent_nothing_is_kept) {
  RequestLimits limits;
  Time now{1h};
  for (int i = 0; i < 100'000; ++i) limits.allow(token(std::to_string(i)), now += 1ms);
  EXPECT_LE(limits.known(), 8'001u);
}

}  // namespace
}  // namespace amphi::server
