// The header of a whole VP8 frame, and the sizes of its partitions (RFC 6386 9.1 to 9.6, 19.2).
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace amphi::rtp {

struct Vp8FrameHeader {
  bool keyframe = false;
  std::uint16_t width = 0;  // of a keyframe
  std::uint16_t height = 0;
};

/// nullopt: the frame's header, or a partition that it announces, does not lie within it, and a decoder refuses the frame.
/// The last partition has no size of its own, so a frame whose end is cut off can pass.
std::optional<Vp8FrameHeader> parse_vp8_frame(ByteView frame);

}  // namespace amphi::rtp
