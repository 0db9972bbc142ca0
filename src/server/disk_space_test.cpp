#include "server/disk_space.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

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

TEST(FolderIdentity, is_that_of_the_folder_by_whatever_path_and_changes_when_it_is_replaced) {
  namespace fs = std::filesystem;
  const fs::path root = fs::temp_directory_path() / ("amphi-folder-id-" + std::to_string(getpid()));
  fs::create_directories(root / "there");
  fs::create_symlink(root / "there", root / "link");
  const auto before = folder_id(root / "there");
  ASSERT_TRUE(before);
  EXPECT_EQ(folder_id(root / "link").value_or(FolderId{}), *before);
  fs::rename(root / "there", root / "moved");
  EXPECT_EQ(folder_id(root / "there").error().code, ErrorCode::storage);
  fs::create_directories(root / "there");
  EXPECT_NE(folder_id(root / "there").value_or(FolderId{}), *before);
  EXPECT_EQ(folder_id(root / "moved").value_or(FolderId{}), *before);
  EXPECT_FALSE(folder_id("/proc/version"));
  fs::remove_all(root);
}

}  // namespace
}  // namespace amphi::server
