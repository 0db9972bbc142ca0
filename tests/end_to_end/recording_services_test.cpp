// What people see of a recording besides on and off: the pre-roll that it begins with, markers, and whether media reaches the disk.
#include <gtest/gtest.h>

#include "recorded_files.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

std::filesystem::path folder_of(const ServerProcess& server, const SessionProbe& probe) {
  return server.recordings() / "theatre" / probe.session->sessionRecordingState().recordingId;
}

TEST(PreRoll, a_recording_begins_that_far_before_it_was_asked_for_and_says_so) {
  constexpr std::int64_t kPreRollMs = 4000;
  ServerProcess server({"--recording-pre-roll-seconds", "4"});
  SessionProbe publisher(server.session_url("theatre"), server.token("theatre", "surgeon"));
  ASSERT_TRUE(publisher.connect()) << server.log();
  EXPECT_EQ(publisher->sessionRecordingState().preRollMs, kPreRollMs) << "everybody can see that a pre-roll is kept";
  const auto vp8 = publisher->addOutgoingVideoFeed("vp8", numbered(VideoCodec::vp8));
  const auto h264 = publisher->addOutgoingVideoFeed("h264", numbered(VideoCodec::h264));
  const auto audio = publisher->setOutgoingAudioFeed("tone", AudioInputComponentTone{});
  ASSERT_TRUE(publisher.wait([&] { return vp8->statistics().frames > 6 * kFramesPerSecond && h264->statistics().frames > 6 * kFramesPerSecond; }, 30s));
  const std::uint64_t sent = vp8->statistics().frames;
  ASSERT_TRUE(publisher->requestSessionRecording(true));
  ASSERT_TRUE(publisher.wait_recording(true)) << server.log();
  EXPECT_GE(publisher->sessionRecordingState().totalRunningDurationMs(), kPreRollMs - 100) << "the duration counts what was before";
  ASSERT_TRUE(publisher.wait([&] { return publisher->sessionRecordingState().totalRunningDurationMs() > kPreRollMs + 2000; }));
  ASSERT_TRUE(publisher->requestSessionRecording(false));
  ASSERT_TRUE(publisher.wait_recording(false));
  const auto folder = folder_of(server, publisher);
  const auto manifest = read_manifest(folder);
  EXPECT_NEAR(manifest.at("preRollMs").get<double>(), kPreRollMs, 100);
  EXPECT_GE(manifest.at("durationMs").get<double>(), kPreRollMs + 1900);
  EXPECT_NEAR(manifest.at("durationMs").get<double>(), static_cast<double>(publisher->sessionRecordingState().totalRunningDurationMs()), 50);
  ASSERT_EQ(manifest.at("tracks").size(), 3u);
  for (const auto& track : manifest.at("tracks")) {
    SCOPED_TRACE(track.dump());
    EXPECT_LE(track.at("offsetMs").get<double>(), track.at("kind") == "video" ? 2500 : 200) << "pictures begin with the next keyframe, at most 2 s on";
    if (track.at("label") != "vp8") continue;
    const Decoded decoded = decode_numbers(folder / track.at("path").get<std::string>());
    EXPECT_EQ(decoded.complaints, "");
    ASSERT_FALSE(decoded.numbers.empty());
    ASSERT_TRUE(decoded.numbers.front());
    EXPECT_LE(*decoded.numbers.front() + kFramesPerSecond, sent) << "pictures of before the request";
    for (std::size_t i = 1; i < decoded.numbers.size(); ++i) ASSERT_EQ(*decoded.numbers[i], *decoded.numbers[i - 1] + 1);
  }
  expect_sound(folder);

  // The next one begins where this one ended, at most: nothing is recorded twice.
  ASSERT_TRUE(publisher->requestSessionRecording(true));
  ASSERT_TRUE(publisher.wait_recording(true));
  EXPECT_LT(publisher->sessionRecordingState().totalRunningDurationMs(), 2 * kPreRollMs + 2000 + 1500);
  EXPECT_EQ(server.stop(), 0) << server.log();
  expect_sound(folder_of(server, publisher));
}

TEST(Markers, are_told_to_everybody_and_kept_in_the_manifest) {
  ServerProcess server;
  SessionProbe surgeon(server.session_url("theatre"), server.token("theatre", "surgeon"));
  SessionProbe student(server.session_url("theatre"), server.token("theatre", "student", "subscribe"));
  std::mutex mutex;
  std::vector<MediaServerSession::RecordingMarker> told;
  student->onRecordingMarkerAdded([&](const auto&, const auto& marker) {
    const std::lock_guard lock(mutex);
    told.push_back(marker);
  });
  ASSERT_TRUE(surgeon.connect());
  ASSERT_TRUE(student.connect());
  const auto feed = surgeon->addOutgoingVideoFeed("scope", numbered(VideoCodec::h264));
  ASSERT_TRUE(surgeon.wait([&] { return feed->statistics().frames > 0; }));
  EXPECT_FALSE(surgeon->addRecordingMarker("nothing runs"));
  ASSERT_TRUE(surgeon->requestSessionRecording(true));
  ASSERT_TRUE(surgeon.wait_recording(true));
  ASSERT_TRUE(student.wait_recording(true));
  EXPECT_FALSE(student->addRecordingMarker("may not"));
  EXPECT_FALSE(surgeon->addRecordingMarker("a\nb"));
  ASSERT_TRUE(surgeon.wait([&] { return surgeon->sessionRecordingState().totalRunningDurationMs() > 1000; }));
  EXPECT_TRUE(surgeon->addRecordingMarker("Schnitt, \xC3\xA4u\xC3\x9F" "erst; =#\\ 'vorsichtig'"));
  EXPECT_TRUE(surgeon->addRecordingMarker("Naht"));
  ASSERT_TRUE(student.wait([&] {
    const std::lock_guard lock(mutex);
    return told.size() == 2;
  })) << server.log();
  ASSERT_TRUE(surgeon->requestSessionRecording(false));
  ASSERT_TRUE(surgeon.wait_recording(false));
  const auto markers = read_manifest(folder_of(server, surgeon)).at("markers");
  ASSERT_EQ(markers.size(), 2u);
  const std::lock_guard lock(mutex);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(markers[i].at("label"), told[i].label);
    EXPECT_EQ(markers[i].at("by"), "surgeon");
    EXPECT_NEAR(markers[i].at("atMs").get<double>(), static_cast<double>(told[i].atMs), 1);
    EXPECT_GE(told[i].atMs, 900);
  }
  expect_sound(folder_of(server, surgeon));
}

TEST(Waiting, a_recording_of_nobody_is_on_and_says_that_it_waits) {
  ServerProcess server;
  SessionProbe surgeon(server.session_url("theatre"), server.token("theatre", "surgeon"));
  ASSERT_TRUE(surgeon.connect());
  ASSERT_TRUE(surgeon->requestSessionRecording(true));
  ASSERT_TRUE(surgeon.wait_recording(true));
  EXPECT_TRUE(surgeon->sessionRecordingState().waitingForMedia);
  const auto feed = surgeon->addOutgoingVideoFeed("scope", numbered(VideoCodec::vp8));
  EXPECT_TRUE(surgeon.wait([&] { return !surgeon->sessionRecordingState().waitingForMedia; })) << server.log();
  feed->stop();
  EXPECT_TRUE(surgeon.wait([&] { return surgeon->sessionRecordingState().waitingForMedia; })) << "nothing comes any more";
  EXPECT_TRUE(surgeon->sessionRecordingState().on);
}

}  // namespace
}  // namespace amphi::end_to_end
