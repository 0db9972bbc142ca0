#include "export_theatre.h"

#include <cmath>
#include <fstream>

namespace amphi::end_to_end {
namespace {

namespace fs = std::filesystem;

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

}  // namespace

CommandResult export_with(std::vector<std::string> arguments) {
  std::vector<std::string> all{AMPHI_SERVER_BINARY, "export"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run_command(all);
}

nlohmann::json told_by(const CommandResult& made) { return nlohmann::json::parse(made.out.substr(std::min(made.out.find('{'), made.out.size()))); }

nlohmann::json probe(const fs::path& file) {
  const auto result = run_command({"ffprobe", "-v", "error", "-show_format", "-show_streams", "-show_chapters", "-of", "json", file.string()});
  return nlohmann::json::parse(result.out);
}

void record_on(SessionProbe& surgeon, std::int64_t ms) {
  const std::int64_t begun = surgeon->sessionRecordingState().totalRunningDurationMs();
  EXPECT_TRUE(surgeon.wait([&] { return surgeon->sessionRecordingState().totalRunningDurationMs() >= begun + ms; }, 20s));
}

fs::path record(ServerProcess& server, SessionProbe& surgeon) {
  EXPECT_TRUE(surgeon->requestSessionRecording(true));
  EXPECT_TRUE(surgeon.wait_recording(true)) << server.log();
  record_on(surgeon, 1500);
  EXPECT_TRUE(surgeon->addRecordingMarker("Schnitt; '=#\\[a]"));
  {
    SessionProbe student(server.session_url("theatre"), server.token("theatre", "Eve %{pts} ':[x],;\\"));
    EXPECT_TRUE(student.connect());
    const auto feed = student->addOutgoingVideoFeed("desk", numbered(VideoCodec::vp8));
    EXPECT_TRUE(student.wait([&] { return feed->statistics().frames > 0; }));
    record_on(surgeon, 1500);
  }
  record_on(surgeon, 1000);
  EXPECT_TRUE(surgeon->requestSessionRecording(false));
  EXPECT_TRUE(surgeon.wait_recording(false));
  return server.recordings() / "theatre" / surgeon->sessionRecordingState().recordingId;
}

Theatre::Theatre(const std::vector<std::string>& extra, const fs::path& recordings)
    : server(extra, recordings), surgeon(server.session_url("theatre"), server.token("theatre", "surgeon")) {
  EXPECT_TRUE(surgeon.connect()) << server.log();
  video = surgeon->addOutgoingVideoFeed("scope", numbered(VideoCodec::h264));
  audio = surgeon->setOutgoingAudioFeed("voice", AudioInputComponentTone{});
  EXPECT_TRUE(surgeon.wait([&] { return video->statistics().frames > 0 && audio->statistics().packets > 0; })) << server.log();
}

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

}  // namespace amphi::end_to_end
