// How exports end that are not made: cancelled, killed, with the wrong key, without room. Nothing is left of them, and nothing that was encrypted stays readable.
#include <gtest/gtest.h>

#include <fstream>

#include "export_theatre.h"
#include "raw_client.h"
#include "small_disk.h"

namespace amphi::end_to_end {
namespace {

namespace fs = std::filesystem;

/// With an FFmpeg that does something before it begins.
CommandResult export_with_ffmpeg(const std::string& before, std::vector<std::string> arguments) {
  const TemporaryFolder programs;
  std::ofstream(programs.path() / "ffmpeg") << "#!/bin/sh\n" << before << "\nexec /usr/bin/ffmpeg \"$@\"\n";
  fs::permissions(programs.path() / "ffmpeg", fs::perms::owner_all);
  std::vector<std::string> all{"env", "PATH=" + programs.path().string() + ":/usr/bin:/bin", AMPHI_SERVER_BINARY, "export"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run_command(all);
}

TEST(ExportEnd, whatever_tells_it_to_end_nothing_decrypted_stays) {
  const TemporaryFolder keys;
  std::ofstream(keys.path() / "key") << std::string(64, '7');
  Theatre theatre({"--recording-key", keys.path() / "key"});
  const fs::path folder = record(theatre.server, theatre.surgeon);
  for (const std::string signal : {"INT", "TERM", "HUP", "QUIT"}) {
    SCOPED_TRACE(signal);
    const TemporaryFolder place;
    const auto told = export_with_ffmpeg("kill -" + signal + " $PPID", {folder, "--composite", "--recording-key", keys.path() / "key", "-o", place.path() / "x.mp4"});
    EXPECT_EQ(told.status, 130) << told.out;
    EXPECT_TRUE(left_in(place.path()).empty());
  }
  const TemporaryFolder place;
  const std::string command = std::string(AMPHI_SERVER_BINARY) + " export " + folder.string() + " --composite --progress-json --recording-key " + (keys.path() / "key").string() +
                              " -o " + (place.path() / "x.mp4").string() + " | true";
  (void)run_command({"sh", "-c", command});
  EXPECT_EQ(left_in(place.path()), std::vector<std::string>{"x.mp4"}) << "who reads the progress may go";
}

TEST(ExportEnd, what_recordings_need_stays_free) {
  if (!SmallDisk::can_be(SmallDisk::Kind::tmpfs)) GTEST_SKIP() << "run as root: only that may mount a disk";
  SmallDisk disk(SmallDisk::Kind::tmpfs, 60);
  Theatre theatre;
  const fs::path folder = record(theatre.server, theatre.surgeon), file = disk.path() / "x.mp4";
  for (const std::string form : {"--composite", "--tracks"}) {
    const auto refused = export_with({folder, form, "--recording-reserve-mb", "65", "-o", file});
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.out.find("--recording-reserve-mb"), std::string::npos) << refused.out;
    EXPECT_TRUE(left_in(disk.path()).empty());
  }
  // Somebody else takes it while it is made.
  const auto ended = export_with_ffmpeg("head -c 45000000 /dev/zero > " + (disk.path() / "others").string(), {folder, "--composite", "--recording-reserve-mb", "20", "-o", file});
  EXPECT_EQ(ended.status, 1);
  EXPECT_NE(ended.out.find("--recording-reserve-mb"), std::string::npos) << ended.out;
  EXPECT_EQ(left_in(disk.path()), std::vector<std::string>{"others"});
  EXPECT_EQ(export_with({folder, "--composite", "--recording-reserve-mb", "5", "-o", file}).status, 0);
}

TEST(ExportEnd, over_rest_one_without_room_is_refused_and_a_recording_goes_on) {
  if (!SmallDisk::can_be(SmallDisk::Kind::tmpfs)) GTEST_SKIP() << "run as root: only that may mount a disk";
  SmallDisk disk(SmallDisk::Kind::tmpfs, 60);
  Theatre theatre({"--recording-reserve-mb", "16"}, disk.path() / "recordings");
  const fs::path folder = record(theatre.server, theatre.surgeon);
  ASSERT_TRUE(theatre.surgeon->requestSessionRecording(true));
  ASSERT_TRUE(theatre.surgeon.wait_recording(true));
  disk.fill(14'000'000);  // half the reserve would end it
  const auto refused = http(theatre.server.port(), "POST", "/v1/sessions/theatre/recordings/" + folder.filename().string() + "/exports",
                            theatre.server.token("theatre", "control room", "record"), R"({"form": "tracks"})");
  EXPECT_EQ(refused.status, 507);
  EXPECT_EQ(nlohmann::json::parse(refused.body).at("code"), "storage") << refused.body;
  EXPECT_TRUE(left_in(folder / "exports").empty());
  EXPECT_TRUE(theatre.surgeon->sessionRecordingState().on);
}

TEST(ExportEnd, cancelled_it_leaves_nothing_and_begins_anew) {
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

TEST(ExportEnd, cancelled_when_it_is_there_already_it_says_so) {
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

TEST(ExportEnd, an_encrypted_recording_needs_its_key_and_leaves_nothing_readable_behind) {
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

TEST(ExportEnd, a_server_that_is_killed_while_it_exports_leaves_nothing_readable_past_its_next_start) {
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
