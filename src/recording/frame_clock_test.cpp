#include "recording/frame_clock.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"
#include "recording/decode_clock.h"

namespace amphi::recording {
namespace {

TEST(FrameClock, times_grow_whatever_comes_in) {
  for (const std::int64_t per_second : {1'000, 90'000}) {
    FrameClock clock(per_second);
    std::int64_t last = -1;
    for (const Duration wanted : {Duration(-5s), Duration(0s), Duration(0s), Duration(3s), Duration(2s), Duration(50h), Duration(1s)}) {
      const std::int64_t at = clock.place(wanted, true, false);
      EXPECT_GT(at, last);
      last = at;
    }
    EXPECT_EQ(last, 50 * 3600 * per_second + 1);
  }
}

TEST(FrameClock, a_frame_that_was_nudged_moves_no_frame_that_has_room) {
  FrameClock clock(1'000);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(clock.place(100ms, true, false), 100 + i);
  EXPECT_EQ(clock.place(120ms, true, false), 120);
}

TEST(FrameClock, a_b_frame_lies_before_frames_that_came_before_it_and_never_before_a_keyframe) {
  FrameClock clock(1'000);
  EXPECT_EQ(clock.place(100ms, true, false), 100);
  EXPECT_EQ(clock.place(200ms, false, false), 200);
  EXPECT_EQ(clock.place(133ms, false, true), 133);
  EXPECT_EQ(clock.place(133ms, false, true), 134) << "a tick of its own";
  EXPECT_EQ(clock.place(50ms, false, true), 101) << "behind the keyframe";
  EXPECT_EQ(clock.place(150ms, false, false), 201) << "a P frame lies behind all others";
}

TEST(FrameClock, no_two_frames_share_a_tick_and_none_lies_behind_sixteen_later_ones) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SeededRandom random(seed);
    FrameClock clock(90'000);
    DecodeClock decode;
    std::vector<std::int64_t> all;
    std::int64_t decoded = -1;
    for (int i = 0; i < 200; ++i) {
      const bool key = random.unit() < 0.05;
      const std::int64_t at = clock.place(milliseconds(random.below(3'000)), key, random.unit() < 0.6);
      EXPECT_LE(std::count_if(all.begin(), all.end(), [&](std::int64_t other) { return other > at; }), 16) << "seed " << seed;
      all.push_back(at);
      decode.expect(at, key);
      const std::int64_t next = decode.place(at, key);
      EXPECT_GT(next, decoded) << "seed " << seed;
      decoded = next;
    }
    EXPECT_EQ(std::set<std::int64_t>(all.begin(), all.end()).size(), all.size()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace amphi::recording
