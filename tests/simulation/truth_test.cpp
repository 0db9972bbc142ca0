// What clients are shown against the bytes on the disk: thousands of worlds, each from its seed. AMPHI_SEED=n runs that one alone,
// AMPHI_WORLDS=n so many, AMPHI_FIRST=n from that one on.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "testing/worlds.h"
#include "tests/simulation/truth_world.h"

namespace amphi::services::simulation {
namespace {

constexpr std::uint64_t kWorlds = testing::worlds(1000);

std::uint64_t given(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(Truth, what_is_shown_is_what_is_on_the_disk_in_every_world) {
  const std::uint64_t one = given("AMPHI_SEED", 0);
  const std::uint64_t count = one != 0 ? 1 : given("AMPHI_WORLDS", kWorlds);
  const std::uint64_t first = one != 0 ? one : given("AMPHI_FIRST", 1);
  Tally tally;
  TruthTally truth;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const std::string broken = TruthWorld(seed, tally, truth).run();
    ASSERT_EQ(broken, "") << "replay with AMPHI_SEED=" << seed;
  }
  std::cout << count << " worlds. Shown and compared with the disk: writing " << truth.writing << ", waiting " << truth.waiting << ", slow "
            << truth.slow << ", off " << truth.off << ", with an error " << truth.errors << ". Recordings: " << truth.complete << " complete, "
            << truth.failed << " failed, " << truth.cut << " cut off, " << truth.refused << " refused, " << truth.repaired << " repairs; "
            << truth.pieces << " pieces, " << truth.frames << " frames, " << truth.gaps << " gaps, " << truth.markers << " markers. "
            << truth.dropped << " packets dropped before " << truth.overflowed << " recordings, " << truth.pre_rolls << " pre-rolls, " << truth.low << " times shown to become full, "
            << truth.full << " ended for want of space, " << truth.kept_out << " not begun for it, " << tally.forgets << " not to go on after the server's end. "
            << truth.stalls << " stalls, " << truth.faults << " faults, " << tally.server_crashes << " crashes, " << tally.losses << " losses\n";
  if (count < 100) return;
  for (const std::uint64_t happened : {truth.writing, truth.waiting, truth.slow, truth.off, truth.errors, truth.complete, truth.failed, truth.cut,
                                       truth.refused, truth.repaired, truth.gaps, truth.markers, truth.stalls, truth.faults,
                                       truth.dropped, truth.overflowed, truth.pre_rolls, truth.low, truth.full, truth.kept_out, tally.forgets})
    EXPECT_GE(happened, count / 50) << "something hardly ever happened";
}

}  // namespace
}  // namespace amphi::services::simulation
