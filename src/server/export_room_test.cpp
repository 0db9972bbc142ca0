// What an export needs, beside what stays free.
#include "server/export_room.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "server/disk_space.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;

TEST(ExportRoom, needs_the_share_of_each_file_that_goes_into_it_and_leaves_the_reserve) {
  const fs::path folder = fs::temp_directory_path() / ("amphi-room-" + std::to_string(getpid()));
  fs::create_directories(folder);
  std::ofstream(folder / "a.webm") << std::string(1000, 'a');
  recording::ExportSource source;
  source.folder = folder.string();
  source.manifest.duration_ms = 10'000;
  recording::Manifest::Track track;
  track.path = "a.webm";
  track.duration_ms = 10'000;
  source.manifest.tracks = {track};
  const auto needed = [&](recording::ExportRange range, bool tracks) { return export_bytes(*recording::plan_export({source}, range), {source}, tracks); };
  EXPECT_EQ(needed({}, true), 1000u);
  EXPECT_EQ(needed({2000, 7000}, true), 500u);
  EXPECT_EQ(needed({2000, 7000}, false), 1000u) << "its scenes, and these joined";
  source.manifest.encrypted = true;
  EXPECT_EQ(needed({2000, 7000}, true), 500u) << "decrypted in memory";
  EXPECT_EQ(needed({2000, 7000}, false), 2000u) << "and all that is decrypted before";

  const std::uint64_t free = *free_bytes(folder.string()), some = std::uint64_t{1} << 30;  // others use the disk too
  EXPECT_TRUE(ExportRoom(folder.string(), 1).check(free / 2));
  EXPECT_EQ(ExportRoom(folder.string(), free / 2).check(free / 2 + some).error().code, ErrorCode::storage);
  EXPECT_EQ(ExportRoom(folder.string(), free + some).check(0).error().code, ErrorCode::storage);
  EXPECT_TRUE(ExportRoom(folder.string(), 0).check(free + some)) << "it may fill up";
  fs::remove_all(folder);
}

}  // namespace
}  // namespace amphi::server
