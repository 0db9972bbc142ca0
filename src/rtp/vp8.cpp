#include "rtp/vp8.h"

namespace amphi::rtp {
namespace {

/// The keyframe header of RFC 6386 9.1: a frame tag of 3 bytes, a start code of 3, then 14 bits each of width and
/// height.
bool parse_keyframe(ByteReader in, Vp8Descriptor& out) {
  in.skip(3);
  const std::uint32_t start_code = in.u24();
  if (!in.ok()) return true;  // cut by the packet's end: legal, if odd
  if (start_code != 0x9d012a) return false;
  const std::uint32_t sizes = in.u32();  // two little-endian 16-bit numbers; 0 where they are cut off
  out.width = static_cast<std::uint16_t>(sizes >> 24 | (sizes >> 16 & 0x3f) << 8);
  out.height = static_cast<std::uint16_t>((sizes >> 8 & 0xff) | (sizes & 0x3f) << 8);
  return true;
}

}  // namespace

std::optional<Vp8Descriptor> parse_vp8(ByteView payload) {
  ByteReader in(payload);
  Vp8Descriptor out;
  const std::uint8_t first = in.u8();
  out.start_of_partition = first & 0x10;
  out.partition = first & 7;
  if (first & 0x80) {
    const std::uint8_t present = in.u8();
    if (present & 0x80) {
      const std::uint8_t high = in.u8();
      out.picture_id = high & 0x80 ? static_cast<std::uint16_t>((high & 0x7f) << 8 | in.u8()) : high;
    }
    if (present & 0x40) out.tl0_pic_idx = in.u8();
    if (present & 0x30) {
      const std::uint8_t layer = in.u8();
      if (present & 0x20) out.temporal_id = static_cast<std::uint8_t>(layer >> 6);
    }
  }
  out.size = in.position();
  if (!in.ok() || in.remaining() == 0) return std::nullopt;

  if (out.start_of_partition && out.partition == 0) {
    out.keyframe = (static_cast<unsigned>(payload[out.size]) & 1) == 0;
    if (out.keyframe && !parse_keyframe(in, out)) return std::nullopt;
  }
  return out;
}

}  // namespace amphi::rtp
