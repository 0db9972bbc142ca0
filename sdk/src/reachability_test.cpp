#include "reachability.h"

#include <gtest/gtest.h>

namespace amphi::sdk {
namespace {

constexpr Time kStart = Time{} + 1h;

TEST(Reachability, a_transport_without_a_path_for_10_s_is_told_once) {
  Reachability r;
  EXPECT_EQ(r.next_timeout(), Time::max());
  r.wanted(kStart);
  r.wanted(kStart + 5s);  // a further negotiation starts no further wait
  EXPECT_EQ(r.next_timeout(), kStart + 10s);
  EXPECT_FALSE(r.take_due(kStart + 10s - 1ns));
  EXPECT_FALSE(r.unreachable());
  EXPECT_TRUE(r.take_due(kStart + 10s));
  EXPECT_TRUE(r.unreachable());
  EXPECT_FALSE(r.take_due(kStart + 1h));
  r.wanted(kStart + 1h);
  EXPECT_EQ(r.next_timeout(), Time::max()) << "told already";
  r.settled();
  EXPECT_FALSE(r.unreachable());
  r.wanted(kStart + 2h);
  EXPECT_EQ(r.next_timeout(), kStart + 2h + 10s);
}

TEST(Reachability, a_path_in_time_tells_nothing) {
  Reachability r;
  r.wanted(kStart);
  r.settled();
  EXPECT_EQ(r.next_timeout(), Time::max());
  EXPECT_FALSE(r.unreachable());
}

TEST(Reachability, the_time_counts_only_while_signalling_is_connected) {
  Reachability r;
  r.wanted(kStart);
  r.signalling_interrupted();
  EXPECT_FALSE(r.take_due(kStart + 1h));
  r.signalling_resumed(kStart + 1h);
  EXPECT_EQ(r.next_timeout(), kStart + 1h + 10s);
}

}  // namespace
}  // namespace amphi::sdk
