// The readers of WebM and MP4: any bytes as a piece or a head of a track's file, in each codec. A frame lies within its piece, and both readers agree.
#include "fuzz.h"
#include "recording/export_ffmpeg.h"
#include "recording/inspect.h"

using namespace amphi;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const Bytes piece = in.all();
  fuzz::require(recording::head_without_index(piece).size() <= piece.size(), "a head without its index is no larger");
  for (const auto codec : {rtp::CodecName::vp8, rtp::CodecName::h264, rtp::CodecName::opus}) {
    const auto frames = recording::frames_of_piece(codec, piece);
    const auto facts = recording::inspect_piece(codec, piece);
    fuzz::require(frames.has_value() == facts.has_value(), "both readers take the same pieces");
    recording::inspect_duration(codec, piece);
    if (!frames) continue;
    fuzz::require(!frames->empty() && facts->frames == frames->size(), "both readers count the same frames");
    for (const auto& frame : *frames)
      fuzz::require(frame.data.empty() || (frame.data.data() >= piece.data() && frame.data.data() + frame.data.size() <= piece.data() + piece.size()),
                    "a frame lies within its piece");
  }
  return 0;
}
