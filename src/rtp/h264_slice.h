// The header of an H.264 slice (ITU-T H.264 7.3.3) up to its reference marking, read with the parameter sets that it refers to.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "rtp/h264.h"

namespace amphi::rtp {

struct H264SliceHeader {
  bool idr = false, reference = false;
  bool field = false, bottom = false;  // a field; a bottom field
  std::int64_t number = 0;             // frame_num
  std::int64_t lsb = 0;                // pic_order_cnt_lsb
  std::int64_t delta[2] = {};          // of type 0: the second, delta_pic_order_cnt_bottom; of type 1: delta_pic_order_cnt
  bool anew = false;                   // memory_management_control_operation 5
};

/// nullopt: truncated.
std::optional<H264SliceHeader> parse_slice_header(ByteView slice, const H264Sps& sps, const H264Pps& pps);

}  // namespace amphi::rtp
