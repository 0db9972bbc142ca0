// What the tests of exports share: a theatre that is recorded, exports made by the real command, and what lies in them as FFmpeg reads it. Thread: the test's.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "recorded_files.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {

CommandResult export_with(std::vector<std::string> arguments);
/// What an export with --json says at its end, behind its progress.
nlohmann::json told_by(const CommandResult& made);
nlohmann::json probe(const std::filesystem::path& file);
std::vector<std::string> left_in(const std::filesystem::path& folder);

struct Theatre {
  explicit Theatre(const std::vector<std::string>& extra = {}, const std::filesystem::path& recordings = {});
  ServerProcess server;
  SessionProbe surgeon;
  std::shared_ptr<OutgoingVideoFeed> video;
  std::shared_ptr<OutgoingAudioFeed> audio;
};
/// A surgeon throughout; a student in the middle, named as nobody should be.
std::filesystem::path record(ServerProcess& server, SessionProbe& surgeon);
/// Until the recording is so much longer.
void record_on(SessionProbe& surgeon, std::int64_t ms);

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
Packets packets_of(const std::filesystem::path& file);
/// What `track` of a manifest has to look like in an export that begins at `from_ms` of its recording.
std::vector<Packet> expected_packets(const std::filesystem::path& folder, const nlohmann::json& track, std::int64_t recording_at_ms);
void expect_copied(const std::vector<Packet>& made, const std::vector<Packet>& recorded);
/// A stream's number, by a tag of it.
int stream_of(const nlohmann::json& facts, const std::string& tag, const std::string& value);

void expect_composite(const std::filesystem::path& file, double seconds, const std::vector<std::string>& chapters);
void expect_tracks_file(const std::filesystem::path& file, double seconds, std::size_t streams, const std::vector<std::string>& chapters);

}  // namespace amphi::end_to_end
