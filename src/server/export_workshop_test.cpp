// Where exports are made: alone, and never left behind.
#include "server/export_workshop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "server/synced_paths.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;

class ExportWorkshopTest : public ::testing::Test {
 protected:
  ExportWorkshopTest() { fs::create_directories(root_); }
  ~ExportWorkshopTest() override { fs::remove_all(root_); }

  /// As one leaves it that is killed.
  void leave(const fs::path& workshop) {
    fs::create_directories(workshop / "plain-rec_1");
    std::ofstream(workshop / "lock") << "";
    std::ofstream(workshop / "plain-rec_1" / "video.webm") << "decrypted";
  }

  const fs::path root_ = fs::temp_directory_path() / ("amphi-workshop-" + std::to_string(getpid()));
};

TEST_F(ExportWorkshopTest, a_sweep_takes_what_the_killed_left_and_nothing_that_somebody_works_in) {
  const fs::path recording = root_ / "theatre" / "rec_1", session = root_ / "theatre" / "exports";
  leave(recording / "exports" / "a.mp4.work");
  leave(session / "b.mp4.work");
  fs::create_directories(session / "unlocked.mkv.work");
  std::ofstream(session / "c.mp4") << "an export";
  auto working = Workshop::open((session / "d.mp4").string());
  ASSERT_TRUE(working);
  std::ofstream(working->file("made")) << "half";
  sweep_workshops(root_.string());
  EXPECT_TRUE(fs::is_empty(recording / "exports"));
  EXPECT_FALSE(fs::exists(session / "b.mp4.work"));
  EXPECT_FALSE(fs::exists(session / "unlocked.mkv.work"));
  EXPECT_TRUE(fs::exists(session / "c.mp4"));
  EXPECT_TRUE(fs::exists(working->file("made")));
}

TEST_F(ExportWorkshopTest, is_for_one_at_a_time_and_empty_for_the_next) {
  const std::string output = (root_ / "x.mp4").string();
  leave(output + ".work");
  {
    auto shop = Workshop::open(output);
    ASSERT_TRUE(shop);
    EXPECT_FALSE(fs::exists(shop->file("plain-rec_1")));
    EXPECT_EQ(Workshop::open(output).error().code, ErrorCode::invalid_state);
    EXPECT_EQ(fs::status(shop->file("")).permissions(), fs::perms::owner_all);
  }
  EXPECT_FALSE(fs::exists(output + ".work"));
  EXPECT_TRUE(Workshop::open(output));
}

TEST_F(ExportWorkshopTest, what_is_put_in_place_is_whole_there_before_anybody_is_told) {
  const std::string root = fs::canonical(root_), output = root + "/x.mp4", made = root + "/x.mp4.work/made";
  auto shop = Workshop::open(output);
  ASSERT_TRUE(shop);
  std::ofstream(made) << "everybody";
  const SyncedPaths synced;
  ASSERT_TRUE(put_in_place(made, output));
  EXPECT_EQ(synced.of({made, root}), (std::vector<std::string>{made, root}));
  EXPECT_EQ(fs::file_size(output), 9u);
  EXPECT_EQ(put_in_place(made, output).error().code, ErrorCode::storage) << "there is nothing";
  EXPECT_EQ(fs::file_size(output), 9u);
}

}  // namespace
}  // namespace amphi::server
