// H.264 in RTP (RFC 6184, packetization modes 0 and 1: single NAL units, STAP-A, FU-A), and what a sequence parameter
// set says of the picture (ITU-T H.264 7.3.2.1.1).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace amphi::rtp {

/// A sequence parameter set or an IDR slice begins in this payload. Where a sender sends SPS, PPS and IDR in packets
/// of their own, that is so for the first and the third.
bool is_h264_keyframe_start(ByteView payload);

/// A sequence parameter set begins in this payload.
bool has_h264_sps(ByteView payload);

/// Turns payloads into NAL units, without start codes. One thread; one per stream.
class H264Depacketizer {
 public:
  /// Feeds one in-order payload and appends the NAL units that it completes. False: malformed, a fragment without its
  /// start, or a fragment before it was left without its end (which is dropped; what this payload holds is appended).
  bool add(ByteView payload, std::vector<Bytes>& nal_units);
  /// After a loss: forgets an unfinished fragment.
  void reset();

 private:
  bool add_aggregate(ByteView units, std::vector<Bytes>& nal_units);
  bool add_fragment(ByteView payload, std::vector<Bytes>& nal_units);

  Bytes fragment_;  // empty: none is open
};

struct H264Sps {
  std::uint16_t width = 0;  // after cropping
  std::uint16_t height = 0;
  std::uint8_t profile_idc = 0;
  std::uint8_t constraint_flags = 0;  // the byte as it is in the stream
  std::uint8_t level_idc = 0;
};

/// `nal` starts with its one-byte header. nullopt: not an SPS, truncated, or beyond what the standard allows.
std::optional<H264Sps> parse_sps(ByteView nal);

}  // namespace amphi::rtp
