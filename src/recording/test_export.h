// For tests of exports: recordings as their manifests tell of them, FFmpeg run as the export would, and what it made as numbers.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "recording/export_ffmpeg.h"
#include "recording/test_files.h"
#include "recording/test_media.h"

namespace amphi::recording::test {

inline Manifest::Track track(const std::string& who, rtp::CodecName codec, std::int64_t offset_ms, std::int64_t duration_ms) {
  Manifest::Track t;
  t.path = who + ".bin";
  t.codec.name = codec;
  t.offset_ms = offset_ms;
  t.duration_ms = duration_ms;
  t.participant_identity = who;
  return t;
}
inline Manifest::Track video(const std::string& who, std::int64_t offset_ms, std::int64_t duration_ms) { return track(who, rtp::CodecName::vp8, offset_ms, duration_ms); }
inline Manifest::Track audio(const std::string& who, std::int64_t offset_ms, std::int64_t duration_ms) { return track(who, rtp::CodecName::opus, offset_ms, duration_ms); }

inline ExportSource source(std::vector<Manifest::Track> tracks, std::int64_t duration_ms, std::vector<Marker> markers = {}) {
  ExportSource s;
  s.manifest.id = RecordingId("rec");
  s.manifest.duration_ms = duration_ms;
  s.manifest.tracks = std::move(tracks);
  s.manifest.markers = std::move(markers);
  s.folder = "/r";
  return s;
}

inline bool has(const std::vector<std::string>& arguments, const std::string& name, const std::string& value) {
  const auto found = std::find(arguments.begin(), arguments.end(), name);
  return found != arguments.end() && std::next(found) != arguments.end() && *std::next(found) == value;
}

/// `ffmpeg` with these arguments.
inline void run_ffmpeg(const std::vector<std::string>& arguments) {
  std::string command = "ffmpeg -v error -nostdin -y";
  for (const auto& argument : arguments) command += " '" + argument + "'";
  const auto result = run(command);
  EXPECT_EQ(result.status, 0) << command << "\n" << result.text;
}

/// What an export makes of it, in `folder`.
inline void run_ffmpeg(const TemporaryFolder& folder, FfmpegRun work, const std::vector<std::string>& more = {}) {
  (void)folder.write("graph", as_bytes(work.graph));
  work.arguments.insert(work.arguments.begin(), more.begin(), more.end());
  run_ffmpeg(work.arguments);
}
inline void render_scene(const TemporaryFolder& folder, const ExportPlan& plan, const ExportScene& scene, const std::string& output, const std::vector<std::string>& more = {}) {
  std::vector<std::string> names;
  for (const auto* pieces : {&plan.pictures, &plan.sounds})
    for (const ExportPiece& piece : *pieces) names.push_back(folder.write("name-" + std::to_string(names.size()), as_bytes(piece.name)));
  run_ffmpeg(folder, scene_run(plan, scene, names, folder.file("graph"), folder.file(output)), more);
}

/// "lavfi.…=VALUE" lines.
inline std::vector<double> values_in(const std::string& text) {
  std::vector<double> values;
  for (std::size_t at = 0; (at = text.find("lavfi.", at)) != std::string::npos;) values.push_back(std::stod(text.substr(at = text.find('=', at) + 1)));
  return values;
}

/// Of each frame, in the middle of a cell: 16 to 235.
inline std::vector<double> brightness(const std::string& file, const ExportCell& cell) {
  const std::string crop = "crop=40:40:" + std::to_string(cell.x + cell.width / 2 - 20) + ":" + std::to_string(cell.y + cell.height / 2 - 20);
  return values_in(run("ffmpeg -v error -i " + file + " -vf " + crop + ",signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=- -f null -").text);
}

}  // namespace amphi::recording::test
