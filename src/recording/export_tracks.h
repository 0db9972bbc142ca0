// An export's tracks, as they were received: which pieces go on in which of them, and the frames of each. Nothing is transcoded, and a frame's
// time changes only by its piece's place on the export's time line, to the millisecond. Pure: bytes come through the caller. Thread: any one.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "recording/export_plan.h"
#include "recording/inspect.h"
#include "recording/journal.h"

namespace amphi::recording {

/// One of the file's tracks: a feed, through all recordings, or what has the same owner, label and codec and came when it had gone.
struct ExportTrack {
  std::vector<ExportPiece> pieces;  // one after the other
};
/// Pictures, then sounds, each in the order in which they came.
std::vector<ExportTrack> export_tracks(const ExportPlan& plan);

/// The last time at which a copy of a picture can begin, `at_ms` or before, in milliseconds of its file; none: it begins later.
std::optional<std::int64_t> keyframe_before(const JournalTrack& track, std::int64_t at_ms);

/// The frames of one piece of an export, read as they are asked for.
class ExportFrames {
 public:
  using Read = std::function<Result<Bytes>(const Extent&)>;  // what lies there in the track's file, in plain
  struct Frame {
    std::int64_t at_ms = 0;       // when it is shown, on the export's time line
    std::int64_t decoded_ms = 0;  // not later; earlier where frames are shown in another order
    bool keyframe = false;
    ByteView data;           // until the next one is asked for
  };

  /// `track` outlives it. The first frame given is one that a decoder can start from.
  ExportFrames(const ExportPiece& piece, const JournalTrack& track, Read read);
  /// nullopt: the end. Errors: storage (a piece is not what the journal says).
  Result<std::optional<Frame>> next();

 private:
  /// False: there is none.
  Result<bool> read_piece();

  ExportPiece piece_;
  const JournalTrack* track_;
  Read read_;
  std::size_t next_piece_ = 0, next_frame_ = 0;
  Bytes data_;
  std::vector<PieceFrame> frames_;  // in data_
  bool begun_ = false;
};

}  // namespace amphi::recording
