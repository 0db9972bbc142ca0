#include "server/recording_catalogue.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "server/export_job.h"
#include "server/test_log.h"

namespace amphi::server {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

class RecordingCatalogueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "amphi-catalogue-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }
  void put(const std::string& path, const std::string& content) {
    fs::create_directories(fs::path(root_ + "/" + path).parent_path());
    std::ofstream(root_ + "/" + path) << content;
  }
  void put_manifest(const std::string& id, const std::string& started, int duration_ms, const std::string& state) {
    put("demo/" + id + "/manifest.json", Json{{"version", 1}, {"recordingId", id}, {"sessionId", "demo"}, {"requestedBy", "a"},
                                              {"state", state}, {"startedAt", started}, {"stoppedAt", started},
                                              {"durationMs", duration_ms}, {"tracks", Json::array()}}.dump());
  }
  Json list(const RecordingCatalogue& catalogue, const SessionId& session, std::size_t limit = 100, const std::string& cursor = "") const {
    const auto index = CatalogueIndex::open(root_);
    EXPECT_TRUE(index);
    const auto page = index->list({session.value, "", {}, {}, limit, cursor});
    EXPECT_TRUE(page);
    return Json::parse(catalogue.page_json(session, *page));
  }
  std::string root_;
  const SessionId demo_{"demo"};
};

TEST_F(RecordingCatalogueTest, a_session_that_was_never_recorded_begins_at_nothing) {
  const RecordingCatalogue catalogue(root_);
  EXPECT_EQ(catalogue.restore(demo_).total_ms, 0);
  EXPECT_EQ(catalogue.restore(demo_).revision, 0u);
  EXPECT_TRUE(list(catalogue, demo_)["recordings"].empty());
}

TEST_F(RecordingCatalogueTest, a_large_manifest_counts_like_any_other_and_one_beyond_the_most_is_said_once) {
  put_manifest("rec_1", "2026-01-01T10:00:00.000Z", 1500, "complete");
  put_manifest("rec_2", "2026-01-02T10:00:00.000Z", 1000, "complete");
  put_manifest("rec_3", "2026-01-03T10:00:00.000Z", 100, "complete");
  const auto pad = [&](const std::string& id, std::size_t size) { std::ofstream(root_ + "/demo/" + id + "/manifest.json", std::ios::app) << std::string(size, ' '); };
  pad("rec_2", 18'000'000);
  pad("rec_3", 65 * 1024 * 1024);
  const RecordingCatalogue catalogue(root_);
  const test::LogWatch log;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(catalogue.restore(demo_).total_ms, 2500);
    const Json first = list(catalogue, demo_);  // a page ends behind 4 MiB of manifests
    ASSERT_EQ(first["recordings"].size(), 1u);
    EXPECT_EQ(first["recordings"][0]["id"], "rec_2");
    const Json second = list(catalogue, demo_, 100, first.value("next", ""));
    ASSERT_EQ(second["recordings"].size(), 1u);
    EXPECT_EQ(second["recordings"][0]["id"], "rec_1");
  }
  EXPECT_EQ(log.count("demo/rec_3 is left out"), 1u);
  EXPECT_EQ(log.count("is left out"), 1u);
}

TEST_F(RecordingCatalogueTest, totals_count_every_recording_also_one_that_a_crash_interrupted) {
  put_manifest("rec_1", "2026-01-01T10:00:00.000Z", 1500, "complete");
  put_manifest("rec_3", "2026-01-03T10:00:00.000Z", 250, "recording");
  put_manifest("rec_2", "2026-01-02T10:00:00.000Z", 1000, "failed");
  put("demo/rec_4/manifest.json", "{ broken");
  put("demo/rec_5/video.webm", "no manifest yet");
  const RecordingCatalogue catalogue(root_);
  const auto restored = catalogue.restore(demo_);
  EXPECT_EQ(restored.total_ms, 2750);
  EXPECT_EQ(restored.last_recording_id, "rec_3");
  const Json listed = this->list(catalogue, demo_);
  ASSERT_EQ(listed["recordings"].size(), 3u);
  EXPECT_EQ(listed["recordings"][0]["id"], "rec_3");
  EXPECT_EQ(listed["recordings"][2]["id"], "rec_1");
}

TEST_F(RecordingCatalogueTest, one_that_was_cut_off_and_could_not_be_repaired_lasts_as_long_as_its_journal_goes) {
  put_manifest("rec_1", "2026-01-01T10:00:00.000Z", 250, "recording");
  put("demo/rec_1/journal.jsonl", "{\"event\":\"begin\",\"ms\":0}\n{\"event\":\"alive\",\"ms\":1200000}\n{\"event\":\"alive\",\"ms\":12010");
  ASSERT_TRUE(store_session(root_ + "/demo", {70, RecordingId("rec_1"), "ana"}));
  const RecordingCatalogue catalogue(root_);
  EXPECT_EQ(catalogue.restore(demo_).total_ms, 1'200'000);
  EXPECT_EQ(catalogue.interrupted().at(demo_).cut_at_ms, 1'767'261'600'000 + 1'200'000);
  put("demo/rec_1/journal.jsonl", "torn");
  EXPECT_EQ(catalogue.restore(demo_).total_ms, 250);
}

TEST_F(RecordingCatalogueTest, one_that_somebody_copied_from_another_session_is_neither_listed_nor_counted) {
  const test::LogWatch log;
  put_manifest("rec_1", "2026-01-01T10:00:00.000Z", 1500, "complete");
  fs::create_directories(root_ + "/other");
  fs::copy(root_ + "/demo/rec_1", root_ + "/other/rec_1");
  fs::copy(root_ + "/demo/rec_1", root_ + "/demo/rec_2");
  const RecordingCatalogue catalogue(root_);
  EXPECT_EQ(catalogue.restore(SessionId("other")).total_ms, 0);
  EXPECT_TRUE(list(catalogue, SessionId("other"))["recordings"].empty());
  EXPECT_EQ(catalogue.restore(demo_).total_ms, 1500) << "nor twice";
  EXPECT_EQ(log.count("is left out"), 2u);
}

TEST_F(RecordingCatalogueTest, is_listed_in_pages_that_end_early_where_manifests_are_large) {
  for (int i = 10; i < 30; ++i) put_manifest("rec_" + std::to_string(i), "2026-01-" + std::to_string(i) + "T10:00:00.000Z", 100, "complete");
  std::ofstream(root_ + "/demo/rec_25/manifest.json", std::ios::app) << std::string(5'000'000, ' ');
  const RecordingCatalogue catalogue(root_);
  std::string cursor, seen;
  std::vector<std::size_t> sizes;
  do {
    const Json page = list(catalogue, demo_, 7, cursor);
    for (const auto& entry : page["recordings"]) seen += entry["id"].get<std::string>().substr(4) + " ";
    sizes.push_back(page["recordings"].size());
    cursor = page.value("next", "");
  } while (!cursor.empty());
  EXPECT_EQ(seen, "29 28 27 26 25 24 23 22 21 20 19 18 17 16 15 14 13 12 11 10 ");
  EXPECT_EQ(sizes, (std::vector<std::size_t>{5, 7, 7, 1}));
}

TEST_F(RecordingCatalogueTest, a_session_s_own_file_is_taken_for_no_recording) {
  put_manifest("rec_1", "2026-01-01T10:00:00.000Z", 1500, "complete");
  ASSERT_TRUE(store_session(root_ + "/demo", {70, {}, {}}));
  const test::LogWatch log;
  const RecordingCatalogue catalogue(root_);
  EXPECT_EQ(catalogue.restore(demo_).total_ms, 1500);
  EXPECT_EQ(list(catalogue, demo_)["recordings"].size(), 1u);
  EXPECT_TRUE(finished_recordings(root_ + "/demo"));
  EXPECT_EQ(log.count("cannot be read"), 0u);
}

TEST_F(RecordingCatalogueTest, behind_a_symbolic_link_is_neither_listed_nor_counted_nor_served) {
  put("elsewhere/rec_1/track.webm", "x");
  put_manifest("rec_1", "2026-01-01T10:00:00.000Z", 1500, "complete");
  put("demo/rec_1/track.webm", "x");
  fs::rename(root_ + "/demo/rec_1", root_ + "/elsewhere/rec_9");
  fs::create_directory_symlink(root_ + "/elsewhere/rec_9", root_ + "/demo/rec_1");
  fs::create_directory_symlink(root_ + "/demo", root_ + "/linked");
  const RecordingCatalogue catalogue(root_);
  EXPECT_EQ(catalogue.restore(demo_).total_ms, 0);
  EXPECT_TRUE(list(catalogue, demo_)["recordings"].empty());
  EXPECT_FALSE(catalogue.file_path(demo_, "rec_1", "track.webm"));
  EXPECT_FALSE(catalogue.file_path(demo_, "rec_1", "manifest.json"));
  fs::remove(root_ + "/demo/rec_1");
  fs::rename(root_ + "/elsewhere/rec_9", root_ + "/demo/rec_1");
  EXPECT_EQ(catalogue.restore(demo_).total_ms, 1500);
  EXPECT_TRUE(catalogue.file_path(demo_, "rec_1", "track.webm"));
  EXPECT_FALSE(catalogue.file_path(SessionId("linked"), "rec_1", "track.webm"));
  fs::rename(root_ + "/demo/rec_1/manifest.json", root_ + "/manifest.json");
  fs::create_symlink(root_ + "/manifest.json", root_ + "/demo/rec_1/manifest.json");
  EXPECT_EQ(catalogue.restore(demo_).total_ms, 0);
  EXPECT_FALSE(finished_recordings(root_ + "/demo"));
}

TEST_F(RecordingCatalogueTest, one_that_is_being_deleted_is_neither_listed_nor_counted) {
  put_manifest("rec_1", "2026-01-01T10:00:00.000Z", 1500, "complete");
  put_manifest(".deleted-rec_2", "2026-01-02T10:00:00.000Z", 1000, "complete");
  const RecordingCatalogue catalogue(root_);
  EXPECT_EQ(catalogue.restore(demo_).total_ms, 1500);
  EXPECT_EQ(catalogue.restore(demo_).last_recording_id, "rec_1");
  const auto exported = finished_recordings(root_ + "/demo");
  ASSERT_TRUE(exported);
  EXPECT_EQ(*exported, std::vector<std::string>{root_ + "/demo/rec_1"});
  EXPECT_EQ(list(catalogue, demo_)["recordings"].size(), 1u);
}

TEST_F(RecordingCatalogueTest, what_is_forgotten_late_leaves_what_is_recorded_by_now) {
  put_manifest("rec_1", "2026-01-01T10:00:00.000Z", 1500, "failed");
  put_manifest("rec_2", "2026-01-01T10:01:00.000Z", 1500, "recording");
  const RecordingCatalogue catalogue(root_);
  ASSERT_TRUE(store_session(root_ + "/demo", {70, RecordingId("rec_1"), "ana"}));
  ASSERT_TRUE(store_session(root_ + "/demo", {90, RecordingId("rec_2"), "ben"}));
  EXPECT_TRUE(forget_recording(root_ + "/demo", RecordingId("rec_1")));
  EXPECT_EQ(catalogue.interrupted().at(demo_).recording, RecordingId("rec_2"));
  EXPECT_TRUE(forget_recording(root_ + "/demo", RecordingId("rec_2")));
  EXPECT_TRUE(catalogue.interrupted().empty());
  EXPECT_EQ(catalogue.restore(demo_).revision, 90u);
  EXPECT_TRUE(forget_recording(root_ + "/nobody", RecordingId("rec_2"))) << "nothing to forget";
}

TEST_F(RecordingCatalogueTest, the_revision_goes_on_from_what_was_stored) {
  fs::create_directories(root_ + "/demo");
  ASSERT_TRUE(store_session(root_ + "/demo", {1234, {}, {}}));
  EXPECT_EQ(RecordingCatalogue(root_).restore(demo_).revision, 1234u);
  put("demo/services.json", "{\"revision\":-4}");
  EXPECT_EQ(RecordingCatalogue(root_).restore(demo_).revision, 0u);
}

TEST_F(RecordingCatalogueTest, a_further_name_of_a_file_from_elsewhere_is_not_served_and_a_backup_s_hard_links_do_no_harm) {
  put_manifest("rec_1", "2026-01-01T10:00:00.000Z", 1500, "complete");
  put("demo/rec_1/own.webm", "x");
  put("secret", "x");
  fs::create_hard_link(root_ + "/secret", root_ + "/demo/rec_1/hard.mp4");
  fs::create_hard_link(root_ + "/demo/rec_1/manifest.json", root_ + "/backup.json");
  const RecordingCatalogue catalogue(root_);
  EXPECT_FALSE(catalogue.file_path(demo_, "rec_1", "hard.mp4"));
  EXPECT_TRUE(catalogue.file_path(demo_, "rec_1", "own.webm"));
  EXPECT_TRUE(catalogue.file_path(demo_, "rec_1", "manifest.json"));
  fs::remove(root_ + "/secret");
  EXPECT_TRUE(catalogue.file_path(demo_, "rec_1", "hard.mp4")) << "it has no other name any more";
}

TEST_F(RecordingCatalogueTest, only_plain_files_of_the_session_have_a_path) {
  put("demo/rec_1/track.webm", "x");
  put("secret.txt", "x");
  fs::create_symlink(root_ + "/secret.txt", root_ + "/demo/rec_1/link.webm");
  const RecordingCatalogue catalogue(root_);
  EXPECT_TRUE(catalogue.file_path(demo_, "rec_1", "track.webm"));
  for (const auto& [recording, file] : std::vector<std::pair<std::string, std::string>>{
           {"rec_1", "none.webm"}, {"rec_1", "link.webm"}, {"rec_1", "../../secret.txt"}, {"..", "secret.txt"}, {"rec_1", ""},
           {".", "rec_1"}, {"rec_1", ".."}})
    EXPECT_FALSE(catalogue.file_path(demo_, recording, file)) << recording << " " << file;
}

}  // namespace
}  // namespace amphi::server
