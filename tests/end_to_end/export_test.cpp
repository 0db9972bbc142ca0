// Exports of real recordings: each track, one picture of everybody, a session's recordings joined; encrypted ones, cancelled ones,
// repeated ones.
#include <gtest/gtest.h>

#include <fstream>

#include "recorded_files.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

namespace fs = std::filesystem;

OutgoingVideoComponents numbered(VideoCodec codec) {
  OutgoingVideoComponents components;
  components.input = VideoInputComponentTestPattern{VideoInputComponentTestPattern::Pattern::ball, true};
  components.encoding = {codec, 300'000, 320, 180, 25};
  return components;
}

CommandResult export_with(std::vector<std::string> arguments) {
  std::vector<std::string> all{AMPHI_SERVER_BINARY, "export"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run_command(all);
}

nlohmann::json probe(const fs::path& file) {
  const auto result = run_command({"ffprobe", "-v", "error", "-show_format", "-show_streams", "-show_chapters", "-of", "json", file.string()});
  return nlohmann::json::parse(result.out);
}

std::string decoding_complaints(const fs::path& file) { return run_command({"ffmpeg", "-v", "error", "-i", file.string(), "-f", "null", "-"}).out; }

/// The names of an MP4's outermost boxes.
std::vector<std::string> boxes(const fs::path& file) {
  std::vector<std::string> names;
  std::ifstream in(file, std::ios::binary);
  char head[8];
  while (in.read(head, 8)) {
    std::uint64_t size = 0;
    for (int i = 0; i < 4; ++i) size = size << 8 | static_cast<std::uint8_t>(head[i]);
    names.emplace_back(head + 4, 4);
    if (size < 8) break;
    in.seekg(static_cast<std::streamoff>(size) - 8, std::ios::cur);
  }
  return names;
}

/// A surgeon throughout; a student in the middle, named as nobody should be.
fs::path record(ServerProcess& server, SessionProbe& surgeon) {
  EXPECT_TRUE(surgeon->requestSessionRecording(true));
  EXPECT_TRUE(surgeon.wait_recording(true)) << server.log();
  const auto until = [&](std::int64_t ms) {
    const std::int64_t begun = surgeon->sessionRecordingState().totalRunningDurationMs();
    EXPECT_TRUE(surgeon.wait([&] { return surgeon->sessionRecordingState().totalRunningDurationMs() >= begun + ms; }, 20s));
  };
  until(1500);
  EXPECT_TRUE(surgeon->addRecordingMarker("Schnitt; '=#\\[a]"));
  {
    SessionProbe student(server.session_url("theatre"), server.token("theatre", "Eve %{pts} ':[x],;\\"));
    EXPECT_TRUE(student.connect());
    const auto feed = student->addOutgoingVideoFeed("desk", numbered(VideoCodec::vp8));
    EXPECT_TRUE(student.wait([&] { return feed->statistics().frames > 0; }));
    until(1500);
  }
  until(1000);
  EXPECT_TRUE(surgeon->requestSessionRecording(false));
  EXPECT_TRUE(surgeon.wait_recording(false));
  return server.recordings() / "theatre" / surgeon->sessionRecordingState().recordingId;
}

struct Theatre {
  explicit Theatre(const std::vector<std::string>& extra = {})
      : server(extra), surgeon(server.session_url("theatre"), server.token("theatre", "surgeon")) {
    EXPECT_TRUE(surgeon.connect()) << server.log();
    video = surgeon->addOutgoingVideoFeed("scope", numbered(VideoCodec::h264));
    audio = surgeon->setOutgoingAudioFeed("voice", AudioInputComponentTone{});
    EXPECT_TRUE(surgeon.wait([&] { return video->statistics().frames > 0 && audio->statistics().packets > 0; })) << server.log();
  }
  ServerProcess server;
  SessionProbe surgeon;
  std::shared_ptr<OutgoingVideoFeed> video;
  std::shared_ptr<OutgoingAudioFeed> audio;
};

void expect_composite(const fs::path& file, double seconds, const std::vector<std::string>& chapters) {
  const auto facts = probe(file);
  EXPECT_NEAR(std::stod(facts.at("format").at("duration").get<std::string>()), seconds, 0.07);
  ASSERT_GE(facts.at("streams").size(), 2u);  // and the chapters' own
  EXPECT_EQ(facts.at("streams")[0].at("codec_name"), "h264");
  EXPECT_EQ(facts.at("streams")[0].at("pix_fmt"), "yuv420p");
  EXPECT_EQ(facts.at("streams")[0].at("width"), 1280);
  EXPECT_EQ(facts.at("streams")[1].at("codec_name"), "aac");
  for (const auto& stream : facts.at("streams"))
    if (stream.at("codec_type") != "data") {
      EXPECT_NEAR(std::stod(stream.at("duration").get<std::string>()), seconds, 0.05);
    }
  std::vector<std::string> titles;
  for (const auto& chapter : facts.at("chapters")) titles.push_back(chapter.at("tags").at("title"));
  EXPECT_EQ(titles, chapters);
  const auto names = boxes(file);
  ASSERT_GE(names.size(), 3u);
  EXPECT_LT(std::find(names.begin(), names.end(), "moov"), std::find(names.begin(), names.end(), "mdat")) << "playable from its first byte on";
  EXPECT_EQ(decoding_complaints(file), "");
}

std::vector<std::string> left_in(const fs::path& folder) {
  std::vector<std::string> names;
  if (fs::exists(folder))
    for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  return names;
}

TEST(Export, a_recording_becomes_one_picture_of_everybody_or_its_tracks_and_stays_as_it_is) {
  Theatre theatre;
  const fs::path folder = record(theatre.server, theatre.surgeon);
  const double seconds = read_manifest(folder).at("durationMs").get<double>() / 1000;
  const std::vector<std::string> chapters{"Begin", "Schnitt; '=#\\[a]"};

  const TemporaryFolder place;
  const fs::path composite = place.path() / "it's [all], of \"it\".mp4";
  auto made = export_with({folder, "--composite", "-o", composite, "--json"});
  ASSERT_EQ(made.status, 0) << made.out;
  expect_composite(composite, seconds, chapters);
  EXPECT_EQ(left_in(place.path()).size(), 1u) << "nothing else is left";

  const auto before = fs::last_write_time(composite);
  made = export_with({folder, "--composite", "-o", composite});
  EXPECT_EQ(made.status, 0);
  EXPECT_EQ(fs::last_write_time(composite), before) << "made once";
  EXPECT_EQ(export_with({folder, "--composite", "--from", "1", "-o", composite}).status, 1) << "never over another";

  made = export_with({folder, "--composite", "--from", "1.25", "--to", "3"});
  ASSERT_EQ(made.status, 0) << made.out;
  ASSERT_EQ(left_in(folder / "exports").size(), 1u);
  expect_composite(folder / "exports" / left_in(folder / "exports")[0], 1.75, chapters);

  const fs::path tracks = place.path() / "tracks";
  made = export_with({folder, "--tracks", "-o", tracks});
  ASSERT_EQ(made.status, 0) << made.out;
  const auto list = nlohmann::json::parse(std::ifstream(tracks / "tracks.json"));
  EXPECT_EQ(list.at("tracks").size(), 3u);
  for (const auto& track : list.at("tracks")) {
    const fs::path file = tracks / track.at("path").get<std::string>();
    EXPECT_EQ(decoding_complaints(file), "");
    EXPECT_NEAR(probe_duration(file) * 1000, track.at("durationMs").get<double>(), 60) << track;
  }
  EXPECT_EQ(export_with({folder, "--composite", "--from", "100"}).status, 2);
  EXPECT_EQ(export_with({theatre.server.recordings(), "--composite"}).status, 2) << "no recording's folder";
  EXPECT_EQ(run_command({AMPHI_SERVER_BINARY, "verify", folder.string()}).status, 0) << "exports change nothing of the recording";
}

TEST(Export, a_sessions_recordings_are_joined_and_one_that_runs_is_left_out) {
  Theatre theatre;
  const double first = read_manifest(record(theatre.server, theatre.surgeon)).at("durationMs").get<double>() / 1000;
  const double second = read_manifest(record(theatre.server, theatre.surgeon)).at("durationMs").get<double>() / 1000;
  ASSERT_TRUE(theatre.surgeon->requestSessionRecording(true));
  ASSERT_TRUE(theatre.surgeon.wait_recording(true));
  const fs::path session = theatre.server.recordings() / "theatre";
  const TemporaryFolder place;
  const auto made = export_with({session, "--session", "--composite", "-o", place.path() / "all.mp4"});
  ASSERT_EQ(made.status, 0) << made.out;
  expect_composite(place.path() / "all.mp4", first + second, {"Recording 1", "Schnitt; '=#\\[a]", "Recording 2", "Schnitt; '=#\\[a]"});
  EXPECT_EQ(export_with({session / theatre.surgeon->sessionRecordingState().recordingId, "--composite"}).status, 2) << "it is not finished";
}

TEST(Export, cancelled_it_leaves_nothing_and_begins_anew) {
  Theatre theatre;
  const fs::path folder = record(theatre.server, theatre.surgeon);
  const TemporaryFolder place;
  const auto cancelled = run_command({"timeout", "--preserve-status", "-s", "TERM", "0.4", AMPHI_SERVER_BINARY, "export", folder, "--composite", "-o", place.path() / "x.mp4"});
  EXPECT_EQ(cancelled.status, 130) << cancelled.out;
  EXPECT_TRUE(left_in(place.path()).empty());
  // Killed, it cannot tidy up; the next one does.
  run_command({"timeout", "-s", "KILL", "0.4", AMPHI_SERVER_BINARY, "export", folder, "--composite", "-o", place.path() / "x.mp4"});
  EXPECT_EQ(left_in(place.path()).size(), 1u);
  const auto made = export_with({folder, "--composite", "-o", place.path() / "x.mp4"});
  EXPECT_EQ(made.status, 0) << made.out;
  EXPECT_EQ(left_in(place.path()), std::vector<std::string>{"x.mp4"});
}

TEST(Export, an_encrypted_recording_needs_its_key_and_leaves_nothing_readable_behind) {
  const TemporaryFolder place;
  const fs::path key = place.path() / "key", other = place.path() / "other";
  std::ofstream(key) << std::string(64, '7');
  std::ofstream(other) << std::string(64, '8');
  Theatre theatre({"--recording-key", key});
  const fs::path folder = record(theatre.server, theatre.surgeon);
  const double seconds = read_manifest(folder).at("durationMs").get<double>() / 1000;
  const fs::path file = place.path() / "x.mp4";
  EXPECT_EQ(export_with({folder, "--composite", "-o", file}).status, 2);
  const auto refused = export_with({folder, "--composite", "--recording-key", other, "-o", file});
  EXPECT_EQ(refused.status, 2);
  EXPECT_NE(refused.out.find("--recording-key"), std::string::npos) << refused.out;
  const auto made = export_with({folder, "--composite", "--recording-key", key, "-o", file});
  ASSERT_EQ(made.status, 0) << made.out;
  expect_composite(file, seconds, {"Begin", "Schnitt; '=#\\[a]"});
  EXPECT_EQ(left_in(place.path()).size(), 3u);
  EXPECT_EQ(run_command({AMPHI_SERVER_BINARY, "verify", folder.string(), "--recording-key", key}).status, 0);
}

}  // namespace
}  // namespace amphi::end_to_end
