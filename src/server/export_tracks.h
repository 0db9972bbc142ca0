// Recorded tracks, copied into one Matroska file (recording/export_tracks.h, recording/export_matroska.h): reads the pieces that the journals
// name, each decrypted by itself where that is needed, so that nothing readable lies anywhere else. Thread: any one; it blocks.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "recording/export_plan.h"
#include "recording/journal.h"
#include "recording/track_reader.h"
#include "runtime/folder.h"
#include "server/child_process.h"
#include "server/safekeeping.h"

namespace amphi::server {

class RecordedTracks {
 public:
  /// Errors: unauthorized (encrypted, and another key), invalid_argument (no journal).
  static Result<RecordedTracks> open(const std::vector<recording::ExportSource>& sources, const Safe& safe);

  /// A picture can be copied from a keyframe on only: `range`, begun where every picture in `plan` that is there at that time has one by `range.from_ms`.
  recording::ExportRange from_keyframes(const recording::ExportPlan& plan, recording::ExportRange range) const;

  /// Errors: storage, internal (cancelled).
  Result<void> copy(const recording::ExportPlan& plan, const std::string& comment, const std::string& output, const Cancelled& cancelled,
                    const std::function<void(double)>& tell) const;

 private:
  struct Recorded {
    runtime::Folder folder;
    recording::JournalContent journal;
    std::optional<recording::Sealer> sealer;
  };
  RecordedTracks() = default;
  Result<const recording::JournalTrack*> track(const recording::ExportPiece& piece) const;

  std::vector<Recorded> recorded_;  // by the source's number
};

}  // namespace amphi::server
