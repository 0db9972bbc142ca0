// Proof 4: a recording is what was sent. Frames that carry their number are published by the SDK, recorded by the server, and
// counted and identified in the recorded files, with no packet loss and with 5 %.
#include <gtest/gtest.h>

#include <map>

#include "faults.h"
#include "recorded_files.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

constexpr int kWidth = 640, kHeight = 360;
constexpr std::uint64_t kOnTheWay = 12;  // frames between the encoder, where they are numbered, and the file, at half a second

/// How many frames a feed had sent at four moments; what is recorded must lie between them.
struct Sent {
  std::uint64_t before_start = 0, after_start = 0, before_stop = 0, after_stop = 0;
};

struct Recorded {
  nlohmann::json manifest;
  std::map<std::string, Sent> sent;  // by the feed's label
  std::filesystem::path folder;
  std::int64_t total_ms = 0;
};

Recorded record(ServerProcess& server, SessionProbe& publisher, const std::vector<std::shared_ptr<OutgoingVideoFeed>>& feeds,
                std::chrono::milliseconds length) {
  Recorded recorded;
  const auto note = [&](std::uint64_t Sent::* moment) {
    for (const auto& feed : feeds) recorded.sent[feed->label()].*moment = feed->statistics().frames;
  };
  note(&Sent::before_start);
  EXPECT_TRUE(publisher->requestSessionRecording(true));
  EXPECT_TRUE(publisher->sessionRecordingState().updatePending);
  EXPECT_FALSE(publisher->sessionRecordingState().on) << "asked for is not confirmed";
  EXPECT_TRUE(publisher.wait_recording(true));
  note(&Sent::after_start);
  publisher.wait([&] { return publisher->sessionRecordingState().totalRunningDurationMs() >= length.count(); }, length + 5s);
  note(&Sent::before_stop);
  EXPECT_TRUE(publisher->requestSessionRecording(false));
  EXPECT_TRUE(publisher.wait_recording(false));
  note(&Sent::after_stop);
  const auto state = publisher->sessionRecordingState();
  recorded.total_ms = state.totalRunningDurationMs();
  recorded.folder = server.recordings() / "theatre" / state.recordingId;
  recorded.manifest = read_manifest(recorded.folder);
  return recorded;
}

/// The numbers must follow one another; what is missing must lie in a gap that the manifest lists.
void expect_complete(const Recorded& recorded, const nlohmann::json& track, std::size_t allowed_missing) {
  SCOPED_TRACE(track.dump());
  const auto file = recorded.folder / track.at("path").get<std::string>();
  const Decoded decoded = decode_numbers(file, kWidth, kHeight);
  EXPECT_EQ(decoded.complaints, "");
  ASSERT_GT(decoded.numbers.size(), 50u);
  EXPECT_EQ(decoded.numbers.size(), track.at("frames").get<std::size_t>()) << "the manifest counts the frames that are there";
  std::size_t missing = 0;
  for (std::size_t i = 0; i < decoded.numbers.size(); ++i) {
    ASSERT_TRUE(decoded.numbers[i]) << "frame " << i << " has no readable number";
    if (i == 0) continue;
    ASSERT_GT(*decoded.numbers[i], *decoded.numbers[i - 1]) << "frame " << i << " is out of order or double";
    missing += *decoded.numbers[i] - *decoded.numbers[i - 1] - 1;
  }
  EXPECT_LE(missing, allowed_missing);
  if (missing > 0) {
    EXPECT_FALSE(track.at("gaps").empty()) << missing << " frames are missing and no gap is listed";
  }
  EXPECT_NEAR(probe_duration(file) * 1000 + track.at("offsetMs").get<double>(), static_cast<double>(recorded.total_ms), 250);
  // From the first frame after the request (or the keyframe that was asked for) to the last before the stop.
  const Sent& sent = recorded.sent.at(track.at("label"));
  EXPECT_GE(*decoded.numbers.front() + kOnTheWay, sent.before_start);
  // Frames that are on their way when the keyframe is requested cannot be recorded. The manifest counts their packets.
  // If the requested keyframe is lost, another one is requested.
  const auto before_keyframe = track.at("dropped").value("frame_before_keyframe", std::uint64_t{0});
  EXPECT_LE(before_keyframe, kOnTheWay + allowed_missing);
  EXPECT_LE(*decoded.numbers.front(), sent.after_start + kOnTheWay + allowed_missing);
  EXPECT_GE(*decoded.numbers.back() + kOnTheWay, sent.before_stop);
  EXPECT_LE(*decoded.numbers.back(), sent.after_stop + kOnTheWay);
}

struct Row {
  const char* name;
  int loss_percent;
  std::size_t allowed_missing;
};

class RecordingTruth : public ::testing::TestWithParam<Row> {};

TEST_P(RecordingTruth, every_frame_that_was_sent_is_in_the_file_under_its_number) {
  ServerProcess server;
  SessionProbe publisher(server.session_url("theatre"), server.token("theatre", "surgeon"));
  ASSERT_TRUE(publisher.connect()) << server.log();
  auto vp8 = publisher->addOutgoingVideoFeed("vp8", numbered(VideoCodec::vp8, kWidth, kHeight));
  auto h264 = publisher->addOutgoingVideoFeed("h264", numbered(VideoCodec::h264, kWidth, kHeight));
  auto audio = publisher->setOutgoingAudioFeed("tone", AudioInputComponentTone{});
  ASSERT_TRUE(publisher.wait([&] { return vp8->statistics().frames > 10 && h264->statistics().frames > 10 && audio->statistics().packets > 10; }))
      << server.log();
  std::optional<UdpLoss> loss;
  if (GetParam().loss_percent > 0) loss.emplace(GetParam().loss_percent);
  const Recorded recorded = record(server, publisher, {vp8, h264}, 6s);
  loss.reset();

  std::size_t videos = 0, audios = 0;
  for (const auto& track : recorded.manifest.at("tracks")) {
    if (track.at("kind") == "audio") {
      ++audios;
      EXPECT_NEAR(track.at("durationMs").get<double>() + track.at("offsetMs").get<double>(), static_cast<double>(recorded.total_ms), 250);
      continue;
    }
    ++videos;
    expect_complete(recorded, track, GetParam().allowed_missing);
  }
  EXPECT_EQ(videos, 2u);
  EXPECT_EQ(audios, 1u);
  EXPECT_EQ(server.stop(), 0) << server.log();
}

// With loss, retransmission brings nearly all back; a keyframe's wait is allowed to cost a second's frames, listed as a gap.
INSTANTIATE_TEST_SUITE_P(Loss, RecordingTruth, ::testing::Values(Row{"none", 0, 0}, Row{"five_percent", 5, kFramesPerSecond}),
                         [](const auto& row) { return row.param.name; });

TEST(Recording, is_finalised_when_the_server_is_told_to_end) {
  ServerProcess server;
  SessionProbe publisher(server.session_url("theatre"), server.token("theatre", "surgeon"));
  ASSERT_TRUE(publisher.connect());
  auto feed = publisher->addOutgoingVideoFeed("camera", numbered(VideoCodec::vp8, kWidth, kHeight));
  ASSERT_TRUE(publisher.wait([&] { return feed->statistics().frames > 10; }));
  ASSERT_TRUE(publisher->requestSessionRecording(true));
  ASSERT_TRUE(publisher.wait_recording(true));
  ASSERT_TRUE(publisher.wait([&] { return publisher->sessionRecordingState().totalRunningDurationMs() > 2000; }));
  const auto folder = server.recordings() / "theatre" / publisher->sessionRecordingState().recordingId;
  EXPECT_EQ(server.stop(), 0) << server.log();
  const auto manifest = read_manifest(folder);
  EXPECT_EQ(manifest.at("state"), "complete");
  ASSERT_EQ(manifest.at("tracks").size(), 1u);
  EXPECT_GT(probe_duration(folder / manifest.at("tracks")[0].at("path").get<std::string>()), 1.8);
}

}  // namespace
}  // namespace amphi::end_to_end
