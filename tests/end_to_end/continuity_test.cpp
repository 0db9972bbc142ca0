// A recording goes on: over a restart of its server, over a publisher that drops out and comes back, and in one file a feed.
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <iostream>

#include "faults.h"
#include "raw_client.h"
#include "recorded_files.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

/// Two feeds and a voice of one person, watched by another.
struct Theatre {
  Theatre() : surgeon(server.session_url("theatre"), server.token("theatre", "surgeon")),
              student(server.session_url("theatre"), server.token("theatre", "student", "subscribe")) {}

  void start() {
    ASSERT_TRUE(surgeon.connect()) << server.log();
    ASSERT_TRUE(student.connect()) << server.log();
    id = surgeon->participantId();
    wide = surgeon->addOutgoingVideoFeed("wide", numbered(VideoCodec::vp8));
    scope = surgeon->addOutgoingVideoFeed("scope", numbered(VideoCodec::h264));
    voice = surgeon->setOutgoingAudioFeed("voice", AudioInputComponentTone{});
    ASSERT_TRUE(student_sees());
    ASSERT_TRUE(surgeon->requestSessionRecording(true));
    ASSERT_TRUE(surgeon.wait_recording(true)) << server.log();
    ASSERT_TRUE(student.wait_recording(true));
    ASSERT_TRUE(runs_on(1500));
  }
  bool runs_on(std::int64_t ms) {
    const std::int64_t from = surgeon->sessionRecordingState().totalRunningDurationMs();
    return surgeon.wait([&] { return surgeon->sessionRecordingState().totalRunningDurationMs() >= from + ms; });
  }
  /// The student is told of the three feeds and sees the two pictures.
  bool student_sees() {
    if (!student.wait([&] { return student.happened().feeds.size() == 3; }, 15s)) return false;
    seen.clear();
    for (const FeedInfo& feed : student.happened().feeds)
      if (feed.kind == FeedKind::video) seen.push_back(student->subscribeVideoFeed(feed.id, VideoOutputComponentNull{}));
    return seen.size() == 2 && student.wait([&] { return seen[0]->statistics().frames > 10 && seen[1]->statistics().frames > 10; }, 15s);
  }
  std::string recording() { return surgeon->sessionRecordingState().recordingId; }
  std::filesystem::path folder(const std::string& recording) const { return server.recordings() / "theatre" / recording; }

  ServerProcess server;
  SessionProbe surgeon, student;
  std::string id;
  std::shared_ptr<OutgoingVideoFeed> wide, scope;
  std::shared_ptr<OutgoingAudioFeed> voice;
  std::vector<std::shared_ptr<IncomingVideoFeed>> seen;
};

class Restart : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Ends, Restart, ::testing::Values(true, false), [](const auto& how) { return how.param ? "killed" : "told_to_end"; });

TEST_P(Restart, brings_everybody_back_and_is_recorded_on_without_anybody_asking) {
  Theatre theatre;
  theatre.start();
  ASSERT_FALSE(::testing::Test::HasFatalFailure());
  SessionProbe &surgeon = theatre.surgeon, &student = theatre.student;
  const std::string first = theatre.recording();
  const auto feeds_before = student.happened().feeds;
  const std::int64_t shown = student->sessionRecordingState().totalRunningDurationMs();

  if (GetParam()) theatre.server.kill_now();
  else EXPECT_EQ(theatre.server.stop(), 0);
  ASSERT_TRUE(surgeon.wait([&] { return surgeon.happened().services_disconnected == 1; }));
  theatre.server.start_again();

  for (SessionProbe* probe : {&surgeon, &student}) {
    ASSERT_TRUE(probe->wait([&] { return probe->happened().services_connected == 2; }, 20s)) << theatre.server.log();
    ASSERT_TRUE(probe->wait([&] { return (*probe)->sessionRecordingState().on && (*probe)->sessionRecordingState().recordingId != first; })) << theatre.server.log();
    EXPECT_EQ(probe->happened().disconnected, 0);
    EXPECT_EQ(probe->happened().connected, 1) << "the same session, as far as the application goes";
    // A kill may cost the last second: the repaired total replaces what was shown.
    EXPECT_GE((*probe)->sessionRecordingState().totalRunningDurationMs(), GetParam() ? shown - 1000 : shown) << "the duration carries on";
    EXPECT_EQ((*probe)->sessionRecordingState().changedBy, "surgeon");
    EXPECT_FALSE((*probe)->sessionRecordingState().updatePending);
  }
  EXPECT_EQ(surgeon->participantId(), theatre.id) << "the same participant, too";
  ASSERT_TRUE(theatre.student_sees()) << "pictures flow again by themselves; told of " << student.happened().feeds.size() << " feeds, sent " << theatre.wide->statistics().frames << ", "
                                       << static_cast<int>(theatre.wide->state()) << "\n" << theatre.server.log();
  for (const FeedInfo& feed : student.happened().feeds) {
    const bool known = std::any_of(feeds_before.begin(), feeds_before.end(), [&](const FeedInfo& before) { return before.id == feed.id && before.label == feed.label; });
    EXPECT_TRUE(known) << feed.label << " came back under another id";
  }
  ASSERT_TRUE(theatre.runs_on(1500));

  const std::string second = theatre.recording();
  ASSERT_TRUE(surgeon->requestSessionRecording(false));
  ASSERT_TRUE(surgeon.wait_recording(false));
  ASSERT_TRUE(student.wait_recording(false));
  const auto one = read_manifest(theatre.folder(first)), two = read_manifest(theatre.folder(second));
  EXPECT_EQ(one.at("state"), GetParam() ? "repaired" : "complete");
  EXPECT_EQ(two.at("continues"), first);
  EXPECT_EQ(two.at("requestedBy"), "surgeon");
  EXPECT_EQ(two.at("tracks").size(), 3u);
  EXPECT_NEAR(static_cast<double>(surgeon->sessionRecordingState().totalRunningDurationMs()), one.at("durationMs").get<double>() + two.at("durationMs").get<double>(), 250);
  EXPECT_EQ(surgeon->sessionRecordingState().totalRunningDurationMs(), student->sessionRecordingState().totalRunningDurationMs());
  expect_sound(theatre.folder(first));
  expect_sound(theatre.folder(second));

  // What was asked to end does not begin by itself.
  theatre.server.kill_now();
  theatre.server.start_again();
  for (SessionProbe* probe : {&surgeon, &student})  // so that what the student knows of is of this server
    ASSERT_TRUE(probe->wait([&] { return probe->happened().services_connected == 3; }, 20s)) << theatre.server.log();
  ASSERT_TRUE(theatre.student_sees());
  EXPECT_FALSE(surgeon->sessionRecordingState().on);
  EXPECT_EQ(theatre.recording(), second);
}

TEST(RestartedSession, is_recorded_on_for_whoever_comes_next_where_the_first_is_gone_again_at_once) {
  Theatre theatre;
  theatre.start();
  ASSERT_FALSE(::testing::Test::HasFatalFailure());
  const std::string first = theatre.recording();
  theatre.server.kill_now();
  theatre.surgeon->disconnect();
  theatre.student->disconnect();
  theatre.server.start_again();

  const auto join = [&](SessionProbe& who) { return who.wait([&] { return who.happened().connected == 1; }); };
  {
    // What the session was, is on the disk, which takes its time.
    const ThreadFault slow(theatre.server.pid(), "disk-list", "openat:delay_enter=2000000:when=1");
    SessionProbe visitor(theatre.server.session_url("theatre"), theatre.server.token("theatre", "visitor"));
    visitor->connect();
    ASSERT_TRUE(join(visitor)) << theatre.server.log();
    visitor->disconnect();
    ASSERT_TRUE(visitor.wait([&] { return visitor.happened().disconnected == 1; }));
    ASSERT_EQ(http(theatre.server.port(), "GET", "/v1/sessions/theatre/recordings", theatre.server.token("theatre", "operator")).status, 200) << "read after it";
    EXPECT_EQ(slow.injected(), 1);
  }
  EXPECT_EQ(theatre.server.log().find("is recorded on"), std::string::npos) << "nobody was there any more";

  SessionProbe nurse(theatre.server.session_url("theatre"), theatre.server.token("theatre", "nurse"));
  ASSERT_TRUE(nurse.connect()) << theatre.server.log();
  ASSERT_TRUE(nurse.wait([&] { return nurse->sessionRecordingState().on; })) << theatre.server.log();
  const std::string second = nurse->sessionRecordingState().recordingId;
  EXPECT_NE(second, first);
  EXPECT_EQ(nurse->sessionRecordingState().changedBy, "surgeon");
  ASSERT_TRUE(nurse->requestSessionRecording(false));
  ASSERT_TRUE(nurse.wait_recording(false));
  EXPECT_EQ(read_manifest(theatre.folder(second)).at("continues"), first);
}

TEST(GoingDown, completes_the_recording_that_runs_and_begins_no_other) {
  Theatre theatre;
  theatre.start();
  ASSERT_FALSE(::testing::Test::HasFatalFailure());
  const std::string recording = theatre.recording();
  {
    const ThreadFault slow(theatre.server.pid(), "recording-", "fdatasync:delay_enter=200000");  // time enough to ask
    auto ended = std::async(std::launch::async, [&] { return theatre.server.stop(); });
    while (ended.wait_for(20ms) == std::future_status::timeout) (void)theatre.surgeon->requestSessionRecording(true);
    EXPECT_EQ(ended.get(), 0) << theatre.server.log();
  }
  for (const auto& entry : std::filesystem::directory_iterator(theatre.server.recordings() / "theatre")) {
    if (entry.is_directory()) {
      EXPECT_EQ(entry.path().filename(), recording);
    }
  }
  EXPECT_EQ(read_manifest(theatre.folder(recording)).at("state"), "complete");
  expect_sound(theatre.folder(recording));
}

TEST(GoingDown, does_not_record_on_afterwards_where_somebody_asks_for_the_end_meanwhile) {
  Theatre theatre;
  theatre.start();
  ASSERT_FALSE(::testing::Test::HasFatalFailure());
  SessionProbe& surgeon = theatre.surgeon;
  const std::string recording = theatre.recording();
  {
    const ThreadFault slow(theatre.server.pid(), "recording-", "fdatasync:delay_enter=200000");  // time enough to ask
    auto ended = std::async(std::launch::async, [&] { return theatre.server.stop(); });
    ASSERT_TRUE(surgeon.wait([&] { return theatre.server.log().find("going down") != std::string::npos; }));
    EXPECT_TRUE(surgeon->requestSessionRecording(false));
    EXPECT_EQ(ended.get(), 0) << theatre.server.log();
  }
  EXPECT_NE(theatre.server.log().find("is not recorded on"), std::string::npos) << theatre.server.log();
  EXPECT_FALSE(surgeon->sessionRecordingState().updatePending) << "answered before the server went";
  EXPECT_FALSE(surgeon->sessionRecordingState().error) << surgeon->sessionRecordingState().errorMessage;
  EXPECT_EQ(read_manifest(theatre.folder(recording)).at("state"), "complete");

  theatre.server.start_again();
  for (SessionProbe* probe : {&surgeon, &theatre.student})
    ASSERT_TRUE(probe->wait([&] { return probe->happened().services_connected == 2; }, 20s)) << theatre.server.log();
  ASSERT_TRUE(theatre.student_sees());
  EXPECT_FALSE(surgeon->sessionRecordingState().on);
  EXPECT_EQ(theatre.recording(), recording);
}

/// How long no packet of media arrives. What was sent in a short cut is sent again; of a long one a gap is left.
class Dropout : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Seconds, Dropout, ::testing::Values(3, 12));

TEST_P(Dropout, of_a_publisher_leaves_one_track_a_feed_with_what_is_missing_listed) {
  Theatre theatre;
  theatre.start();
  ASSERT_FALSE(::testing::Test::HasFatalFailure());
  const std::int64_t from = theatre.surgeon->sessionRecordingState().totalRunningDurationMs();
  {
    const UdpLoss cut(100);
    ASSERT_TRUE(theatre.surgeon.wait([&] { return theatre.surgeon->sessionRecordingState().totalRunningDurationMs() >= from + GetParam() * 1000; }, 20s));
  }
  const auto before = theatre.seen[0]->statistics().frames;
  ASSERT_TRUE(theatre.student.wait([&] { return theatre.seen[0]->statistics().frames > before + 10; }, 30s)) << theatre.server.log();
  ASSERT_TRUE(theatre.runs_on(1500));
  const std::string recording = theatre.recording();
  ASSERT_TRUE(theatre.surgeon->requestSessionRecording(false));
  ASSERT_TRUE(theatre.surgeon.wait_recording(false));
  const auto manifest = read_manifest(theatre.folder(recording));
  ASSERT_EQ(manifest.at("tracks").size(), 3u) << "one recording, one track a feed";
  for (const auto& track : manifest.at("tracks")) {
    SCOPED_TRACE(track.dump());
    EXPECT_NEAR(track.at("offsetMs").get<double>() + track.at("durationMs").get<double>(), manifest.at("durationMs").get<double>(), 100);
    std::int64_t longest = 0;
    for (const auto& gap : track.at("gaps")) longest = std::max(longest, gap.at("toMs").get<std::int64_t>() - gap.at("fromMs").get<std::int64_t>());
    if (track.at("kind") != "video") continue;
    const Decoded decoded = decode_numbers(theatre.folder(recording) / track.at("path").get<std::string>());
    EXPECT_EQ(decoded.complaints, "");
    std::size_t missing = 0;
    for (std::size_t i = 1; i < decoded.numbers.size(); ++i) {
      ASSERT_TRUE(decoded.numbers[i - 1] && decoded.numbers[i]);
      ASSERT_GT(*decoded.numbers[i], *decoded.numbers[i - 1]);
      missing += *decoded.numbers[i] - *decoded.numbers[i - 1] - 1;
    }
    EXPECT_LE(static_cast<double>(missing), static_cast<double>(longest) * kFramesPerSecond / 1000 + kFramesPerSecond) << "what is missing is listed";
    std::cout << track.at("label") << ": " << GetParam() << " s cut, " << missing << " frames missing, longest gap " << longest << " ms" << std::endl;
  }
  expect_sound(theatre.folder(recording));
}

}  // namespace
}  // namespace amphi::end_to_end
