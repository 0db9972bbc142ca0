// Exports of real recordings: all tracks in one file, one picture of everybody, a session's recordings joined; repeated ones.
#include <gtest/gtest.h>

#include <fstream>

#include "export_theatre.h"

namespace amphi::end_to_end {
namespace {

namespace fs = std::filesystem;

/// What stands at a time of a recording: as in the export, a picture is shown up to half a frame early.
std::optional<std::uint32_t> number_at(const fs::path& folder, const std::string& label, std::int64_t at_ms) {
  const auto manifest = read_manifest(folder);
  for (const auto& track : manifest.at("tracks")) {
    if (track.at("label") != label) continue;
    const auto packets = expected_packets(folder, track, 0);
    const auto numbers = decode_numbers(folder / track.at("path").get<std::string>()).numbers;
    EXPECT_EQ(numbers.size(), packets.size());
    std::size_t shown = 0;
    while (shown + 1 < numbers.size() && packets[shown + 1].at_ms <= at_ms + 17) ++shown;
    return numbers[shown];
  }
  return std::nullopt;
}

/// Of a composite that begins with one picture alone.
std::optional<std::uint32_t> first_number(const fs::path& composite) {
  const TemporaryFolder place;
  const std::string size = std::to_string(kNumberedWidth) + ":" + std::to_string(kNumberedHeight);
  (void)run_command({"ffmpeg", "-v", "error", "-i", composite, "-vf", "scale=" + size, "-frames:v", "1", "-qp", "0", place.path() / "one.mp4"});
  const auto numbers = decode_numbers(place.path() / "one.mp4").numbers;
  return numbers.empty() ? std::nullopt : numbers[0];
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
  const fs::path part = folder / "exports" / left_in(folder / "exports")[0];
  expect_composite(part, 1.75, chapters);
  EXPECT_EQ(first_number(part), number_at(folder, "scope", 1250));

  EXPECT_EQ(export_with({folder, "--composite", "--from", "100"}).status, 2);
  const auto backwards = export_with({folder, "--composite", "--from", "3", "--to", "1"});
  EXPECT_EQ(backwards.status, 2);
  EXPECT_NE(backwards.out.find("before it begins"), std::string::npos) << backwards.out;
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
  const auto manifest = read_manifest(folder);
  for (const auto& track : manifest.at("tracks")) {
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

TEST(Export, of_whom_is_away_at_its_beginning_no_keyframe_is_waited_for) {
  Theatre theatre;
  theatre.video->stop();
  const fs::path folder = record(theatre.server, theatre.surgeon);
  auto manifest = read_manifest(folder);
  ASSERT_EQ(manifest.at("tracks").size(), 2u) << manifest;
  std::int64_t from_ms = 0;
  for (auto& track : manifest.at("tracks")) {
    if (track.at("label") != "desk") continue;
    from_ms = track.at("offsetMs").get<std::int64_t>() + 1000;
    track["gaps"] = {{{"fromMs", from_ms - 200}, {"toMs", from_ms + 200}, {"reason", "absent"}, {"packets", 0}}};
  }
  std::ofstream(folder / "manifest.json") << manifest.dump(2);
  const auto made = export_with({folder, "--tracks", "--from", std::to_string(static_cast<double>(from_ms) / 1000), "--json"});
  ASSERT_EQ(made.status, 0) << made.out;
  EXPECT_EQ(told_by(made).at("fromMs"), from_ms);
}

TEST(Export, made_again_when_the_hashes_of_large_files_have_come_it_is_there) {
  Theatre theatre;
  const fs::path folder = record(theatre.server, theatre.surgeon), file = theatre.server.recordings() / "x.mkv";
  auto manifest = read_manifest(folder);
  const auto complete = manifest;
  for (auto& track : manifest.at("tracks")) track["sha256"] = "";
  std::ofstream(folder / "manifest.json") << manifest.dump(2);
  ASSERT_EQ(export_with({folder, "--tracks", "-o", file}).status, 0);
  std::ofstream(folder / "manifest.json") << complete.dump(2);
  const auto again = export_with({folder, "--tracks", "-o", file, "--json"});
  ASSERT_EQ(again.status, 0) << again.out;
  EXPECT_EQ(told_by(again).at("wasThere"), true);
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
  const auto first = read_manifest(folders[0]), second = read_manifest(folders[1]);
  const std::int64_t first_ms = first.at("durationMs"), second_ms = second.at("durationMs");
  expect_tracks_file(file, static_cast<double>(first_ms + second_ms) / 1000, 3, {"Recording 1", "Schnitt; '=#\\[a]", "Recording 2", "Schnitt; '=#\\[a]"});
  const auto facts = probe(file);
  const auto packets = packets_of(file);
  for (const auto& track : first.at("tracks")) {
    SCOPED_TRACE(track.at("label"));
    auto recorded = expected_packets(folders[0], track, 0);
    for (const auto& later : second.at("tracks"))
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

}  // namespace
}  // namespace amphi::end_to_end
