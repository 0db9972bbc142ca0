#include "server/disk_space.h"

#include <gtest/gtest.h>

namespace amphi::server {
namespace {

constexpr std::uint64_t kMegabyte = 1'000'000;

TEST(SpaceForecast, follows_what_the_disk_has_lost_lately) {
  struct Row {
    const char* what;
    std::vector<std::pair<int, std::uint64_t>> looks;  // second, megabytes free
    std::optional<int> seconds_left;
  };
  const std::vector<Row> rows{
      {"nothing is known", {}, std::nullopt},
      {"one look tells no rate", {{0, 1000}}, std::nullopt},
      {"a moment tells too little", {{0, 1000}, {4, 990}}, std::nullopt},
      {"two megabytes a second", {{0, 1000}, {5, 990}, {10, 980}}, 440},
      {"only the last minute counts", {{0, 5000}, {1, 1000}, {61, 940}, {62, 939}}, 839},
      {"it does not shrink", {{0, 1000}, {10, 1000}}, std::nullopt},
      {"somebody made room: begin anew", {{0, 500}, {10, 400}, {11, 4000}, {12, 3990}}, std::nullopt},
      {"the reserve is reached", {{0, 120}, {10, 100}}, 0},
      {"and passed", {{0, 120}, {10, 40}}, 0},
  };
  for (const Row& row : rows) {
    SpaceForecast forecast;
    for (const auto& [second, megabytes] : row.looks) forecast.add(megabytes * kMegabyte, Time(seconds(second)));
    const auto left = forecast.left(100 * kMegabyte);
    ASSERT_EQ(left.has_value(), row.seconds_left.has_value()) << row.what;
    EXPECT_NEAR(left ? std::chrono::duration<double>(*left).count() : 0, row.seconds_left.value_or(0), 1) << row.what;
  }
}

TEST(FreeBytes, are_those_of_the_file_system_that_holds_the_path) {
  EXPECT_GT(free_bytes("/").value_or(0), 0u);
  EXPECT_EQ(free_bytes("/there/is/no/such/folder").error().code, ErrorCode::storage);
}

TEST(DiskOf, is_that_of_the_nearest_folder_that_exists) {
  const auto root = disk_of("/"), proc = disk_of("/proc");
  ASSERT_TRUE(root && proc);
  EXPECT_NE(*root, *proc);
  EXPECT_EQ(disk_of("/there/is/no/such/folder").value_or(0), *root);
  EXPECT_EQ(disk_of("/nothing").value_or(0), *root);
  EXPECT_FALSE(disk_of("relative-and-not-there"));
  EXPECT_FALSE(disk_of("/proc/version/below"));
}

}  // namespace
}  // namespace amphi::server
