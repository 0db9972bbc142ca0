#include "runtime/file_writer.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

namespace amphi::runtime {
namespace {

class FileWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "amphi-files-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string content(const std::string& name) { return read_file(folder_ + "/" + name, 1 << 20).value_or("none"); }
  std::string folder_;
};

TEST_F(FileWriterTest, writes_appends_and_back_patches_and_hashes_what_is_there) {
  FileWriter files(folder_);
  ASSERT_TRUE(files.open(1, "a.webm"));
  ASSERT_TRUE(files.write(1, 0, as_bytes("xx hello")));
  ASSERT_TRUE(files.write(1, 8, as_bytes(" world")));
  ASSERT_TRUE(files.sync(1));
  ASSERT_TRUE(files.write(1, 0, as_bytes("ok")));
  ASSERT_TRUE(files.sync(1));
  ASSERT_TRUE(files.close(1));
  EXPECT_EQ(content("a.webm"), "ok hello world");
  const auto digest = files.hash(1);
  ASSERT_TRUE(digest);
  EXPECT_EQ(*digest, sha256(as_bytes("ok hello world")));
}

TEST_F(FileWriterTest, never_overwrites_a_file_that_exists) {
  FileWriter files(folder_);
  ASSERT_TRUE(files.open(1, "a"));
  const auto again = files.open(2, "a");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::storage);
  EXPECT_NE(again.error().message.find("create a: "), std::string::npos) << again.error().message;
}

TEST_F(FileWriterTest, takes_plain_names_only) {
  FileWriter files(folder_);
  for (const char* name : {"", "../a", "a/b", ".hidden", "/etc/a"}) EXPECT_FALSE(files.open(1, name)) << name;
}

TEST_F(FileWriterTest, what_is_not_open_cannot_be_written) {
  FileWriter files(folder_);
  EXPECT_FALSE(files.write(7, 0, as_bytes("x")));
  EXPECT_FALSE(files.sync(7));
  EXPECT_FALSE(files.close(7));
  EXPECT_FALSE(files.hash(7));
  ASSERT_TRUE(files.open(7, "a"));
  ASSERT_TRUE(files.close(7));
  EXPECT_FALSE(files.write(7, 0, as_bytes("x")));
}

TEST_F(FileWriterTest, what_is_no_longer_at_its_path_is_not_synced) {
  namespace fs = std::filesystem;
  const std::string below = folder_ + "/recording";
  for (const bool removed : {true, false}) {
    fs::create_directory(below);
    FileWriter files(below);
    ASSERT_TRUE(files.open(1, "a"));
    ASSERT_TRUE(files.write(1, 0, as_bytes("x")));
    ASSERT_TRUE(files.sync(1));
    if (removed) fs::remove_all(below);
    else fs::rename(below, folder_ + "/elsewhere");
    ASSERT_TRUE(files.write(1, 1, as_bytes("y"))) << "the system takes it all the same";
    const auto synced = files.sync(1);
    ASSERT_FALSE(synced);
    EXPECT_EQ(synced.error().code, ErrorCode::storage);
  }
  fs::create_directory(below);
  FileWriter files(below);
  ASSERT_TRUE(files.open(1, "a"));
  fs::remove(below + "/a");
  ASSERT_TRUE(replace_file(below + "/a", as_bytes("another")));
  EXPECT_FALSE(files.sync(1)) << "another file has its place";
}

TEST_F(FileWriterTest, a_replacement_that_fails_leaves_the_old_content_and_no_temporary) {
  std::filesystem::create_directories(folder_ + "/taken/below");  // a folder cannot be replaced by a file
  EXPECT_FALSE(replace_file(folder_ + "/taken", as_bytes("x")));
  EXPECT_TRUE(std::filesystem::is_directory(folder_ + "/taken/below"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/taken.new"));
}

TEST_F(FileWriterTest, replaces_a_file_and_leaves_no_temporary) {
  FileWriter files(folder_);
  ASSERT_TRUE(files.replace("manifest.json", as_bytes("{\"long\":\"first content\"}")));
  ASSERT_TRUE(files.replace("manifest.json", as_bytes("{}")));
  EXPECT_EQ(content("manifest.json"), "{}");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(FileWriterTest, a_path_that_cannot_be_written_is_a_storage_error_that_names_it) {
  // Its parent is no folder: the same path through the code as any other failing device.
  const auto replaced = replace_file("/dev/full/x", as_bytes("x"));
  ASSERT_FALSE(replaced);
  EXPECT_EQ(replaced.error().code, ErrorCode::storage);
  EXPECT_NE(replaced.error().message.find("x"), std::string::npos);
}

TEST_F(FileWriterTest, creates_folders_with_their_parents_and_takes_those_that_exist) {
  EXPECT_TRUE(create_folders(folder_ + "/a/b/c"));
  EXPECT_TRUE(create_folders(folder_ + "/a/b/c"));
  EXPECT_TRUE(std::filesystem::is_directory(folder_ + "/a/b/c"));
  ASSERT_TRUE(replace_file(folder_ + "/file", as_bytes("x")));
  EXPECT_FALSE(create_folders(folder_ + "/file"));
  EXPECT_FALSE(create_folders(folder_ + "/file/below"));
}

TEST_F(FileWriterTest, reading_tells_a_missing_file_from_one_that_is_too_large) {
  ASSERT_TRUE(replace_file(folder_ + "/file", as_bytes("12345")));
  EXPECT_EQ(read_file(folder_ + "/file", 5).value_or(""), "12345");
  EXPECT_EQ(read_file(folder_ + "/file", 4).error().code, ErrorCode::limit_exceeded);
  EXPECT_EQ(read_file(folder_ + "/none", 4).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace amphi::runtime
