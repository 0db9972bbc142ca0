// The index against its folders: as they are, whatever happened to it.
#include "server/catalogue_index.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "recording/manifest.h"
#include "server/synced_paths.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;

class CatalogueIndexTest : public ::testing::Test {
 protected:
  CatalogueIndexTest() { fs::create_directories(root_); }
  ~CatalogueIndexTest() override { fs::remove_all(root_); }

  void write(const std::string& session, const std::string& id, std::int64_t started_ms, const std::string& state = "complete") {
    recording::ManifestContent content;
    content.info.id = RecordingId(id);
    content.info.session = SessionId(session);
    content.info.requested_by = "Ana";
    content.info.started_at = WallTime{started_ms};
    content.state = state;
    if (state != "recording") content.stopped_at = WallTime{started_ms + 1000};
    content.duration_ms = 1000;
    const Bytes text = recording::write_manifest(content);
    fs::create_directories(root_ / session / id);
    std::ofstream(root_ / session / id / "manifest.json", std::ios::binary).write(reinterpret_cast<const char*>(text.data()), static_cast<std::streamsize>(text.size()));
    std::ofstream(root_ / session / id / "video.webm") << "media";
  }
  CatalogueIndex open() { return std::move(*CatalogueIndex::open(root_.string())); }
  static std::string ids(const CatalogueIndex& index, const CatalogueQuery& query = {}) {
    std::string text;
    const auto page = index.list(query);
    EXPECT_TRUE(page);
    for (const auto& entry : page->entries) text += entry.id + " ";
    return text;
  }

  const fs::path root_ = fs::temp_directory_path() / ("amphi-index-" + std::to_string(getpid()));
};

TEST_F(CatalogueIndexTest, lists_a_recording_whose_manifest_is_large) {
  write("a", "r1", 1000);
  std::ofstream(root_ / "a" / "r1" / "manifest.json", std::ios::app) << std::string(18'000'000, ' ');
  EXPECT_EQ(ids(open()), "r1 ");
}

TEST_F(CatalogueIndexTest, lists_by_session_time_and_state_newest_first) {
  write("a", "r1", 1000);
  write("a", "r2", 3000, "repaired");
  write("b", "r3", 2000);
  write("b", "r4", 4000, "recording");
  const CatalogueIndex index = open();
  EXPECT_EQ(ids(index), "r4 r2 r3 r1 ");
  EXPECT_EQ(ids(index, {"a", "", {}, {}, 100, ""}), "r2 r1 ");
  EXPECT_EQ(ids(index, {"", "complete", {}, {}, 100, ""}), "r3 r1 ");
  EXPECT_EQ(ids(index, {"", "", 2000, 4000, 100, ""}), "r2 r3 ");
  EXPECT_EQ(ids(index, {"", "recording", {}, {}, 100, ""}), "r4 ");
  EXPECT_EQ(ids(index, {"", "failed", {}, {}, 100, ""}), "");
  for (const char* state : {"bogus", "Complete", "complete ", "complete,failed"}) EXPECT_EQ(index.list({"", state, {}, {}, 100, ""}).error().code, ErrorCode::invalid_argument) << state;
  EXPECT_EQ(ids(index, {"a' OR 1 --", "", {}, {}, 100, ""}), "");
  const auto entry = index.list({"a", "complete", {}, {}, 100, ""})->entries.at(0);
  EXPECT_EQ(entry, (CatalogueEntry{"a", "r1", "complete", "Ana", 1000, 2000, 1000, 0}));
}

TEST_F(CatalogueIndexTest, pages_stay_in_step_while_recordings_come_and_go) {
  for (int i = 10; i < 30; ++i) write("a", "r" + std::to_string(i), 1000 * (i / 2));  // two of each time
  CatalogueIndex index = open();
  std::string seen;
  CatalogueQuery query;
  query.limit = 3;
  for (int pages = 0; pages < 20; ++pages) {
    const auto page = index.list(query);
    ASSERT_TRUE(page);
    for (const auto& entry : page->entries) seen += entry.id + " ";
    if (page->next.empty()) break;
    query.cursor = page->next;
    write("a", "new" + std::to_string(pages), 1'000'000);  // above what was shown
    index.refresh("a", "new" + std::to_string(pages));
  }
  std::string expected;
  for (int i = 29; i >= 10; --i) expected += "r" + std::to_string(i) + " ";
  EXPECT_EQ(seen, expected);
  for (const char* cursor : {"x", "/", "1/", "//", "9x/a/b", "/a/b", "99999999999999999999/a/b"}) EXPECT_FALSE(index.list({"", "", {}, {}, 3, cursor})) << cursor;
}

TEST_F(CatalogueIndexTest, is_made_anew_from_the_manifests_whatever_became_of_it) {
  write("a", "r1", 1000);
  write("a", "r2", 2000);
  EXPECT_EQ(ids(open()), "r2 r1 ");
  const fs::path file = root_ / "catalogue.sqlite";
  fs::remove(file);
  EXPECT_EQ(ids(open()), "r2 r1 ") << "lost";
  fs::resize_file(file, fs::file_size(file) / 2);
  EXPECT_EQ(ids(open()), "r2 r1 ") << "cut";
  std::ofstream(file, std::ios::binary) << std::string(20'000, 'x');
  EXPECT_EQ(ids(open()), "r2 r1 ") << "no database";
  EXPECT_TRUE(fs::exists(root_ / "catalogue.sqlite.broken"));
  fs::resize_file(file, 0);
  EXPECT_EQ(ids(open()), "r2 r1 ") << "empty";
}

TEST_F(CatalogueIndexTest, learns_at_its_start_what_changed_without_it) {
  write("a", "r1", 1000, "recording");
  write("a", "r2", 2000);
  EXPECT_EQ(ids(open(), {"", "recording", {}, {}, 9, ""}), "r1 ");
  write("a", "r1", 1000, "repaired");
  fs::remove_all(root_ / "a" / "r2");
  write("c", "r3", 500);
  fs::create_directories(root_ / "c" / "exports");
  std::ofstream(root_ / "c" / "services.json") << "{}";
  const CatalogueIndex index = open();
  EXPECT_EQ(ids(index), "r1 r3 ");
  EXPECT_EQ(ids(index, {"", "recording", {}, {}, 9, ""}), "");
}

TEST_F(CatalogueIndexTest, takes_no_harm_from_lines_of_deletions_that_are_none) {
  const char* const lines[] = {R"({"atMs":5,"session":7,"recording":"r1","by":"Ana"})", R"({"atMs":"5","session":"a","recording":"r1","by":"Ana"})",
                               R"({"atMs":1e300,"session":"a","recording":"r1","by":"Ana"})", R"({"atMs":5,"session":"a","recording":"r1","by":null})",
                               R"({"session":"a"})", "[1]", "null", "{", "\xff"};
  std::ofstream file(root_ / "deletions.jsonl");
  for (const char* line : lines) file << line << "\n";
  file << R"({"atMs":5,"session":"a","recording":"r2","by":"Ana"})" << "\n";
  file.close();
  const CatalogueIndex index = open();
  EXPECT_FALSE(index.deletion_of("a", "r1"));
  EXPECT_TRUE(index.deletion_of("a", "r2"));
}

TEST_F(CatalogueIndexTest, is_kept_in_memory_where_it_cannot_be_written) {
  write("a", "r1", 1000);
  std::ofstream(root_ / "deletions.jsonl") << R"({"atMs":5,"session":"a","recording":"r0","by":"Ana"})" << "\n";
  fs::create_directories(root_ / "catalogue.sqlite" / "in the way");
  fs::create_directories(root_ / "catalogue.sqlite.broken" / "in the way");
  auto index = CatalogueIndex::open(root_.string());
  ASSERT_TRUE(index);
  EXPECT_EQ(ids(*index), "r1 ");
  EXPECT_TRUE(index->deletion_of("a", "r0"));
  write("a", "r2", 2000);
  index->refresh("a", "r2");
  EXPECT_EQ(ids(*index), "r2 r1 ");
}

TEST_F(CatalogueIndexTest, a_deletion_is_explicit_and_remembered_with_its_author) {
  write("a", "r1", 1000);
  write("a", "r2", 2000, "recording");
  {
    CatalogueIndex index = open();
    EXPECT_EQ(index.remove("a", "none", "Ana", {9}).error().code, ErrorCode::not_found);
    EXPECT_EQ(index.remove("..", "a", "Ana", {9}).error().code, ErrorCode::not_found);
    EXPECT_TRUE(index.remove("a", "r1", "Ana \"x\"\n", {9}));
    EXPECT_EQ(index.remove("a", "r1", "Ben", {10}).error().code, ErrorCode::not_found);
    EXPECT_EQ(index.deletion_of("a", "r1"), (Deletion{"a", "r1", "Ana \"x\"\n", 9}));
    EXPECT_EQ(ids(index), "r2 ");
    EXPECT_FALSE(fs::exists(root_ / "a" / "r1"));
  }
  fs::remove(root_ / "catalogue.sqlite");
  EXPECT_EQ(open().deletion_of("a", "r1"), (Deletion{"a", "r1", "Ana \"x\"\n", 9})) << "the index is not what remembers";
}

TEST_F(CatalogueIndexTest, what_was_cut_off_and_cannot_be_repaired_can_be_deleted) {
  write("a", "r1", 1000, "recording");
  CatalogueIndex index = open();
  EXPECT_TRUE(index.remove("a", "r1", "Ana", {9}));
  EXPECT_EQ(ids(index), "");
  EXPECT_EQ(index.deletion_of("a", "r1"), (Deletion{"a", "r1", "Ana", 9}));
}

TEST_F(CatalogueIndexTest, a_deletion_that_a_crash_interrupted_is_completed_if_it_was_said_and_else_never_was) {
  for (const char* id : {"said", "unsaid", "restored"}) write("a", id, 1000);
  fs::rename(root_ / "a" / "said", root_ / "a" / ".deleted-said");
  fs::rename(root_ / "a" / "unsaid", root_ / "a" / ".deleted-unsaid");
  std::ofstream(root_ / "deletions.jsonl") << R"({"atMs":5,"session":"a","recording":"said","by":"Ana"})" << "\n"
                                           << R"({"atMs":6,"session":"a","recording":"restored","by":"Ana"})" << "\n" << R"({"atMs":7,"session":"a","record)";
  {
    CatalogueIndex index = open();
    EXPECT_EQ(ids(index), "unsaid restored ") << "what somebody brought back from elsewhere stays";
    EXPECT_FALSE(fs::exists(root_ / "a" / ".deleted-said"));
    EXPECT_TRUE(index.remove("a", "unsaid", "Ben", {8}));
  }
  fs::remove(root_ / "catalogue.sqlite");
  EXPECT_EQ(open().deletion_of("a", "unsaid"), (Deletion{"a", "unsaid", "Ben", 8})) << "a torn line costs nobody else's";
}

TEST_F(CatalogueIndexTest, a_deletion_that_cannot_be_said_does_not_happen) {
  write("a", "r1", 1000);
  fs::create_directories(root_ / "deletions.jsonl");
  CatalogueIndex index = open();
  EXPECT_EQ(index.remove("a", "r1", "Ana", {9}).error().code, ErrorCode::storage);
  EXPECT_EQ(ids(index), "r1 ");
  EXPECT_TRUE(fs::exists(root_ / "a" / "r1" / "video.webm"));
}

TEST_F(CatalogueIndexTest, a_deletion_takes_the_exports_over_the_whole_session_with_it) {
  write("a", "r1", 1000);
  write("b", "r2", 1000);
  for (const char* session : {"a", "b"}) {
    fs::create_directories(root_ / session / "exports");
    std::ofstream(root_ / session / "exports" / "amphi-export-1.mp4") << "everybody";
  }
  ASSERT_TRUE(open().remove("a", "r1", "Ana", {9}));
  EXPECT_FALSE(fs::exists(root_ / "a" / "exports"));
  EXPECT_TRUE(fs::exists(root_ / "b" / "exports" / "amphi-export-1.mp4")) << "another session's stay";
  // Said, and then the server was killed.
  write("b", "r3", 1000);
  fs::rename(root_ / "b" / "r3", root_ / "b" / ".deleted-r3");
  std::ofstream(root_ / "deletions.jsonl", std::ios::app) << R"({"atMs":5,"session":"b","recording":"r3","by":"Ana"})" << "\n";
  open();
  EXPECT_FALSE(fs::exists(root_ / "b" / "exports"));
}

TEST_F(CatalogueIndexTest, a_deletion_outlives_a_power_cut_from_its_confirmation_on) {
  write("a", "r1", 1000);
  CatalogueIndex index = open();
  const SyncedPaths synced;
  ASSERT_TRUE(index.remove("a", "r1", "Ana", {9}));
  const std::string session = fs::canonical(root_ / "a"), root = fs::canonical(root_);
  // Out of sight before it is said; said in a file whose name holds; gone before it is confirmed.
  const std::vector<std::string> in_order{session, root + "/deletions.jsonl", root, session};
  EXPECT_EQ(synced.of({session, root, root + "/deletions.jsonl"}), in_order);
}

/// While it lives no file of this process grows beyond `bytes`.
class SmallFiles {
 public:
  explicit SmallFiles(std::size_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    handler_ = signal(SIGXFSZ, SIG_IGN);
    const rlimit small{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
  }
  ~SmallFiles() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int) = nullptr;
};

TEST_F(CatalogueIndexTest, a_deletion_that_was_said_half_is_taken_back_and_swallows_no_other) {
  write("a", "r1", 1000);
  write("a", "r2", 1000);
  const std::string line = R"({"atMs":5,"session":"a","recording":"r0","by":")" + std::string(200'000, 'x') + "\"}\n";
  std::ofstream(root_ / "deletions.jsonl") << line;  // larger than what the index writes
  CatalogueIndex index = open();
  {
    const SmallFiles full(line.size() + 20);
    EXPECT_EQ(index.remove("a", "r1", "Ana", {9}).error().code, ErrorCode::storage);
  }
  EXPECT_EQ(fs::file_size(root_ / "deletions.jsonl"), line.size());
  EXPECT_TRUE(fs::exists(root_ / "a" / "r1" / "video.webm"));
  EXPECT_TRUE(index.remove("a", "r2", "Ben", {10}));
  fs::remove(root_ / "catalogue.sqlite");
  const CatalogueIndex again = open();
  EXPECT_EQ(again.deletion_of("a", "r2"), (Deletion{"a", "r2", "Ben", 10}));
  EXPECT_FALSE(again.deletion_of("a", "r1"));
}

TEST_F(CatalogueIndexTest, tells_what_has_ended_before_a_time_and_never_what_runs) {
  write("a", "old", 1000);
  write("a", "new", 9000);
  write("a", "runs", 500, "recording");
  const auto expired = open().ended_before(2001);
  ASSERT_EQ(expired.size(), 1u);
  EXPECT_EQ(expired[0].id, "old");
}

}  // namespace
}  // namespace amphi::server
