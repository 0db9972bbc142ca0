// Much media is complete, and repaired, without being read: its hashes follow, also over a restart.
#include "server/late_hashes.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "runtime/clock.h"
#include "runtime/folder.h"
#include "server/file_ops.h"
#include "server/recording_repair.h"

namespace amphi::server {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPicture = 1'000'000, kPictures = 70;

class LateHashesTest : public ::testing::Test {
 protected:
  LateHashesTest() {
    std::string pattern = (fs::temp_directory_path() / "amphi-hashes-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    folder_ = root_ + "/theatre/rec_1";
    fs::create_directories(folder_);
  }
  ~LateHashesTest() override { fs::remove_all(root_); }

  /// 70 MB of one picture after the other. `stop`: else it is as a crash leaves it.
  void record(bool stop) {
    runtime::FileWriter files(folder_);
    recording::Recorder recorder({RecordingId("rec_1"), SessionId("theatre"), "surgeon", WallTime{1'700'000'000'000}}, start_);
    const auto drain = [&](Time now) {
      while (auto output = recorder.poll_output()) {
        if (const auto* op = std::get_if<recording::FileOp>(&*output)) carry_out(*op, files, recorder, now);
        if (const auto* finished = std::get_if<recording::Finished>(&*output)) {
          EXPECT_FALSE(finished->is_hashed());
        }
      }
    };
    drain(start_);
    recorder.add_feed({FeedId("fd_1"), ParticipantId("par_1"), "surgeon", "camera", {rtp::CodecName::vp8, 90'000, 0, ""}}, start_);
    Bytes picture(kPicture / kPacketsEach + 1);
    rtp::Seq seq = 0;
    for (std::size_t i = 0; i < kPictures; ++i) {
      const Time now = start_ + Duration(1s) * i;
      for (std::size_t n = 0; n < kPacketsEach; ++n) {
        const Bytes payload = part(picture, n == 0);
        rtp::RtpHeader header{n + 1 == kPacketsEach, 96, static_cast<rtp::WireSeq>(seq), static_cast<rtp::WireTimestamp>(i * 90'000), 7};
        recorder.handle_packet(FeedId("fd_1"), seq++, header, payload, now);
        drain(now);
      }
    }
    if (!stop) return;
    recorder.stop(start_ + Duration(1s) * kPictures, WallTime{1'700'000'010'000});
    drain(start_ + Duration(1s) * kPictures);
  }
  nlohmann::json manifest() const { return nlohmann::json::parse(*runtime::read_file(folder_ + "/manifest.json", 1 << 20)); }
  std::string sha() const { return manifest().at("tracks").at(0).at("sha256"); }
  /// False: not within 20 s.
  bool hashed() const {
    for (int i = 0; i < 2000 && sha().empty(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return !sha().empty();
  }
  void expect_right_hash() const {
    const auto text = runtime::read_file(folder_ + "/" + manifest().at("tracks").at(0).at("path").get<std::string>(), std::size_t{1} << 30);
    EXPECT_EQ(sha(), to_hex(sha256(as_bytes(*text))));
  }

  static constexpr std::size_t kPacketsEach = 700;
  /// The bytes of a keyframe's packet (RFC 7741): a descriptor, and in the first the frame's head.
  static Bytes part(const Bytes& picture, bool first) {
    Bytes payload{std::byte{static_cast<unsigned char>(first ? 0x10 : 0x00)}};
    if (first) for (const unsigned char b : {0x90, 0x00, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00, 0x00, 0x00, 0x00, 0x00}) payload.push_back(std::byte{b});
    payload.insert(payload.end(), picture.begin(), picture.end());
    return payload;
  }

  const Time start_ = Time{} + 1h;
  std::string root_, folder_;
  Safe safe_;
};

TEST_F(LateHashesTest, a_large_recording_is_complete_without_them_and_they_follow) {
  record(true);
  EXPECT_EQ(manifest().at("state"), "complete");
  EXPECT_EQ(sha(), "");
  const auto before = repair_recordings(root_, safe_);
  EXPECT_EQ(before.repaired, 0u);
  EXPECT_EQ(before.incomplete, std::vector<std::string>{folder_}) << "a start of the server does not wait for them";
  EXPECT_EQ(sha(), "");
  {
    LateHashes late(safe_);
    late.add(folder_);
    ASSERT_TRUE(hashed());
  }
  expect_right_hash();
  EXPECT_EQ(manifest().at("state"), "complete");
  EXPECT_FALSE(manifest().contains("repaired"));
  EXPECT_TRUE(repair_recordings(root_, safe_).incomplete.empty());
}

TEST_F(LateHashesTest, a_large_recording_that_was_cut_off_is_repaired_without_reading_it_whole) {
  record(false);
  const auto repaired = repair_recordings(root_, safe_);
  EXPECT_EQ(repaired.repaired, 1u);
  EXPECT_EQ(repaired.incomplete, std::vector<std::string>{folder_});
  EXPECT_EQ(manifest().at("state"), "repaired");
  EXPECT_EQ(sha(), "");
  LateHashes late(safe_);
  late.add(folder_);
  ASSERT_TRUE(hashed());
  expect_right_hash();
  EXPECT_EQ(manifest().at("state"), "repaired");
  EXPECT_EQ(manifest().at("repaired").at("times"), 1) << "hashing repairs nothing";
}

TEST_F(LateHashesTest, the_end_of_the_server_does_not_wait_for_them) {
  record(true);
  RepairOptions given_up{recording::Hashes::all, {}, [] { return true; }};
  EXPECT_FALSE(repair_recording(folder_, safe_, given_up));
  EXPECT_EQ(manifest().at("state"), "complete");
  EXPECT_EQ(sha(), "");
}

TEST_F(LateHashesTest, what_the_disk_did_not_let_be_repaired_at_the_start_is_when_it_does) {
  record(false);
  fs::create_directory(folder_ + "/manifest.json.new");  // no manifest can be put there
  const RepairSummary start = repair_recordings(root_, safe_);
  EXPECT_EQ(start.repaired, 0u);
  EXPECT_EQ(start.incomplete, std::vector<std::string>{folder_});
  std::atomic<int> told = 0;
  LateHashes late(safe_, [&](const std::string& folder) { told += folder == folder_ ? 1 : 100; }, 20ms);
  late.add(folder_);
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(told, 0);
  fs::remove(folder_ + "/manifest.json.new");
  for (int i = 0; i < 1000 && told == 0; ++i) std::this_thread::sleep_for(20ms);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(manifest().at("state"), "repaired");
}

}  // namespace
}  // namespace amphi::server
