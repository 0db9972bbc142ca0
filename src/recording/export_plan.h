// What is to be shown when: recordings laid end to end on the export's time line, the grid of pictures in each of its scenes, the sound
// that is mixed, and the chapters. Pure; any thread. What FFmpeg is to do for it: recording/export_ffmpeg.h.
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
  std::string head{};               // a file that stands for its first `head_bytes`; empty: it is read as it is
  std::uint64_t head_bytes = 0;
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
  std::size_t piece = 0;  // of ExportPlan::pictures, or of its sounds
  bool voice = false;     // of sounds: somebody who is heard, and shows nothing
  int x = 0, y = 0, width = 0, height = 0;
  bool operator==(const ExportCell&) const = default;
};

/// A stretch of time in which the grid stays as it is. Frames are counted on the export's own clock, so that nothing adds up.
struct ExportScene {
  std::int64_t first_frame = 0;
  std::int64_t frames = 0;
  std::vector<ExportCell> cells;  // empty: nobody is there
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

/// The number of the export's frame that stands for a time.
std::int64_t frame_at(std::int64_t ms);

/// n cells of equal size in reading order, as near to a square as it goes.
std::vector<ExportCell> grid(std::size_t n);

}  // namespace amphi::recording
