// The retention on a real server and real files, whose times are set as a wrong or right clock would have left them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <ctime>
#include <fstream>
#include <thread>

#include "raw_client.h"
#include "recorded_files.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::string utc(std::time_t at) {
  char text[40] = {};
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.000Z", std::gmtime(&at));
  return text;
}

class RetentionOfFiles : public ::testing::Test {
 protected:
  /// `count` finished recordings.
  void record(int count) {
    SessionProbe surgeon(server_.session_url("theatre"), server_.token("theatre", "surgeon"));
    ASSERT_TRUE(surgeon.connect());
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(surgeon->requestSessionRecording(true));
      ASSERT_TRUE(surgeon.wait_recording(true));
      ASSERT_TRUE(surgeon->requestSessionRecording(false));
      ASSERT_TRUE(surgeon.wait_recording(false));
      folders_.push_back(server_.recordings() / "theatre" / surgeon->sessionRecordingState().recordingId);
    }
    server_.stop();
  }
  /// As if it had been made at that time: manifest, journal and the files' own times.
  static void set_times(const fs::path& folder, std::time_t at) {
    Json manifest = read_manifest(folder);
    manifest["startedAt"] = manifest["stoppedAt"] = utc(at);
    std::ofstream(folder / "manifest.json") << manifest.dump();
    std::ifstream in(folder / "journal.jsonl");
    std::string journal((std::istreambuf_iterator<char>(in)), {});
    const auto started = journal.find("\"startedAt\":\"") + 13;
    journal.replace(started, journal.find('"', started) - started, utc(at));
    std::ofstream(folder / "journal.jsonl") << journal;
    for (const auto& file : fs::directory_iterator(folder)) {
      const timespec times[2] = {{at, 0}, {at, 0}};
      ASSERT_EQ(utimensat(AT_FDCWD, file.path().c_str(), times, 0), 0);
    }
  }
  /// One more life of the server, long enough for its look at all recordings.
  void live() {
    const auto before = server_.log().size();
    const fs::path state = server_.recordings() / "retention.json";
    const auto stamp = [&] { std::error_code error; return fs::last_write_time(state, error); };
    const auto first = stamp();
    server_.start_again();
    for (int i = 0; i < 500 && stamp() == first; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    server_.stop();
    log_ = server_.log().substr(before);
  }
  std::string name(std::size_t i) const { return "theatre/" + folders_[i].filename().string(); }

  static constexpr std::time_t kDay = 24 * 3600;
  const std::time_t now_ = std::time(nullptr);
  ServerProcess server_{{"--recording-retention-days", "30"}};
  std::vector<fs::path> folders_;
  std::string log_;
};

TEST_F(RetentionOfFiles, marks_in_one_start_deletes_in_the_next_and_says_both) {
  ASSERT_NO_FATAL_FAILURE(record(3));
  set_times(folders_[0], now_ - 40 * kDay);
  set_times(folders_[1], now_ - 50 * kDay);
  live();
  EXPECT_TRUE(fs::exists(folders_[0]) && fs::exists(folders_[1])) << log_;
  for (const std::size_t i : {0, 1}) EXPECT_NE(log_.find("recording " + name(i) + " is marked at "), std::string::npos) << log_;
  EXPECT_EQ(log_.find(name(2)), std::string::npos);
  live();
  EXPECT_TRUE(fs::exists(folders_[0])) << "one in a run";
  EXPECT_FALSE(fs::exists(folders_[1])) << "the oldest first: " << log_;
  EXPECT_NE(log_.find("deleted: "), std::string::npos);
  live();
  EXPECT_TRUE(fs::exists(folders_[0])) << "one in a day of uptime, however often the server starts: " << log_;
  EXPECT_TRUE(fs::exists(folders_[2]));
  std::ifstream deletions(server_.recordings() / "deletions.jsonl");
  std::string line;
  ASSERT_TRUE(std::getline(deletions, line));
  EXPECT_EQ(Json::parse(line).at("by"), "retention of 30 days");
}

TEST_F(RetentionOfFiles, keeps_everything_whose_time_or_clock_is_wrong_however_often_the_server_starts) {
  ASSERT_NO_FATAL_FAILURE(record(4));
  set_times(folders_[0], 365 * kDay);                // made in 1971
  Json manifest = read_manifest(folders_[1]);        // its manifest alone is old
  manifest["startedAt"] = manifest["stoppedAt"] = "2025-01-01T00:00:00.000Z";
  std::ofstream(folders_[1] / "manifest.json") << manifest.dump();
  set_times(folders_[2], now_ - 40 * kDay);
  for (int i = 0; i < 3; ++i) {
    set_times(folders_[3], now_ + 3650 * kDay);      // made ten years ahead: by it, the clock of now is wrong
    live();
    EXPECT_NE(log_.find("retention: paused"), std::string::npos) << log_;
  }
  for (const auto& folder : folders_) EXPECT_TRUE(fs::exists(folder));
  fs::remove_all(folders_[3]);
  for (int i = 0; i < 3; ++i) live();
  EXPECT_TRUE(fs::exists(folders_[0]) && fs::exists(folders_[1])) << log_;
  EXPECT_FALSE(fs::exists(folders_[2])) << "the clock agrees again: " << log_;
}

}  // namespace
}  // namespace amphi::end_to_end
