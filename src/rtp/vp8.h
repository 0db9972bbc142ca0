// VP8 payload descriptor and payload header (RFC 7741 4.2, 4.3), and the size in a keyframe's header (RFC 6386 9.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace amphi::rtp {

struct Vp8Descriptor {
  bool start_of_partition = false;
  std::uint8_t partition = 0;
  std::optional<std::uint16_t> picture_id;  // 7 or 15 bits, as the sender chose
  std::optional<std::uint8_t> tl0_pic_idx;
  std::optional<std::uint8_t> temporal_id;
  bool keyframe = false;    // only meaningful when start_of_partition && partition == 0
  std::uint16_t width = 0;  // of a keyframe whose header is whole in this payload; else 0
  std::uint16_t height = 0;
  std::size_t size = 0;  // of the descriptor: the VP8 data starts there
};

/// nullopt: truncated, or nothing after the descriptor, or a keyframe start without its start code.
std::optional<Vp8Descriptor> parse_vp8(ByteView payload);

}  // namespace amphi::rtp
