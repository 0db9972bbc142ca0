// Services against the world: thousands of worlds, each from its seed. AMPHI_SEED=n runs that one alone, AMPHI_SEEDS=n so many; both: so
// many from that one on.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "testing/worlds.h"
#include "tests/simulation/services_world.h"

namespace amphi::services::simulation {
namespace {

constexpr std::uint64_t kWorlds = testing::worlds(3000);

TEST(ServicesWorld, every_rule_holds_in_every_world) {
  const char* one = std::getenv("AMPHI_SEED");
  const char* many = std::getenv("AMPHI_SEEDS");
  const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
  const std::uint64_t count = many != nullptr ? std::strtoull(many, nullptr, 10) : one != nullptr ? 1 : kWorlds;
  Tally tally;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const std::string broken = World(seed, tally).run();
    ASSERT_EQ(broken, "") << "replay with AMPHI_SEED=" << seed;
  }
  std::cout << count << " worlds: " << tally.messages << " messages, " << tally.requests << " requests ("
            << tally.refused_at_once << " refused at once, " << tally.timeouts << " timed out, " << tally.other_request_errors
            << " other errors told), " << tally.repeated_requests << " repeated, " << tally.changes << " changes, "
            << tally.starts << " starts (" << tally.failed_starts << " failed), " << tally.stops << " stops, "
            << tally.failed_recordings << " recordings failed, " << tally.losses << " losses, " << tally.server_crashes
            << " crashes, " << tally.markers << " markers (told " << tally.markers_told << " times), " << tally.media_changes << " media changes, "
            << tally.warnings << " warnings, " << tally.server_closings << " closings, " << tally.client_restarts << " clients restarted\n";
  if (count < 100) return;
  for (const std::uint64_t happened :
       {tally.refused_at_once, tally.timeouts, tally.other_request_errors, tally.repeated_requests, tally.failed_starts,
        tally.failed_recordings, tally.stops, tally.losses, tally.server_crashes, tally.server_closings, tally.client_restarts, tally.markers,
        tally.markers_told, tally.media_changes, tally.warnings}) {
    EXPECT_GE(happened, count / 50) << "a kind of trouble hardly ever happened";
  }
}

}  // namespace
}  // namespace amphi::services::simulation
