#include "rtp/vp8_frame.h"

#include <cstddef>
#include <cstdint>

namespace amphi::rtp {
namespace {

unsigned at(ByteView data, std::size_t i) { return static_cast<unsigned>(data[i]); }

/// The boolean decoder of RFC 6386 7.3, for bits that are as likely 0 as 1. Behind the end it reads zeros, as decoders do.
class BoolReader {
 public:
  explicit BoolReader(ByteView data) : data_(data) {
    value_ = next() << 8;
    value_ |= next();
  }
  bool bit() {
    const std::uint32_t split = 1 + ((range_ - 1) >> 1);
    const bool set = value_ >= split << 8;
    if (set) {
      range_ -= split;
      value_ -= split << 8;
    } else {
      range_ = split;
    }
    while (range_ < 128) {
      value_ <<= 1;
      range_ <<= 1;
      if (++shifted_ < 8) continue;
      shifted_ = 0;
      value_ |= next();
    }
    return set;
  }
  unsigned bits(int count) {
    unsigned value = 0;
    while (count-- > 0) value = value << 1 | (bit() ? 1u : 0u);
    return value;
  }
  /// Values that are there only behind a set bit, each with a sign.
  void skip_deltas(int count, int width) {
    while (count-- > 0)
      if (bit()) bits(width + 1);
  }

 private:
  std::uint32_t next() { return at_ < data_.size() ? at(data_, at_++) : 0; }

  ByteView data_;
  std::size_t at_ = 0;
  std::uint32_t value_ = 0, range_ = 255;
  int shifted_ = 0;
};

/// The fields up to the number of partitions (19.2).
std::size_t count_partitions(ByteView first_partition, bool keyframe) {
  BoolReader in(first_partition);
  if (keyframe) in.bits(2);  // color space, clamping
  if (in.bit()) {            // segmentation
    const bool map = in.bit();
    if (in.bit()) {
      in.bit();
      in.skip_deltas(4, 7);
      in.skip_deltas(4, 6);
    }
    for (int i = 0; map && i < 3; ++i)
      if (in.bit()) in.bits(8);
  }
  in.bits(10);  // filter type, level, sharpness
  if (in.bit() && in.bit()) in.skip_deltas(8, 6);
  return std::size_t{1} << in.bits(2);
}

/// The start code and the size of a keyframe (9.1).
bool read_size(ByteView frame, Vp8FrameHeader& out) {
  out.width = static_cast<std::uint16_t>(at(frame, 6) | (at(frame, 7) & 0x3f) << 8);
  out.height = static_cast<std::uint16_t>(at(frame, 8) | (at(frame, 9) & 0x3f) << 8);
  return at(frame, 3) == 0x9d && at(frame, 4) == 0x01 && at(frame, 5) == 0x2a && out.width > 0 && out.height > 0;
}

}  // namespace

std::optional<Vp8FrameHeader> parse_vp8_frame(ByteView frame) {
  if (frame.size() < 3) return std::nullopt;
  Vp8FrameHeader out;
  out.keyframe = (at(frame, 0) & 1) == 0;
  const unsigned version = at(frame, 0) >> 1 & 7;
  const std::size_t first = (at(frame, 0) | at(frame, 1) << 8 | at(frame, 2) << 16) >> 5;
  const std::size_t header = out.keyframe ? 10 : 3;
  if (version > 3 || first == 0 || frame.size() < header || first > frame.size() - header) return std::nullopt;
  if (out.keyframe && !read_size(frame, out)) return std::nullopt;
  const std::size_t partitions = count_partitions(frame.subspan(header, first), out.keyframe);
  ByteView rest = frame.subspan(header + first);
  const std::size_t sizes = 3 * (partitions - 1);
  if (rest.size() < sizes) return std::nullopt;
  std::size_t needed = sizes;
  for (std::size_t i = 0; i < sizes; i += 3) needed += at(rest, i) | at(rest, i + 1) << 8 | at(rest, i + 2) << 16;
  return needed <= rest.size() ? std::optional(out) : std::nullopt;
}

}  // namespace amphi::rtp
