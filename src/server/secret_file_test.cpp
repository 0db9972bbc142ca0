// Which key files are refused: those that another user of the machine could read or change.
#include "server/secret_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace amphi::server {
namespace {

namespace fs = std::filesystem;

class SecretFile : public ::testing::Test {
 protected:
  SecretFile() {
    fs::create_directories(root_ / "below");
    std::ofstream(file_) << "secret";
  }
  ~SecretFile() override { fs::remove_all(root_); }
  /// The error's text; empty: it was read.
  std::string read(mode_t file, mode_t folder, mode_t above, const fs::path& path) {
    EXPECT_EQ(chmod(file_.c_str(), file), 0);
    EXPECT_EQ(chmod((root_ / "below").c_str(), folder), 0);
    EXPECT_EQ(chmod(root_.c_str(), above), 0);
    const auto text = read_secret(path.string(), 100);
    if (text) {
      EXPECT_EQ(*text, "secret");
    }
    return text ? "" : text.error().message;
  }
  const fs::path root_ = fs::temp_directory_path() / ("amphi-secret-" + std::to_string(getpid()));
  const fs::path file_ = root_ / "below" / "key";
};

TEST_F(SecretFile, is_refused_where_everybody_can_read_or_change_it_and_says_what_to_do) {
  for (const mode_t mode : {0644, 0604, 0666, 0664, 0602, 0444}) EXPECT_NE(read(mode, 0755, 0755, file_).find("chmod 600 " + file_.string()), std::string::npos) << std::oct << mode;
  EXPECT_NE(read(0644, 0711, 0711, file_), "") << "a name that is known needs no list";
}

TEST_F(SecretFile, is_read_where_only_its_owner_or_a_group_can) {
  for (const mode_t mode : {0600, 0400, 0640, 0660}) EXPECT_EQ(read(mode, 0755, 0755, file_), "") << std::oct << mode;
}

TEST_F(SecretFile, is_read_where_a_folder_above_keeps_others_out) {
  EXPECT_EQ(read(0644, 0700, 0755, file_), "");
  EXPECT_EQ(read(0644, 0755, 0700, file_), "") << "as in a folder of mkdtemp";
  EXPECT_EQ(read(0644, 0755, 0750, file_), "");
  EXPECT_EQ(read(0644, 0754, 0755, file_), "") << "a folder that can be listed and not passed";
}

TEST_F(SecretFile, is_a_regular_file_and_a_pipe_makes_nobody_wait) {
  const fs::path pipe = root_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  for (const fs::path& wrong : {pipe, root_, fs::path("/dev/zero")}) EXPECT_EQ(read_secret(wrong.string(), 100).error().code, ErrorCode::invalid_argument) << wrong;
}

TEST_F(SecretFile, is_judged_by_the_place_that_a_link_leads_to) {
  const fs::path open = fs::temp_directory_path() / ("amphi-secret-link-" + std::to_string(getpid()));
  fs::create_symlink(file_, open);
  EXPECT_EQ(read(0644, 0755, 0700, open), "");
  EXPECT_NE(read(0644, 0755, 0755, open), "");
  fs::remove(open);
  EXPECT_EQ(read_secret((root_ / "none").string(), 100).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace amphi::server
