// What is to be shown when: recordings laid end to end on the export's time line, the grid of pictures in each of its scenes, the sound
// that is mixed, and the chapters. Says what FFmpeg is to do with which file; runs nothing. Pure; any thread.
//
// Times are milliseconds on the export's time line, 0 being its first frame, unless said otherwise.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "recording/recorder.h"

namespace amphi::recording {

constexpr int kExportWidth = 1280, kExportHeight = 720, kExportFramesPerSecond = 30;

/// One recording that goes into an export, in the order of their beginnings.
struct ExportSource {
  Manifest manifest;
  std::string folder;  // with the tracks' files, as a player could read them
};

/// Of the joined recordings' time line.
struct ExportRange {
  std::int64_t from_ms = 0;
  std::optional<std::int64_t> to_ms;  // none: to the end
};

/// A stretch of a track's file.
struct ExportPiece {
  std::size_t source = 0;           // of the export's, by number
  std::string path;                 // in its folder
  std::string file;                 // both
  std::int64_t at_ms = 0;           // where it begins
  std::int64_t duration_ms = 0;
  std::int64_t file_from_ms = 0;    // in the file
  std::optional<std::int64_t> file_to_ms;  // none: to its end
  std::string name;                 // who it is, for people
  std::string participant, label;   // the same by its parts
  FeedId feed;
  rtp::Codec codec;
  std::vector<std::pair<std::int64_t, std::int64_t>> absent_ms{};  // when nobody was there, on the export's time line
};

struct ExportCell {
  std::size_t piece = 0;  // of ExportPlan::pictures
  int x = 0, y = 0, width = 0, height = 0;
};

/// A stretch of time in which the grid stays as it is. Frames are counted on the export's own clock, so that nothing adds up.
struct ExportScene {
  std::int64_t first_frame = 0;
  std::int64_t frames = 0;
  std::vector<ExportCell> cells;  // empty: nobody shows anything
};

struct ExportChapter {
  std::int64_t from_ms = 0, to_ms = 0;
  std::string title;
};

struct ExportPlan {
  WallTime begun;  // for people
  std::int64_t duration_ms = 0;
  std::vector<ExportPiece> pictures;
  std::vector<ExportPiece> sounds;
  std::vector<ExportScene> scenes;  // without a hole, from 0 to the end
  std::vector<ExportChapter> chapters;
};

/// Errors: invalid_argument (nothing to export in that range).
Result<ExportPlan> plan_export(const std::vector<ExportSource>& sources, const ExportRange& range);

/// n cells of equal size in reading order, as near to a square as it goes.
std::vector<ExportCell> grid(std::size_t n);

// --- in FFmpeg's words ------------------------------------------------------------------------------------------------------------

/// Arguments behind `ffmpeg` that render one scene to `output`. `name_files[i]`: a file with the name of plan.pictures[i].
std::vector<std::string> scene_arguments(const ExportPlan& plan, const ExportScene& scene, const std::vector<std::string>& name_files,
                                         const std::string& font, const std::string& output);
/// All sounds mixed; plan.sounds is not empty.
std::vector<std::string> sound_arguments(const ExportPlan& plan, const std::string& output);
/// The list for FFmpeg's concat demuxer: one file per scene, by plain names, beside the list.
std::string scene_list(const ExportPlan& plan, const std::vector<std::string>& files);
/// FFmpeg's metadata file: the chapters.
std::string chapters_text(const ExportPlan& plan);
/// Puts them together, playable from the first byte on. `sound`: empty: there is none.
std::vector<std::string> join_arguments(const std::string& list, const std::string& sound, const std::string& chapters, const std::string& comment,
                                        const std::string& output);

}  // namespace amphi::recording
