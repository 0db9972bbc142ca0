// A lock between processes, and what its file says of the holder. Open file description locks exclude each other within a process too.
#include "runtime/lock_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace amphi::runtime {
namespace {

namespace fs = std::filesystem;

class LockFileTest : public ::testing::Test {
 protected:
  LockFileTest() { fs::create_directories(folder_); }
  ~LockFileTest() override { fs::remove_all(folder_); }
  std::string path() const { return (folder_ / "lock").string(); }
  const fs::path folder_ = fs::temp_directory_path() / ("amphi-lock-" + std::to_string(getpid()));
};

TEST_F(LockFileTest, is_held_once_and_names_its_holder) {
  auto first = LockFile::take(path());
  ASSERT_TRUE(first) << first.error().message;
  const auto second = LockFile::take(path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::invalid_state);
  EXPECT_NE(second.error().message.find("(process " + std::to_string(getpid()) + "), since 2"), std::string::npos) << second.error().message;
}

TEST_F(LockFileTest, is_free_when_its_holder_is_gone_whatever_the_file_says) {
  { auto first = LockFile::take(path()); }
  EXPECT_EQ(fs::file_size(path()), 0u);
  std::ofstream(path()) << "amphi-server\t1\t2020-01-01T00:00:00Z\t1\thost\n";  // left by a kill -9
  EXPECT_TRUE(LockFile::take(path()));
}

TEST_F(LockFileTest, is_not_kept_by_a_child_that_outlives_the_holder) {
  pid_t child = -1;
  {
    auto lock = LockFile::take(path());
    ASSERT_TRUE(lock);
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    child = fork();
    if (child == 0) {
      execlp("sleep", "sleep", "60", nullptr);
      _exit(127);
    }
    close(ends[1]);
    char end = 0;
    ASSERT_EQ(read(ends[0], &end, 1), 0) << "the child runs its program";
    close(ends[0]);
  }
  EXPECT_TRUE(LockFile::take(path()));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

TEST_F(LockFileTest, whose_content_is_stale_is_not_told_as_the_truth) {
  auto held = LockFile::take(path());
  ASSERT_TRUE(held);
  std::ofstream(path(), std::ios::trunc) << "amphi-server\t999999999\t2020-01-01T00:00:00Z\t1\t" << [] {
    char name[256] = {};
    gethostname(name, sizeof name - 1);
    return std::string(name);
  }() << "\n";
  EXPECT_NE(lock_holder(path()).find("no such process is visible here"), std::string::npos) << lock_holder(path());
  std::ofstream(path(), std::ios::trunc) << "";
  EXPECT_NE(lock_holder(path()).find("another process"), std::string::npos);
}

TEST_F(LockFileTest, says_why_it_cannot_be_taken) {
  EXPECT_EQ(LockFile::take((folder_ / "none" / "lock").string()).error().code, ErrorCode::not_found);
  fs::create_symlink("/etc/hostname", path());
  EXPECT_EQ(LockFile::take(path()).error().code, ErrorCode::storage) << "a link leads elsewhere";
}

}  // namespace
}  // namespace amphi::runtime
