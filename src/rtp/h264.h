// H.264 in RTP (RFC 6184, packetization modes 0 and 1: single NAL units, STAP-A, FU-A), and the headers of its
// parameter sets and slices (ITU-T H.264 7.3.2.1.1, 7.3.2.2, 7.3.3).
#pragma once

#include <array>
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

/// Turns payloads into NAL units, without start codes. A payload or a reassembled fragment that contains start codes (Annex B) is split
/// at them: emulation prevention (7.4.1) keeps 00 00 01 out of every NAL unit. One thread; one per stream.
class H264Depacketizer {
 public:
  /// Feeds one in-order payload and appends the NAL units that it completes. False: malformed, a fragment without its
  /// start, or a fragment before it was left without its end (which is dropped; what this payload holds is appended).
  bool add(ByteView payload, std::vector<Bytes>& nal_units);
  /// The payload is a NAL unit of a type that RFC 6184 5.4 says to ignore (0, 30, 31). `add` must not see it.
  static bool is_ignored(ByteView payload);
  /// NAL units of such types, and of those that H.264 reserves, that `add` skipped inside payloads and fragments.
  std::uint64_t ignored_units() const { return ignored_; }
  /// After a loss: forgets an unfinished fragment.
  void reset();
  /// A fragment has begun and its end is still to come.
  bool in_fragment() const { return !fragment_.empty(); }

 private:
  bool append_units(Bytes nal, std::vector<Bytes>& out);
  bool append_unit(Bytes nal, std::vector<Bytes>& out);
  bool add_aggregate(ByteView units, std::vector<Bytes>& nal_units);
  bool add_fragment(ByteView payload, std::vector<Bytes>& nal_units);

  Bytes fragment_;  // empty: none is open
  std::uint64_t ignored_ = 0;
};

/// Of pic_order_cnt_type 1 (7.4.2.1.1).
struct H264OrderCycle {
  bool deltas = false;  // slices carry delta_pic_order_cnt
  std::int32_t non_reference = 0;
  std::int32_t top_to_bottom = 0;
  std::vector<std::int32_t> references;
};

struct H264Sps {
  std::uint8_t id = 0;
  std::uint32_t macroblocks = 0;  // of a frame
  std::uint16_t width = 0;  // after cropping
  std::uint16_t height = 0;
  std::uint8_t profile_idc = 0;
  std::uint8_t constraint_flags = 0;  // the byte as it is in the stream
  std::uint8_t level_idc = 0;
  Bytes decoding;  // what decoding depends on: the bits from the id up to the VUI
  bool separate_planes = false;
  bool chroma = true;            // in the slices: neither monochrome nor separate planes
  bool fields = false;           // pictures may be fields
  std::uint8_t number_bits = 0;  // of frame_num
  bool number_gaps = false;      // frame_num may have gaps
  std::uint8_t order_type = 2;   // pic_order_cnt_type
  std::uint8_t order_bits = 0;   // of pic_order_cnt_lsb, of type 0
  H264OrderCycle cycle;          // of type 1
  std::uint8_t reordered = 16;   // at most so many frames are sent before a frame and shown after it (E.2.1, max_num_reorder_frames)
};

/// `nal` starts with its one-byte header. nullopt: not an SPS, truncated, or beyond what the standard allows.
std::optional<H264Sps> parse_sps(ByteView nal);

struct H264Pps {
  std::uint8_t id = 0;
  std::uint8_t sps = 0;
  bool slice_groups = false;  // flexible macroblock ordering
  bool complete = false;      // the fields below are known
  bool field_order = false;   // slices carry delta_pic_order_cnt_bottom, or the second delta_pic_order_cnt
  std::array<std::uint32_t, 2> references{};  // the default lengths of both lists
  bool weighted = false, weighted_bidirectional = false;  // P and B slices carry weights
  bool redundant = false;     // slices carry redundant_pic_cnt
};

/// nullopt: not a PPS, truncated, or beyond the standard's limits.
std::optional<H264Pps> parse_pps(ByteView nal);

struct H264Slice {
  std::uint32_t first_macroblock = 0;  // 0: the slice begins a picture
  std::uint8_t pps = 0;
  bool bidirectional = false;  // a B slice
  bool intra = false;          // an I or SI slice
  bool reference = false;      // of a picture that others may refer to
};

/// The beginning of the header of a slice (NAL unit types 1 and 5). nullopt: another type, truncated, or beyond the standard's limits.
std::optional<H264Slice> parse_slice(ByteView nal);

}  // namespace amphi::rtp
