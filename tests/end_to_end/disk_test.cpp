// A disk that fills up, becomes read-only, fails, goes away or stands still costs the recording at most, and says so to everybody: the media
// go on, and what was written is whole. A real server on real small file systems, with a publisher and a viewer who watch.
// How long the server keeps each packet before and during each fault is printed.
#include <amphi/frame_barcode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <future>
#include <iostream>
#include <mutex>

#include "faults.h"
#include "forwarding_watch.h"
#include "raw_client.h"
#include "recorded_files.h"
#include "session_probe.h"
#include "small_disk.h"

namespace amphi::end_to_end {
namespace {

namespace fs = std::filesystem;
using Clock = ForwardingWatch::Clock;

constexpr std::uint64_t kMegabyte = 1'000'000;

std::vector<std::string> with_reserve(int megabytes) { return {"--recording-reserve-mb", std::to_string(megabytes)}; }

/// The frames that a viewer saw, by their numbers.
class Seen {
 public:
  void take(const VideoFrame& frame) {
    const auto number = barcode::decode({frame.planes[0], frame.width, frame.height, frame.strides[0]});
    const std::lock_guard lock(mutex_);
    numbers_.push_back(number);
  }
  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return numbers_.size();
  }
  /// How many there are from the `begin`-th on, and what is wrong with them; empty: each follows the one before.
  std::pair<std::size_t, std::string> follow(std::size_t begin) const {
    const std::lock_guard lock(mutex_);
    std::string wrong;
    for (std::size_t i = begin; i < numbers_.size(); ++i) {
      if (!numbers_[i]) wrong += "a frame is unreadable; ";
      else if (i > begin && numbers_[i - 1] && *numbers_[i] != *numbers_[i - 1] + 1)
        wrong += std::to_string(*numbers_[i]) + " follows " + std::to_string(*numbers_[i - 1]) + "; ";
    }
    return {numbers_.size() - begin, wrong};
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::optional<std::uint32_t>> numbers_;
};

struct Theatre {
  Theatre(SmallDisk& where, const std::vector<std::string>& flags)
      : disk(where), server(flags, where.path() / "recordings"), publisher(server.session_url("theatre"), server.token("theatre", "surgeon")),
        viewer(server.session_url("theatre"), server.token("theatre", "viewer", "subscribe")) {}

  void start() {
    ASSERT_TRUE(publisher.connect()) << server.log();
    ASSERT_TRUE(viewer.connect()) << server.log();
    outgoing = publisher->addOutgoingVideoFeed("camera", numbered(VideoCodec::vp8));
    ASSERT_TRUE(viewer.wait([&] { return !viewer.happened().feeds.empty(); })) << server.log();
    incoming = viewer->subscribeVideoFeed(viewer.happened().feeds.front().id, VideoOutputComponentApplication{[seen = seen](const VideoFrame& frame) { seen->take(frame); }});
    ASSERT_TRUE(frames(2 * kFramesPerSecond)) << server.log();
  }
  bool frames(std::size_t more) {
    return viewer.wait([&, until = seen->count() + more] { return seen->count() >= until; }, 30s);
  }
  std::vector<SessionProbe*> everybody() { return {&publisher, &viewer}; }
  bool all(const std::function<bool(const MediaServerSession::SessionRecordingState&)>& holds, std::chrono::milliseconds limit = 15s) {
    return publisher.wait([&] { return holds(publisher->sessionRecordingState()) && holds(viewer->sessionRecordingState()); }, limit);
  }

  /// Until `frames` more of media were seen after it was confirmed.
  void record(std::size_t more = 3 * kFramesPerSecond) {
    ASSERT_TRUE(publisher->requestSessionRecording(true));
    ASSERT_TRUE(all([](const auto& state) { return state.on && !state.updatePending && !state.waitingForMedia; })) << server.log();
    recording = publisher->sessionRecordingState().recordingId;
    watched_from = Clock::now();
    watched_frames = seen->count();
    ASSERT_TRUE(frames(more)) << server.log();
    seen_before_fault = frames_since_start();
    fault_at = Clock::now();
  }
  /// Everybody is told why it ended.
  void expect_failed() {
    ASSERT_TRUE(all([](const auto& state) { return !state.on && state.error == Errc::storage; })) << server.log();
    for (SessionProbe* one : everybody()) EXPECT_NE((*one)->sessionRecordingState().errorMessage, "");
  }
  /// The media have gone on since `record`, and go on.
  void expect_media_untouched(const char* fault) {
    EXPECT_TRUE(frames(3 * kFramesPerSecond)) << server.log();
    const auto [count, wrong] = seen->follow(watched_frames);
    EXPECT_EQ(wrong, "") << "of " << count << " frames";
    EXPECT_EQ(incoming->statistics().packetsLost, 0);
    for (SessionProbe* one : everybody()) {
      EXPECT_EQ(one->happened().disconnected, 0);
      EXPECT_EQ(one->happened().services_disconnected, 0);
    }
    const auto before = watch.between(watched_from, fault_at), meanwhile = watch.between(fault_at, Clock::now());
    std::cout << "media, before:    " << in_words(before) << "\n"
              << "media, " << fault << ": " << in_words(meanwhile) << std::endl;
    EXPECT_GT(before.size(), 10u) << "watched";
    EXPECT_GT(meanwhile.size(), 50u);
    // The bench says how long a packet is kept; here none waits for a disk.
    for (const auto& packet : meanwhile) ASSERT_LT(packet.length, 1s);
  }
  std::size_t frames_since_start() const { return seen->count() - watched_frames; }
  fs::path folder() const { return server.recordings() / "theatre" / recording; }

  /// The recording is whole: sound, every frame in it without a hole, and at most a second less than the viewer saw meanwhile.
  void expect_whole(const std::string& state, std::size_t seen_meanwhile) {
    const auto manifest = read_manifest(folder());
    EXPECT_EQ(manifest.at("state"), state);
    expect_sound(folder());
    ASSERT_EQ(manifest.at("tracks").size(), 1u) << manifest.dump();
    const auto& track = manifest.at("tracks")[0];
    EXPECT_TRUE(track.at("gaps").empty()) << track.dump();
    EXPECT_EQ(track.value("overflowPackets", 0), 0);
    const Decoded decoded = decode_numbers(folder() / track.at("path").get<std::string>());
    EXPECT_EQ(decoded.complaints, "");
    EXPECT_EQ(decoded.numbers.size(), track.at("frames").get<std::size_t>());
    EXPECT_GE(decoded.numbers.size() + kFramesPerSecond, seen_meanwhile);
    for (std::size_t i = 0; i < decoded.numbers.size(); ++i) {
      ASSERT_TRUE(decoded.numbers[i]) << "frame " << i << " has no readable number";
      if (i > 0) {
        ASSERT_EQ(*decoded.numbers[i], *decoded.numbers[i - 1] + 1) << "frame " << i << " does not follow";
      }
    }
  }
  bool manifest_says(const std::string& state) {
    return fs::exists(folder() / "manifest.json") && read_manifest(folder()).at("state") == state;
  }
  void expect_that_recording_works() {
    record(kFramesPerSecond);
    if (::testing::Test::HasFatalFailure()) return;
    EXPECT_TRUE(publisher->requestSessionRecording(false));
    EXPECT_TRUE(all([](const auto& s) { return !s.on && !s.updatePending && !s.error; })) << server.log();
    expect_whole("complete", seen_before_fault);
  }
  HttpAnswer rest(const std::string& method, const std::string& target, const std::string& body = "") {
    return http(server.port(), method, target, operator_token, body);
  }

  SmallDisk& disk;
  ServerProcess server;
  const std::string operator_token = server.token("theatre", "operator", "record,admin");
  ForwardingWatch watch{server.log()};
  SessionProbe publisher, viewer;
  std::shared_ptr<Seen> seen = std::make_shared<Seen>();
  std::shared_ptr<OutgoingVideoFeed> outgoing;
  std::shared_ptr<IncomingVideoFeed> incoming;
  std::string recording;
  std::size_t watched_frames = 0, seen_before_fault = 0;
  Clock::time_point watched_from, fault_at;
};

class Disk : public ::testing::Test {
 protected:
  void begin(SmallDisk::Kind kind, int megabytes, const std::vector<std::string>& flags = with_reserve(1)) {
    if (!SmallDisk::can_be(kind)) GTEST_SKIP() << "run as root: only that may mount a disk";
    disk.emplace(kind, megabytes);
    theatre.emplace(*disk, flags);
    theatre->start();
  }
  /// The server goes, the disk is looked after, and both come back: what the last server left is completed.
  void mend_and_restart() {
    theatre->publisher->disconnect();
    theatre->viewer->disconnect();
    EXPECT_EQ(theatre->server.stop(), 0) << theatre->server.log();
    disk->mend();
    theatre->server.start_again();
  }
  void TearDown() override {
    theatre.reset();
    disk.reset();
  }
  std::optional<SmallDisk> disk;
  std::optional<Theatre> theatre;
};

TEST_F(Disk, filling_up_is_warned_of_and_ends_the_recording_while_it_can_be_completed) {
  ASSERT_NO_FATAL_FAILURE(begin(SmallDisk::Kind::tmpfs, 40, with_reserve(8)));
  Theatre& t = *theatre;
  ASSERT_NO_FATAL_FAILURE(t.record());
  // Somebody fills it: two megabytes for each second of media.
  while (t.publisher->sessionRecordingState().on && disk->free_bytes() > 2 * kMegabyte) {
    disk->fill(disk->free_bytes() - kMegabyte);
    ASSERT_TRUE(t.frames(kFramesPerSecond / 2));
  }
  ASSERT_NO_FATAL_FAILURE(t.expect_failed());
  const std::size_t seen = t.frames_since_start();
  for (SessionProbe* one : t.everybody()) {
    const auto states = one->happened().states;
    const auto warned = std::find_if(states.begin(), states.end(), [](const auto& s) { return s.on && s.warning && s.warning->code == "storage_low"; });
    ASSERT_NE(warned, states.end()) << "nobody was warned";
    EXPECT_TRUE(warned->warning->minutesLeft);
    EXPECT_FALSE(states.back().warning) << "what is over threatens nobody";
  }
  t.expect_media_untouched("filling up");
  EXPECT_GT(disk->free_bytes(), kMegabyte) << "it was ended before the disk was full";
  ASSERT_NO_FATAL_FAILURE(t.expect_whole("complete", seen));
  EXPECT_EQ(read_manifest(t.folder()).at("error").at("code"), "storage");
  disk->make_room();
  t.expect_that_recording_works();
}

TEST_F(Disk, full_at_a_stroke_ends_the_recording_and_what_was_written_is_completed_when_there_is_room) {
  ASSERT_NO_FATAL_FAILURE(begin(SmallDisk::Kind::tmpfs, 16, with_reserve(0)));
  Theatre& t = *theatre;
  ASSERT_NO_FATAL_FAILURE(t.record());
  disk->fill(0);
  ASSERT_NO_FATAL_FAILURE(t.expect_failed());
  t.expect_media_untouched("full");
  for (const auto& file : fs::directory_iterator(t.folder())) EXPECT_NE(file.path().extension(), ".new") << file.path();
  EXPECT_EQ(nlohmann::json::parse(std::ifstream(t.folder().parent_path() / "services.json")).count("recording"), 0u) << "what everybody was told is over begins no more after a restart";

  ASSERT_TRUE(t.publisher->requestSessionRecording(true));
  ASSERT_TRUE(t.publisher.wait([&] { return !t.publisher->sessionRecordingState().updatePending; }));
  EXPECT_FALSE(t.publisher->sessionRecordingState().on) << "there is no room for another";
  EXPECT_EQ(t.publisher->sessionRecordingState().error, Errc::storage);

  disk->make_room();
  EXPECT_TRUE(t.publisher.wait([&] { return t.manifest_says("repaired"); }, 30s)) << t.server.log();
  ASSERT_NO_FATAL_FAILURE(t.expect_whole("repaired", t.seen_before_fault));
  EXPECT_EQ(read_manifest(t.folder()).at("error").at("code"), "storage");
  EXPECT_TRUE(t.publisher.wait([&] { return t.rest("GET", "/v1/recordings?state=repaired").body.find(t.recording) != std::string::npos; })) << "the catalogue knows";
  t.expect_that_recording_works();
}

TEST_F(Disk, a_recording_does_not_begin_with_less_than_the_reserve) {
  ASSERT_NO_FATAL_FAILURE(begin(SmallDisk::Kind::tmpfs, 24, with_reserve(16)));
  Theatre& t = *theatre;
  disk->fill(12 * kMegabyte);
  const auto viewer_revision = t.viewer->sessionRecordingState().revision;
  ASSERT_TRUE(t.publisher->requestSessionRecording(true));
  ASSERT_TRUE(t.publisher.wait([&] { return !t.publisher->sessionRecordingState().updatePending; }));
  const auto state = t.publisher->sessionRecordingState();
  EXPECT_FALSE(state.on);
  EXPECT_EQ(state.error, Errc::storage);
  EXPECT_NE(state.errorMessage.find("16 MB"), std::string::npos) << state.errorMessage;
  EXPECT_FALSE(t.viewer->sessionRecordingState().on);
  EXPECT_FALSE(t.viewer->sessionRecordingState().error) << "nobody else asked";
  EXPECT_EQ(t.viewer->sessionRecordingState().revision, viewer_revision);
  for (const auto& entry : fs::directory_iterator(t.server.recordings() / "theatre")) EXPECT_FALSE(entry.is_directory()) << "a trace of nothing: " << entry.path();
  disk->make_room();
  t.expect_that_recording_works();
}

TEST_F(Disk, that_becomes_read_only_ends_the_recording_and_keeps_what_was_written) {
  ASSERT_NO_FATAL_FAILURE(begin(SmallDisk::Kind::ext4, 32));
  if (IsSkipped()) return;
  Theatre& t = *theatre;
  ASSERT_NO_FATAL_FAILURE(t.expect_that_recording_works());
  const std::string before = t.recording;
  ASSERT_NO_FATAL_FAILURE(t.record());
  disk->become_read_only();
  ASSERT_NO_FATAL_FAILURE(t.expect_failed());
  t.expect_media_untouched("read-only");

  ASSERT_TRUE(t.publisher->requestSessionRecording(true));
  ASSERT_TRUE(t.publisher.wait([&] { return !t.publisher->sessionRecordingState().updatePending; }));
  EXPECT_FALSE(t.publisher->sessionRecordingState().on);
  EXPECT_EQ(t.publisher->sessionRecordingState().error, Errc::storage);
  EXPECT_EQ(t.rest("DELETE", "/v1/sessions/theatre/recordings/" + before).status, 507) << "nor can anything be deleted";
  const std::string listed = t.rest("GET", "/v1/sessions/theatre/recordings").body;
  EXPECT_NE(listed.find(before), std::string::npos) << "but it can be read";
  EXPECT_NE(listed.find(t.recording), std::string::npos);

  EXPECT_EQ(t.server.stop(), 0) << t.server.log();
  t.server.start_again();  // a session needs no disk
  EXPECT_NE(t.rest("GET", "/v1/recordings?state=complete").body.find(before), std::string::npos);
  mend_and_restart();
  t.expect_whole("repaired", t.seen_before_fault);
}

TEST_F(Disk, that_fails_with_io_errors_ends_the_recording_and_keeps_what_was_written) {
  ASSERT_NO_FATAL_FAILURE(begin(SmallDisk::Kind::ext4, 32));
  if (IsSkipped()) return;
  Theatre& t = *theatre;
  ASSERT_NO_FATAL_FAILURE(t.record());
  disk->fail();
  ASSERT_NO_FATAL_FAILURE(t.expect_failed());
  t.expect_media_untouched("failing");
  EXPECT_EQ(t.rest("GET", "/v1/sessions/theatre/recordings").status, 200) << "the server lives";
  mend_and_restart();
  t.expect_whole("repaired", t.seen_before_fault);
}

TEST_F(Disk, one_sync_that_fails_ends_the_recording_which_is_completed_at_once) {
  ASSERT_NO_FATAL_FAILURE(begin(SmallDisk::Kind::tmpfs, 32));
  Theatre& t = *theatre;
  ASSERT_NO_FATAL_FAILURE(t.record());
  {
    const ThreadFault fault(t.server.pid(), "recording-", "fdatasync:error=EIO:when=1");
    ASSERT_NO_FATAL_FAILURE(t.expect_failed());
    EXPECT_EQ(fault.injected(), 1);
  }
  t.expect_media_untouched("one failed sync");
  EXPECT_TRUE(t.publisher.wait([&] { return t.manifest_says("repaired"); })) << t.server.log();
  ASSERT_NO_FATAL_FAILURE(t.expect_whole("repaired", t.seen_before_fault));
  EXPECT_NE(read_manifest(t.folder()).at("error").at("message").get<std::string>().find("Input/output error"), std::string::npos);
  t.expect_that_recording_works();
}

TEST_F(Disk, whose_folder_is_removed_under_a_recording_says_so) {
  ASSERT_NO_FATAL_FAILURE(begin(SmallDisk::Kind::tmpfs, 32));
  Theatre& t = *theatre;
  ASSERT_NO_FATAL_FAILURE(t.record());
  fs::remove_all(t.folder());
  ASSERT_NO_FATAL_FAILURE(t.expect_failed());
  t.expect_media_untouched("removed");
  EXPECT_FALSE(fs::exists(t.folder()));
  t.expect_that_recording_works();
}

TEST_F(Disk, that_is_pulled_out_ends_the_recording_and_nothing_is_recorded_beside_it) {
  ASSERT_NO_FATAL_FAILURE(begin(SmallDisk::Kind::ext4, 32));
  if (IsSkipped()) return;
  Theatre& t = *theatre;
  ASSERT_NO_FATAL_FAILURE(t.record());
  disk->pull_out();
  ASSERT_NO_FATAL_FAILURE(t.expect_failed());
  t.expect_media_untouched("pulled out");

  ASSERT_TRUE(t.publisher->requestSessionRecording(true));
  ASSERT_TRUE(t.publisher.wait([&] { return !t.publisher->sessionRecordingState().updatePending; }));
  EXPECT_FALSE(t.publisher->sessionRecordingState().on);
  EXPECT_EQ(t.publisher->sessionRecordingState().error, Errc::storage);
  EXPECT_TRUE(fs::is_empty(disk->path())) << "what is recorded there is out of sight when the disk is back";

  disk->put_back();
  EXPECT_TRUE(t.publisher.wait([&] { return t.manifest_says("repaired"); }, 30s)) << t.server.log();
  ASSERT_NO_FATAL_FAILURE(t.expect_whole("repaired", t.seen_before_fault));
  t.expect_that_recording_works();
}

TEST_F(Disk, that_stands_still_for_six_seconds_costs_nothing_and_everybody_is_warned_meanwhile) {
  ASSERT_NO_FATAL_FAILURE(begin(SmallDisk::Kind::ext4, 32));
  if (IsSkipped()) return;
  Theatre& t = *theatre;
  ASSERT_NO_FATAL_FAILURE(t.record(6 * kFramesPerSecond));
  const auto slow = [](const auto& state) { return state.warning && state.warning->code == "storage_slow"; };
  auto thawed = disk->freeze(6);
  EXPECT_TRUE(t.all([&](const auto& state) { return state.on && slow(state); })) << t.server.log();
  // The server answers while its recording stands still.
  EXPECT_EQ(t.rest("GET", "/v1/sessions/theatre/recording").status, 200);
  EXPECT_EQ(t.rest("GET", "/v1/sessions/theatre/recordings").status, 200);
  EXPECT_EQ(t.rest("GET", "/v1/sessions/theatre/recordings/" + t.recording + "/manifest.json").status, 200);
  EXPECT_EQ(thawed.wait_for(0s), std::future_status::timeout) << "all of that was meant to happen while the disk stands still";
  thawed.get();
  EXPECT_TRUE(t.all([&](const auto& state) { return state.on && !state.warning && !state.error; })) << "it is withdrawn";
  t.expect_media_untouched("standing still");
  const std::size_t seen = t.frames_since_start();
  ASSERT_TRUE(t.publisher->requestSessionRecording(false));
  ASSERT_TRUE(t.all([](const auto& state) { return !state.on && !state.updatePending && !state.error; })) << t.server.log();
  t.expect_whole("complete", seen);
}

TEST_F(Disk, that_answers_no_read_for_six_seconds_keeps_nobody_waiting_but_who_reads) {
  ASSERT_NO_FATAL_FAILURE(begin(SmallDisk::Kind::tmpfs, 32));
  Theatre& t = *theatre;
  ASSERT_NO_FATAL_FAILURE(t.expect_that_recording_works());
  const std::string before = t.recording;
  const ThreadFault fault(t.server.pid(), "disk-", "openat:delay_enter=6000000:when=1");
  auto listed = std::async(std::launch::async, [&] { return t.rest("GET", "/v1/sessions/theatre/recordings"); });
  auto played = std::async(std::launch::async, [&] { return t.rest("GET", "/v1/sessions/theatre/recordings/" + before + "/manifest.json"); });
  std::this_thread::sleep_for(300ms);  // both are with the disk

  ASSERT_NO_FATAL_FAILURE(t.record(kFramesPerSecond));
  SessionProbe late(t.server.session_url("theatre"), t.server.token("theatre", "late"));
  ASSERT_TRUE(late.connect()) << t.server.log();
  EXPECT_TRUE(late.wait([&] { return late->areSessionServicesConnected() && late->sessionRecordingState().on; }));
  EXPECT_EQ(t.rest("POST", "/v1/sessions/theatre/recording/markers", R"({"label":"meanwhile"})").status, 201);
  EXPECT_EQ(listed.wait_for(0s), std::future_status::timeout) << "all of that was meant to happen while the disk answers nobody";
  EXPECT_EQ(played.wait_for(0s), std::future_status::timeout);

  EXPECT_NE(listed.get().body.find(before), std::string::npos);
  EXPECT_EQ(played.get().status, 200);
  EXPECT_GT(fault.injected(), 0);
  t.expect_media_untouched("reads that wait");
  const std::size_t seen = t.frames_since_start();
  ASSERT_TRUE(t.publisher->requestSessionRecording(false));
  ASSERT_TRUE(t.all([](const auto& state) { return !state.on && !state.updatePending && !state.error; })) << t.server.log();
  t.expect_whole("complete", seen);
}

}  // namespace
}  // namespace amphi::end_to_end
