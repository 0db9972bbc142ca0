// When the pictures of an H.264 stream are shown: the picture order count that their slices carry (ITU-T H.264 8.2.1), for
// pic_order_cnt_type 0 and 1. Pictures of type 2 are shown in the order of decoding. Hostile slices give any count, and nothing else.
// Thread: its owner's.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "rtp/h264.h"
#include "rtp/h264_slice.h"

namespace amphi::rtp {

struct H264Order {
  std::int64_t count = 0;      // since the newest beginning; the picture with the lower count is shown first
  bool begins = false;         // pictures before are shown before: an IDR picture, or memory_management_control_operation 5
  std::uint8_t reordered = 0;  // at most so many pictures are sent before a picture and shown after it; not to be relied on
};

class H264OrderCounter {
 public:
  /// The first slice of each picture, in the order of decoding. nullopt: type 2, or the header is truncated.
  std::optional<H264Order> next(ByteView slice, const H264Sps& sps, const H264Pps& pps);
  std::optional<H264Order> next(const H264SliceHeader& picture, const H264Sps& sps);

 private:
  std::int64_t count_lsb(const H264SliceHeader& header, const H264Sps& sps);
  std::int64_t count_cycle(const H264SliceHeader& header, const H264Sps& sps);

  std::int64_t reference_ = 0;  // of type 0: the count of the newest reference picture
  std::int64_t number_ = 0;     // of type 1: frame_num of the newest picture, and its multiple of MaxFrameNum
  std::int64_t offset_ = 0;
};

}  // namespace amphi::rtp
