// A recording that somebody copied into another session's folder is shown to nobody there, encrypted or not, whatever was changed in its journal.
#include "server/recording_place.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/digest.h"
#include "server/export_job.h"
#include "server/recorded_file.h"
#include "server/test_recorded_folder.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

class RecordingPlaceTest : public ::testing::Test {
 protected:
  RecordingPlaceTest() {
    std::string pattern = (fs::temp_directory_path() / "amphi-place-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    std::ofstream(root_ + "/key") << std::string(64, '7');
    safe_ = std::move(*Safe::open("", root_ + "/key"));
    const recording::RecordingInfo info{RecordingId("rec_1"), SessionId("theatre"), "surgeon", WallTime{1'700'000'000'000}};
    folder_ = record_sound(root_, info, safe_.for_new(info));
    copy_ = root_ + "/corridor/rec_1";
    fs::create_directories(root_ + "/corridor");
    fs::copy(folder_, copy_, fs::copy_options::recursive);
    for (const char* session : {"/theatre", "/corridor"}) std::ofstream(root_ + session + "/services.json") << "{}";
    for (const auto& entry : fs::directory_iterator(folder_))
      if (entry.path().extension() == ".webm") name_ = entry.path().filename();
  }
  ~RecordingPlaceTest() override { fs::remove_all(root_); }

  /// Makes the copy's chain anew, with another first line.
  void change_begin(const std::function<void(Json&)>& change) const {
    std::ifstream in(copy_ + "/journal.jsonl");
    std::string line, written;
    Sha256Digest head{};
    while (std::getline(in, line)) {
      Json json = Json::parse(line);
      if (json["event"] == "begin") change(json);
      json["prev"] = to_hex(head);
      line = json.dump();
      head = sha256(as_bytes(line));
      written += line + "\n";
    }
    std::ofstream(copy_ + "/journal.jsonl", std::ios::binary) << written;
  }
  Result<ExportResult> exported(const std::string& folder, const std::string& of_session) const {
    Cancelled cancelled{false};
    ExportOrder order{{folder}, true, {}, of_session, root_ + "/made.mkv"};
    return run_export(order, safe_, cancelled, [](double) {});
  }

  std::string root_, folder_, copy_, name_;
  Safe safe_;
};

TEST_F(RecordingPlaceTest, what_is_where_it_was_recorded_is_shown) {
  SealedFiles files(safe_);
  EXPECT_TRUE(files.check_place(folder_, SessionId("theatre"), RecordingId("rec_1")));
  const auto file = files.open(folder_, name_);
  ASSERT_TRUE(file && *file);
  EXPECT_TRUE((*file)->read(0, (*file)->size()));
  EXPECT_FALSE(is_misplaced(folder_, *recorded_as(folder_)));
  EXPECT_FALSE(is_misplaced(folder_ + "/", *recorded_as(folder_)));
}

TEST_F(RecordingPlaceTest, a_copy_in_another_sessions_folder_is_neither_shown_nor_exported) {
  SealedFiles files(safe_);
  EXPECT_EQ(files.check_place(copy_, SessionId("corridor"), RecordingId("rec_1")).error().code, ErrorCode::forbidden);
  EXPECT_TRUE(is_misplaced(copy_, *recorded_as(copy_)));
  EXPECT_EQ(exported(copy_, "").error().code, ErrorCode::forbidden);
  EXPECT_EQ(exported(copy_, "corridor").error().code, ErrorCode::forbidden);
  fs::rename(folder_, root_ + "/theatre/rec_2");
  EXPECT_EQ(exported(root_ + "/theatre/rec_2", "theatre").error().code, ErrorCode::forbidden) << "of another name than its id";
}

TEST_F(RecordingPlaceTest, a_copy_whose_journal_names_the_other_session_has_no_key) {
  change_begin([](Json& begin) { begin["sessionId"] = "corridor"; });
  SealedFiles files(safe_);
  EXPECT_TRUE(files.check_place(copy_, SessionId("corridor"), RecordingId("rec_1")));
  EXPECT_EQ(files.open(copy_, name_).error().code, ErrorCode::unauthorized);
  EXPECT_EQ(exported(copy_, "corridor").error().code, ErrorCode::unauthorized);
}

TEST_F(RecordingPlaceTest, a_key_that_was_wrapped_before_it_was_bound_is_told_apart) {
  change_begin([](Json& begin) { begin["encryption"].erase("version"); });
  SealedFiles files(safe_);
  const auto opened = files.open(copy_, name_);
  EXPECT_EQ(opened.error().code, ErrorCode::unsupported);
  EXPECT_NE(opened.error().message.find("version 1"), std::string::npos) << opened.error().message;
}

TEST_F(RecordingPlaceTest, a_folder_that_was_moved_elsewhere_may_have_any_name) {
  const std::string moved = root_ + "/moved/evidence 7";
  fs::create_directories(root_ + "/moved");
  fs::rename(folder_, moved);
  EXPECT_FALSE(is_misplaced(moved, *recorded_as(moved)));
  const auto made = exported(moved, "");
  EXPECT_TRUE(made) << made.error().message;
}

}  // namespace
}  // namespace amphi::server
