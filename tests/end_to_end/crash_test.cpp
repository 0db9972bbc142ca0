// A recording survives `kill -9` of its server at any moment: a hundred lives of a real server, each ended at random under four
// feeds: from the request to record on, before it is confirmed, up to the stop. Each next start completes what the kill cut off; afterwards every
// file is decoded and its frames identified.
// AMPHI_KILLS=n for another number, AMPHI_SEED=n for other moments.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <thread>

#include "faults.h"
#include "recorded_files.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

constexpr std::uint64_t kLastSecond = kFramesPerSecond;  // what a kill may cost
constexpr std::uint64_t kOnTheWay = kFramesPerSecond / 2;  // sent, and not yet with the server

unsigned from_environment(const char* name, unsigned otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : otherwise;
}

/// One life of the server, as its publisher saw it.
struct Life {
  std::string recording;                     // empty: killed before it was confirmed
  std::int64_t shown_ms = 0;                 // the duration of this recording that everybody saw last
  std::map<std::string, std::uint64_t> asked; // frames sent by label, when the recording was asked for
  std::map<std::string, std::uint64_t> sent;  // and at the kill
  bool stopping = false;
  bool long_enough = false;                  // for every feed to be on the disk
};

Life live_and_die(ServerProcess& server, std::mt19937& random) {
  Life life;
  SessionProbe publisher(server.session_url("theatre"), server.token("theatre", "surgeon"));
  EXPECT_TRUE(publisher.connect()) << server.log();
  const std::int64_t before = publisher->sessionRecordingState().totalRunningDurationMs();
  std::vector<std::shared_ptr<OutgoingVideoFeed>> videos;
  for (const auto& [label, codec] : {std::pair{"left", VideoCodec::vp8}, {"right", VideoCodec::vp8}, {"overview", VideoCodec::h264}})
    videos.push_back(publisher->addOutgoingVideoFeed(label, numbered(codec)));
  const auto audio = publisher->setOutgoingAudioFeed("tone", AudioInputComponentTone{});
  const bool late = random() % 4 != 0;  // else the feeds come while it records
  if (late) {
    EXPECT_TRUE(publisher.wait([&] { return videos.back()->statistics().frames > 0 && audio->statistics().packets > 0; })) << server.log();
  }
  for (const auto& video : videos) life.asked[video->label()] = video->statistics().frames;
  const bool at_once = random() % 6 == 0, long_life = random() % 8 == 0;
  EXPECT_TRUE(publisher->requestSessionRecording(true));
  if (at_once) {  // into its beginning
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 60'000));
  } else {
    EXPECT_TRUE(publisher.wait_recording(true)) << server.log();
    std::this_thread::sleep_for(long_life ? 2500ms : std::chrono::milliseconds(random() % 1500));
  }
  life.long_enough = long_life && late && !at_once;
  life.stopping = !at_once && random() % 5 == 0;
  if (life.stopping) {  // into the end of the recording
    EXPECT_TRUE(publisher->requestSessionRecording(false));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 40'000));
  }
  server.kill_now();
  for (const auto& video : videos) life.sent[video->label()] = video->statistics().frames;
  const auto state = publisher->sessionRecordingState();
  if (state.on || !at_once) life.recording = state.recordingId;
  life.shown_ms = state.totalRunningDurationMs() - before;
  return life;
}

void check_video(const std::filesystem::path& folder, const nlohmann::json& track, const Life& life, bool complete, bool pre_roll = false) {
  SCOPED_TRACE(track.dump());
  const auto file = folder / track.at("path").get<std::string>();
  const Decoded decoded = decode_numbers(file);
  EXPECT_EQ(decoded.complaints, "");
  EXPECT_EQ(decoded.numbers.size(), track.at("frames").get<std::size_t>());
  if (decoded.numbers.empty()) return;
  for (std::size_t i = 0; i < decoded.numbers.size(); ++i) {
    ASSERT_TRUE(decoded.numbers[i]) << "frame " << i << " has no readable number";
    if (i > 0) {
      ASSERT_EQ(*decoded.numbers[i], *decoded.numbers[i - 1] + 1) << "frame " << i << " does not follow";
    }
  }
  const std::uint64_t first = *decoded.numbers.front();
  if (pre_roll) {
    EXPECT_LE(first, 1u) << "what was kept before the request begins with the feed";
  } else if (life.asked.contains(track.at("label"))) {
    const std::uint64_t asked = life.asked.at(track.at("label"));
    EXPECT_GE(first + kOnTheWay, asked) << "a frame of before the request";
    EXPECT_LE(first, asked + 2 * kLastSecond) << "a keyframe is asked for when it begins";
  }
  const std::uint64_t sent = life.sent.at(track.at("label"));
  if (!life.stopping && !complete) {
    EXPECT_GE(*decoded.numbers.back() + kLastSecond, sent) << "more than the last second is missing";
  }
}

void check_audio(const std::filesystem::path& folder, const nlohmann::json& track) {
  SCOPED_TRACE(track.dump());
  const auto counted = run_command({"ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0",
                                    (folder / track.at("path").get<std::string>()).string()});
  const auto frames = track.at("frames").get<std::int64_t>();
  EXPECT_EQ(std::strtoll(counted.out.c_str(), nullptr, 10), frames) << counted.out;
  EXPECT_GE(frames * 20 + 1100, track.at("durationMs").get<std::int64_t>()) << "20 ms each: more than the last second is missing";
}

/// Of a recording of which nobody was told that it was on: whole, or not there.
void check_untold(const std::filesystem::path& folder) {
  SCOPED_TRACE(folder.string());
  if (!std::filesystem::exists(folder / "manifest.json")) return;
  EXPECT_NE(read_manifest(folder).at("state"), "recording");
  expect_sound(folder);
}

TEST(Crash, every_recording_of_a_hundred_killed_servers_is_whole_but_for_its_last_second) {
  const unsigned kills = from_environment("AMPHI_KILLS", 100);
  const unsigned seed = from_environment("AMPHI_SEED", 1);
  std::mt19937 random(seed);
  std::cout << kills << " kills, AMPHI_SEED=" << seed << std::endl;
  ServerProcess server;
  std::vector<Life> lives;
  for (unsigned i = 0; i < kills && !::testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE("life " + std::to_string(i));
    lives.push_back(live_and_die(server, random));
    server.start_again();
    if (i % 10 == 9) std::cout << i + 1 << " of " << kills << " killed" << std::endl;
  }
  EXPECT_EQ(server.stop(), 0) << server.log();

  std::set<std::string> told;
  for (const Life& life : lives) told.insert(life.recording);
  for (const auto& entry : std::filesystem::directory_iterator(server.recordings() / "theatre"))
    if (entry.is_directory() && !told.contains(entry.path().filename().string())) check_untold(entry.path());

  std::size_t files = 0, repaired = 0, frames = 0;
  std::int64_t worst_ms = 0;
  for (std::size_t i = 0; i < lives.size(); ++i) {
    Life& life = lives[i];
    if (life.recording.empty()) continue;
    SCOPED_TRACE("life " + std::to_string(i) + ", recording " + life.recording);
    const auto folder = server.recordings() / "theatre" / life.recording;
    const auto manifest = read_manifest(folder);
    if (!manifest.value("continues", std::string()).empty()) life.asked.clear();  // it began by itself, with whoever came back first
    const std::string state = manifest.at("state");
    EXPECT_TRUE(state == "repaired" || (state == "complete" && life.stopping)) << state;
    repaired += state == "repaired" ? 1 : 0;
    expect_sound(folder);
    const double duration = manifest.at("durationMs").get<double>();
    double longest = 0;
    for (const auto& track : manifest.at("tracks")) {
      ++files;
      frames += track.at("frames").get<std::size_t>();
      if (track.at("kind") == "video") check_video(folder, track, life, state == "complete");
      else check_audio(folder, track);
      const double end = track.at("offsetMs").get<double>() + track.at("durationMs").get<double>();
      longest = std::max(longest, end);
      EXPECT_NEAR(probe_duration(folder / track.at("path").get<std::string>()) * 1000, track.at("durationMs").get<double>(), 100) << track.dump();
    }
    if (life.long_enough) {
      EXPECT_EQ(manifest.at("tracks").size(), 4u);
    }
    if (!manifest.at("tracks").empty()) {
      EXPECT_NEAR(longest, duration, 100) << "the total is that of the files";
    }
    if (!life.stopping) {
      worst_ms = std::max(worst_ms, life.shown_ms - static_cast<std::int64_t>(duration));
      EXPECT_GE(duration + 1000, static_cast<double>(life.shown_ms)) << "more than the last second is missing";
    }
  }
  std::cout << lives.size() << " kills: " << repaired << " recordings repaired, " << files << " files, " << frames
            << " frames; at most " << worst_ms << " ms less than was shown" << std::endl;
}

/// A recording is on when what it begins with is on the disk, which may be a slow one.
TEST(Crash, right_after_a_recording_with_a_pre_roll_is_on_costs_no_more) {
  const unsigned kills = std::max(2u, from_environment("AMPHI_KILLS", 100) / 25);
  std::mt19937 random(from_environment("AMPHI_SEED", 1));
  ServerProcess server({"--recording-pre-roll-seconds", "60"});
  for (unsigned i = 0; i < kills; ++i) {
    SCOPED_TRACE("life " + std::to_string(i));
    const std::string session = "theatre-" + std::to_string(i);  // a new one: the one before is recorded on after the restart
    Life life;
    {
      SessionProbe publisher(server.session_url(session), server.token(session, "surgeon"));
      ASSERT_TRUE(publisher.connect()) << server.log();
      const std::int64_t before = publisher->sessionRecordingState().totalRunningDurationMs();
      std::vector<std::shared_ptr<OutgoingVideoFeed>> videos;
      for (const auto& [label, codec] : {std::pair{"left", VideoCodec::vp8}, {"right", VideoCodec::vp8}, {"overview", VideoCodec::h264}})
        videos.push_back(publisher->addOutgoingVideoFeed(label, numbered(codec)));
      const auto audio = publisher->setOutgoingAudioFeed("tone", AudioInputComponentTone{});
      ASSERT_TRUE(publisher.wait([&] { return videos.back()->statistics().frames > 8 * kFramesPerSecond; }, 20s)) << server.log();
      std::optional<ThreadFault> slow;
      if (i % 2 == 1) slow.emplace(server.pid(), "recording-", "fdatasync:delay_enter=8000");  // as of a disk that turns
      for (const auto& video : videos) life.asked[video->label()] = video->statistics().frames;
      ASSERT_TRUE(publisher->requestSessionRecording(true));
      ASSERT_TRUE(publisher.wait_recording(true)) << server.log();
      EXPECT_TRUE(publisher.wait([&] { return !publisher->sessionRecordingState().waitingForMedia; })) << "what was kept is written";
      EXPECT_FALSE(publisher->sessionRecordingState().warning);
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % 300));
      server.kill_now();
      for (const auto& video : videos) life.sent[video->label()] = video->statistics().frames;
      life.recording = publisher->sessionRecordingState().recordingId;
      life.shown_ms = publisher->sessionRecordingState().totalRunningDurationMs() - before;
    }
    server.start_again();
    const auto folder = server.recordings() / session / life.recording;
    const auto manifest = read_manifest(folder);
    EXPECT_EQ(manifest.at("state"), "repaired");
    EXPECT_GT(manifest.at("preRollMs").get<int>(), 7000);
    EXPECT_GE(manifest.at("durationMs").get<std::int64_t>() + 1000, life.shown_ms) << "more than the last second is missing";
    expect_sound(folder);
    ASSERT_EQ(manifest.at("tracks").size(), 4u);
    for (const auto& track : manifest.at("tracks")) {
      if (track.at("kind") == "video") check_video(folder, track, life, false, true);
      else check_audio(folder, track);
    }
    std::cout << "shown " << life.shown_ms << " ms, repaired " << manifest.at("durationMs") << " ms" << std::endl;
  }
}

}  // namespace
}  // namespace amphi::end_to_end
