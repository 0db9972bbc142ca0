// Exports of real recordings: all tracks in one file, one picture of everybody, a session's recordings joined; encrypted ones, cancelled
// ones, repeated ones.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>

#include "raw_client.h"
#include "recorded_files.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

namespace fs = std::filesystem;

CommandResult export_with(std::vector<std::string> arguments) {
  std::vector<std::string> all{AMPHI_SERVER_BINARY, "export"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run_command(all);
}

/// What an export with --json says at its end, behind its progress.
nlohmann::json told_by(const CommandResult& made) { return nlohmann::json::parse(made.out.substr(std::min(made.out.find('{'), made.out.size()))); }

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

struct Packet {
  std::int64_t at_ms = 0;
  bool keyframe = false;
  std::string hash;
};
/// Each stream's packets as a player reads them, in the order of the file; and how far one lies before another that is in front of it.
struct Packets {
  std::map<int, std::vector<Packet>> streams;
  std::int64_t furthest_back_ms = 0;
};
Packets packets_of(const fs::path& file) {
  const auto result = run_command({"ffprobe", "-v", "error", "-show_entries", "packet=stream_index,pts_time,flags,data_hash", "-show_data_hash", "sha256", "-of", "json", file});
  Packets packets;
  std::int64_t latest = 0;
  const auto told = nlohmann::json::parse(result.out);
  for (const auto& packet : told.at("packets")) {
    const auto at = std::llround(std::stod(packet.at("pts_time").get<std::string>()) * 1000);
    packets.streams[packet.at("stream_index")].push_back({at, packet.at("flags").get<std::string>()[0] == 'K', packet.at("data_hash")});
    packets.furthest_back_ms = std::max<std::int64_t>(packets.furthest_back_ms, latest - at);
    latest = std::max<std::int64_t>(latest, at);
  }
  return packets;
}

/// What `track` of a manifest has to look like in an export that begins at `from_ms` of its recording.
std::vector<Packet> expected_packets(const fs::path& folder, const nlohmann::json& track, std::int64_t recording_at_ms) {
  auto packets = packets_of(folder / track.at("path").get<std::string>()).streams.at(0);
  for (Packet& packet : packets) packet.at_ms += recording_at_ms + track.at("offsetMs").get<std::int64_t>();
  return packets;
}

void expect_copied(const std::vector<Packet>& made, const std::vector<Packet>& recorded) {
  ASSERT_EQ(made.size(), recorded.size());
  for (std::size_t i = 0; i < made.size(); ++i) {
    EXPECT_EQ(made[i].hash, recorded[i].hash) << i;
    EXPECT_EQ(made[i].keyframe, recorded[i].keyframe) << i;
    EXPECT_LE(std::abs(made[i].at_ms - recorded[i].at_ms), 1) << i << ": Matroska tells milliseconds, MP4 more";
  }
}

/// A stream's number, by a tag of it.
int stream_of(const nlohmann::json& facts, const std::string& tag, const std::string& value) {
  for (const auto& stream : facts.at("streams"))
    if (stream.at("tags").value(tag, "") == value) return stream.at("index");
  ADD_FAILURE() << "no stream has " << tag << " " << value << ": " << facts.at("streams");
  return -1;
}

void expect_tracks_file(const fs::path& file, double seconds, std::size_t streams, const std::vector<std::string>& chapters) {
  const auto facts = probe(file);
  EXPECT_EQ(facts.at("format").at("format_name"), "matroska,webm");
  EXPECT_NEAR(std::stod(facts.at("format").at("duration").get<std::string>()), seconds, 0.002);
  EXPECT_EQ(facts.at("streams").size(), streams);
  std::vector<std::string> titles;
  for (const auto& chapter : facts.at("chapters")) titles.push_back(chapter.at("tags").at("title"));
  EXPECT_EQ(titles, chapters);
  for (std::size_t i = 0; i < streams; ++i)
    EXPECT_EQ(run_command({"ffmpeg", "-v", "error", "-i", file, "-map", "0:" + std::to_string(i), "-vsync", "passthrough", "-enc_time_base", "1:1000", "-f", "null", "-"}).out, "") << i;
  const auto sought = run_command({"ffmpeg", "-v", "error", "-ss", std::to_string(seconds / 2), "-i", file, "-map", "0:v:0", "-frames:v", "1", "-f", "framemd5", "-"});
  EXPECT_NE(sought.out.find("\n0,"), std::string::npos) << "no picture after seeking: " << sought.out;
  EXPECT_LE(packets_of(file).furthest_back_ms, 7) << "in the order of time, but for the encoder's look-ahead that readers take off of sound";
}

std::vector<std::string> left_in(const fs::path& folder) {
  std::vector<std::string> names;
  if (fs::exists(folder))
    for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  return names;
}

TEST(Export, a_recording_becomes_one_picture_of_everybody_and_stays_as_it_is) {
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

  EXPECT_EQ(export_with({folder, "--composite", "--from", "100"}).status, 2);
  EXPECT_EQ(export_with({theatre.server.recordings(), "--composite"}).status, 2) << "no recording's folder";
  expect_sound(folder);  // exports change nothing of the recording
}

TEST(Export, all_tracks_become_one_file_frame_by_frame_as_they_were_recorded) {
  Theatre theatre;
  const fs::path folder = record(theatre.server, theatre.surgeon);
  const auto manifest = read_manifest(folder);
  const std::int64_t duration_ms = manifest.at("durationMs");
  const TemporaryFolder place;
  const fs::path file = place.path() / "it's [all], of \"it\".mkv";
  auto made = export_with({folder, "--tracks", "-o", file, "--json"});
  ASSERT_EQ(made.status, 0) << made.out;
  EXPECT_EQ(left_in(place.path()).size(), 1u) << "nothing else is left";
  expect_tracks_file(file, static_cast<double>(duration_ms) / 1000, 3, {"Begin", "Schnitt; '=#\\[a]"});

  const auto facts = probe(file);
  const auto packets = packets_of(file);
  ASSERT_EQ(manifest.at("tracks").size(), 3u);
  for (const auto& track : manifest.at("tracks")) {
    SCOPED_TRACE(track.at("label"));
    const int stream = stream_of(facts, "FEED_ID", track.at("feedId"));
    ASSERT_GE(stream, 0);
    const auto& tags = facts.at("streams")[static_cast<std::size_t>(stream)].at("tags");
    EXPECT_EQ(tags.at("LABEL"), track.at("label"));
    EXPECT_EQ(tags.at("PARTICIPANT"), track.at("participantIdentity"));
    EXPECT_EQ(tags.at("title"), track.at("participantIdentity").get<std::string>() + " (" + track.at("label").get<std::string>() + ")");
    EXPECT_FALSE(tags.contains("language")) << tags;
    expect_copied(packets.streams.at(stream), expected_packets(folder, track, 0));
  }
  EXPECT_EQ(facts.at("streams")[0].at("disposition").at("default"), 1);

  const auto before = fs::last_write_time(file);
  made = export_with({folder, "--tracks", "-o", file, "--json"});
  EXPECT_EQ(made.status, 0);
  EXPECT_EQ(told_by(made).at("wasThere"), true);
  EXPECT_EQ(fs::last_write_time(file), before) << "made once";
  EXPECT_EQ(export_with({folder, "--tracks", "--from", "1", "-o", file}).status, 1) << "never over another";
  expect_sound(folder);  // exports change nothing of the recording
}

TEST(Export, a_part_of_all_tracks_begins_at_the_keyframe_before_and_ends_where_it_should) {
  Theatre theatre;
  const fs::path folder = record(theatre.server, theatre.surgeon);
  auto made = export_with({folder, "--tracks", "--from", "1.25", "--to", "3", "--json"});
  ASSERT_EQ(made.status, 0) << made.out;
  const auto told = told_by(made);
  const std::int64_t from_ms = told.at("fromMs"), to_ms = 3000;
  EXPECT_LE(from_ms, 1250);
  EXPECT_EQ(told.at("durationMs"), to_ms - from_ms);
  const fs::path file = told.at("output").get<std::string>();
  EXPECT_EQ(file.parent_path(), folder / "exports");
  EXPECT_EQ(file.extension(), ".mkv");
  expect_tracks_file(file, static_cast<double>(to_ms - from_ms) / 1000, 3, {"Begin", "Schnitt; '=#\\[a]"});
  const auto facts = probe(file);
  const auto packets = packets_of(file);
  for (const auto& track : read_manifest(folder).at("tracks")) {
    SCOPED_TRACE(track.at("label"));
    const int stream = stream_of(facts, "FEED_ID", track.at("feedId"));
    auto recorded = expected_packets(folder, track, -from_ms);
    const std::int64_t early = track.at("codec") == "opus" ? 7 : 0;  // that readers take off
    std::erase_if(recorded, [&](const Packet& packet) { return packet.at_ms + early < 0 || packet.at_ms + early >= to_ms - from_ms; });
    while (!recorded.empty() && !recorded.front().keyframe) recorded.erase(recorded.begin());
    ASSERT_FALSE(recorded.empty());
    if (track.at("label") == "scope") {
      EXPECT_LE(recorded.front().at_ms, 1250 - from_ms) << "the picture is there at the time that was asked for";
    }
    expect_copied(packets.streams.at(stream), recorded);
  }
}

TEST(Export, a_sessions_recordings_follow_one_another_in_the_same_tracks) {
  Theatre theatre;
  std::vector<fs::path> folders;
  for (int i = 0; i < 2; ++i) {
    folders.push_back(record(theatre.server, theatre.surgeon));
    // The next one is of another size.
    OutgoingVideoComponents larger = numbered(VideoCodec::h264);
    larger.encoding.width = 480, larger.encoding.height = 270;
    theatre.video->stop();
    theatre.video = theatre.surgeon->addOutgoingVideoFeed("scope", larger);
    EXPECT_TRUE(theatre.surgeon.wait([&] { return theatre.video->statistics().frames > 0; }));
  }
  const TemporaryFolder place;
  const fs::path file = place.path() / "all.mkv";
  const auto made = export_with({theatre.server.recordings() / "theatre", "--session", "--tracks", "-o", file});
  ASSERT_EQ(made.status, 0) << made.out;
  const std::int64_t first_ms = read_manifest(folders[0]).at("durationMs"), second_ms = read_manifest(folders[1]).at("durationMs");
  expect_tracks_file(file, static_cast<double>(first_ms + second_ms) / 1000, 3, {"Recording 1", "Schnitt; '=#\\[a]", "Recording 2", "Schnitt; '=#\\[a]"});
  const auto facts = probe(file);
  const auto packets = packets_of(file);
  for (const auto& track : read_manifest(folders[0]).at("tracks")) {
    SCOPED_TRACE(track.at("label"));
    auto recorded = expected_packets(folders[0], track, 0);
    for (const auto& later : read_manifest(folders[1]).at("tracks"))
      if (later.at("label") == track.at("label")) {
        const auto more = expected_packets(folders[1], later, first_ms);
        recorded.insert(recorded.end(), more.begin(), more.end());
      }
    expect_copied(packets.streams.at(stream_of(facts, "LABEL", track.at("label"))), recorded);
  }
  const auto widths = run_command({"ffprobe", "-v", "error", "-select_streams", "0", "-show_entries", "frame=width", "-of", "csv=p=0", file}).out;
  EXPECT_NE(widths.find("320"), std::string::npos);
  EXPECT_NE(widths.find("480"), std::string::npos) << "a change of resolution decodes";
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

TEST(Export, cancelled_when_it_is_there_already_it_says_so) {
  Theatre theatre;
  const fs::path folder = record(theatre.server, theatre.surgeon);
  const TemporaryFolder place, programs;
  const fs::path file = place.path() / "x.mkv";
  ASSERT_EQ(export_with({folder, "--tracks", "-o", file}).status, 0);
  // The signal comes while it looks what lies there.
  std::ofstream(programs.path() / "ffprobe") << "#!/bin/sh\nkill -TERM $PPID\nexec /usr/bin/ffprobe \"$@\"\n";
  fs::permissions(programs.path() / "ffprobe", fs::perms::owner_all);
  const auto cancelled = run_command({"env", "PATH=" + programs.path().string() + ":/usr/bin:/bin", AMPHI_SERVER_BINARY, "export", folder, "--tracks", "-o", file});
  EXPECT_EQ(cancelled.status, 0) << cancelled.out;
  EXPECT_NE(cancelled.out.find("was there already"), std::string::npos) << cancelled.out;
  EXPECT_TRUE(fs::exists(file));
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
  const fs::path tracks = place.path() / "x.mkv";
  EXPECT_EQ(export_with({folder, "--tracks", "--recording-key", other, "-o", tracks}).status, 2);
  const auto copied = export_with({folder, "--tracks", "--recording-key", key, "-o", tracks});
  ASSERT_EQ(copied.status, 0) << copied.out;
  expect_tracks_file(tracks, seconds, 3, {"Begin", "Schnitt; '=#\\[a]"});
  EXPECT_EQ(left_in(place.path()).size(), 4u);
  EXPECT_EQ(run_command({AMPHI_SERVER_BINARY, "verify", folder.string(), "--recording-key", key}).status, 0);
}

TEST(Export, a_server_that_is_killed_while_it_exports_leaves_nothing_readable_past_its_next_start) {
  const TemporaryFolder place;
  std::ofstream(place.path() / "key") << std::string(64, '7');
  Theatre theatre({"--recording-key", place.path() / "key"});
  const fs::path folder = record(theatre.server, theatre.surgeon);
  const auto asked = http(theatre.server.port(), "POST", "/v1/sessions/theatre/recordings/" + folder.filename().string() + "/exports",
                          theatre.server.token("theatre", "control room", "record"), R"({"form": "composite"})");
  ASSERT_EQ(asked.status, 202) << asked.body;
  const auto is_plain = [](const fs::path& path) { return path.filename().string().starts_with("plain-"); };
  const auto decrypted = [&] {
    std::error_code error;
    for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
      if (is_plain(at->path())) return true;
    return false;
  };
  ASSERT_TRUE(theatre.surgeon.wait(decrypted));
  theatre.server.kill_now();
  EXPECT_TRUE(decrypted());
  theatre.server.start_again();
  EXPECT_TRUE(left_in(folder / "exports").empty());
}

}  // namespace
}  // namespace amphi::end_to_end
