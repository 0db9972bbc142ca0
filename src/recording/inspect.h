// Reads what a track's file holds without having written it: the pieces and the head, as any player would. Takes any bytes.
// Thread: any; these are pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "rtp/codec.h"

namespace amphi::recording {

/// Of one cluster or fragment, in ticks of its file.
struct PieceFacts {
  std::int64_t first = 0;  // when the first of its frames is shown
  std::int64_t first_decoded = 0, last_decoded = 0;
  std::uint64_t frames = 0;
  bool keyframe = false;   // begins with one
  bool times_grow = true;  // those of decoding strictly, and no two frames are shown at once
};

/// One frame of a piece; `data` lies within the piece.
struct PieceFrame {
  std::int64_t time = 0;     // when it is shown, in ticks of its file
  std::int64_t decoded = 0;  // another time than that only where frames are shown in another order than they are decoded
  bool keyframe = false;  // always, for audio
  ByteView data;
};

/// In the order of the file, at least one. nullopt: not exactly one cluster (WebM) or one moof and mdat (MP4), or one that does not hold what it says.
std::optional<std::vector<PieceFrame>> frames_of_piece(rtp::CodecName codec, ByteView data);
/// The same in short.
std::optional<PieceFacts> inspect_piece(rtp::CodecName codec, ByteView data);
/// How long the file says it lasts, in ms; nullopt: it does not say, or is no such head.
std::optional<std::int64_t> inspect_duration(rtp::CodecName codec, ByteView head);

}  // namespace amphi::recording
