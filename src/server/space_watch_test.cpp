#include "server/space_watch.h"

#include <gtest/gtest.h>

namespace amphi::server {
namespace {

constexpr std::uint64_t kMegabyte = 1'000'000, kReserve = 200 * kMegabyte;

TEST(SpaceWatch, lets_a_recording_begin_with_the_reserve_and_no_less) {
  const SpaceWatch watch(kReserve);
  EXPECT_TRUE(watch.check_start(kReserve));
  const auto refused = watch.check_start(kReserve - 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::storage);
  EXPECT_TRUE(SpaceWatch(0).check_start(0));
}

TEST(SpaceWatch, warns_for_the_last_half_hour_and_tells_each_change_once) {
  SpaceWatch watch(kReserve);
  const auto look = [&](int second, std::uint64_t megabytes) { return watch.look(megabytes * kMegabyte, Time(seconds(second))); };
  EXPECT_FALSE(look(0, 10'000));
  EXPECT_FALSE(look(10, 9'990)) << "three hours";
  EXPECT_TRUE(look(20, 9'880)) << "six a second: 27 minutes";
  ASSERT_TRUE(watch.warning());
  EXPECT_EQ(watch.warning()->code, "storage_low");
  EXPECT_EQ(watch.warning()->minutes_left, 27);
  EXPECT_FALSE(look(21, 9'874)) << "the same minute";
  EXPECT_TRUE(look(22, 20'000)) << "somebody made room";
  EXPECT_FALSE(watch.warning());
}

TEST(SpaceWatch, is_due_once_a_second_until_it_is_full_at_half_the_reserve) {
  SpaceWatch watch(kReserve);
  const Time start = Time(100s);
  EXPECT_TRUE(watch.is_due(start));
  EXPECT_FALSE(watch.look(kReserve / 2 + 1, start));
  EXPECT_FALSE(watch.full());
  EXPECT_FALSE(watch.is_due(start + 999ms));
  EXPECT_TRUE(watch.is_due(start + 1s));
  watch.skip(start + 1s);
  EXPECT_FALSE(watch.is_due(start + 1999ms));
  EXPECT_TRUE(watch.look(kReserve / 2, start + 2s));
  ASSERT_TRUE(watch.full());
  EXPECT_EQ(watch.full()->code, ErrorCode::storage);
  EXPECT_FALSE(watch.is_due(start + 9s)) << "said once";
  SpaceWatch endless(0);
  endless.look(0, start);
  EXPECT_FALSE(endless.full());
}

}  // namespace
}  // namespace amphi::server
