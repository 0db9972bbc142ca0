// What H.264 says of a picture's NAL units: the parameter sets in force, and whether a picture's slices are all of one picture, in order
// and decodable (ITU-T H.264 7.4.1.2). Thread: the recorder's.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "recording/drops.h"
#include "recording/frame.h"
#include "rtp/h264.h"
#include "rtp/h264_order.h"

namespace amphi::recording {

/// The parameter sets that a stream has sent, by id. At most 32 SPS and 256 PPS, each of at most kMaxSetBytes.
class H264ParameterSets {
 public:
  static constexpr std::size_t kMaxSetBytes = 4096;

  /// The same SPS or PPS, byte for byte, is in force.
  bool contains(ByteView nal) const;
  /// Takes an SPS or a PPS. False: it does not parse, and is not used.
  bool add(ByteView nal);
  struct Active {
    const rtp::H264Sps& sps;
    const rtp::H264Pps& pps;
  };
  /// What a slice with this PPS refers to; nullopt: unknown.
  std::optional<Active> find(std::uint8_t pps) const;
  bool empty() const { return sps_.empty() || pps_.empty(); }
  /// Fills in what a keyframe's decoder needs: the sets, the active SPS first, and the size.
  void describe(Frame& keyframe, std::uint8_t pps) const;

 private:
  struct Sps {
    Bytes nal;
    rtp::H264Sps parsed;
  };
  struct Pps {
    Bytes nal;
    rtp::H264Pps parsed;
  };
  std::map<std::uint8_t, Sps> sps_;
  std::map<std::uint8_t, Pps> pps_;
};

/// The NAL units of one picture, in the order in which they came.
class H264Picture {
 public:
  /// `sets` has the parameter sets that were sent before this unit; `orders` counts the stream's pictures; `is_known`: the unit is one of them, sent again. Why the picture cannot be
  /// decoded as a whole; nullopt: it still can.
  std::optional<Drop> take(Bytes nal, const H264ParameterSets& sets, rtp::H264OrderCounter& orders, bool is_known = false);
  bool has_slices() const { return slices_ > 0; }
  std::size_t slices() const { return slices_; }
  bool empty() const { return units_.empty(); }
  bool keyframe() const { return slices_ > 0 && frame_.keyframe; }
  bool has_sps() const { return has_sps_; }
  std::size_t bytes() const { return bytes_; }
  /// Units behind the last slice that belong to the next picture (7.4.1.2.3), and are taken from this one.
  std::vector<Bytes> take_next();
  /// The picture as a frame without its times: each unit behind its 32-bit length, and of a keyframe its size and parameter sets, all of
  /// which stand in its data too.
  Frame finish();

 private:
  std::optional<Drop> take_slice(ByteView nal, unsigned type, const H264ParameterSets& sets, rtp::H264OrderCounter& orders);
  void drop_repeated_sets();
  void add_missing_sets();

  std::vector<Bytes> units_;
  std::optional<std::size_t> next_begins_;  // where units begin that cannot follow a slice of the same picture
  bool decoder_changes_ = false;            // by one of those units: no further slice of this picture may follow
  std::size_t bytes_ = 0;
  std::size_t slices_ = 0;
  std::uint32_t last_macroblock_ = 0;  // where the newest slice begins
  bool has_sps_ = false;
  Frame frame_;  // without its data
};

}  // namespace amphi::recording
