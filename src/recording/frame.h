// One coded frame, whole, as the sender made it: what lies between packets and files.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "rtp/h264_order.h"
#include "rtp/seq.h"

namespace amphi::recording {

struct Frame {
  rtp::WireTimestamp timestamp = 0;  // when it is shown
  Time timed;               // the arrival of the frame that came with this timestamp
  Time arrival;             // of the packet of it that came first
  bool keyframe = false;    // always, for audio
  bool bidirectional = false;  // H.264 with B slices: may be shown before frames that were sent before it
  std::optional<rtp::H264Order> order;  // of H.264, where its slices say it
  bool after_damage = false;   // frames before it were dropped because their packets were damaged or incomplete
  std::uint32_t packets = 0;   // that carried it
  std::uint32_t width = 0;  // of a video keyframe
  std::uint32_t height = 0;
  std::vector<Bytes> sps;  // of an H.264 keyframe: the parameter sets in force
  std::vector<Bytes> pps;
  Bytes data;  // VP8 frame, Opus packet, or H.264 NAL units, each behind its 32-bit length
};

}  // namespace amphi::recording
