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
#include "rtp/h264_references.h"

namespace amphi::recording {

/// The parameter sets that a stream has sent, by id. At most 32 SPS and 256 PPS, each of at most kMaxSetBytes.
/// From an IDR picture on, the SPS that it refers to stays in force up to the next one (7.4.1.2.1). A set of the same id that decodes otherwise
/// waits until then, and so do the PPS that came with it.
class H264ParameterSets {
 public:
  static constexpr std::size_t kMaxSetBytes = 4096;

  /// The same SPS or PPS, byte for byte, is in force.
  bool contains(ByteView nal) const;
  /// Takes an SPS or a PPS. False: it does not parse, and is not used.
  bool add(ByteView nal);
  /// Whether an SPS or a PPS may be in the file: it is in force, its PPS has no slice groups and refers to an SPS.
  bool is_written(ByteView nal) const;
  /// An IDR picture that refers to this PPS begins. False: the PPS or its SPS is unknown.
  bool activate(std::uint8_t pps);
  /// Pictures were dropped: none goes on before the next IDR picture.
  void deactivate();
  struct Active {
    const rtp::H264Sps& sps;
    const rtp::H264Pps& pps;
    bool goes_on = true;  // the SPS is that of the newest IDR picture
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
  bool is_usable(const Pps& pps) const { return !pps.parsed.slice_groups && sps_.contains(pps.parsed.sps); }
  void take_waiting();

  std::map<std::uint8_t, Sps> sps_;
  std::map<std::uint8_t, Pps> pps_;
  std::optional<std::uint8_t> active_;  // SPS
  std::optional<Sps> next_sps_;         // waits, with the id of the active one
  std::map<std::uint8_t, Pps> next_pps_;
};

/// What a stream's pictures so far say of the next one.
struct H264Stream {
  H264ParameterSets sets;
  rtp::H264OrderCounter orders;
  rtp::H264References references;

  /// Pictures were dropped: what follows is judged from the next IDR picture on.
  void lose() {
    sets.deactivate();
    references.forget();
  }
};

/// The NAL units of one picture, in the order in which they came.
class H264Picture {
 public:
  /// `stream` has the parameter sets that were sent before this unit; `is_known`: the unit is one of them, sent again. Why the picture
  /// cannot be decoded as a whole; nullopt: it still can.
  std::optional<Drop> take(Bytes nal, H264Stream& stream, bool is_known = false);
  bool has_slices() const { return slices_ > 0; }
  std::size_t slices() const { return slices_; }
  bool empty() const { return units_.empty(); }
  bool keyframe() const { return slices_ > 0 && frame_.keyframe; }
  bool has_sps() const { return has_sps_; }
  std::size_t bytes() const { return bytes_; }
  /// A hash of its slices.
  std::size_t fingerprint() const { return fingerprint_; }
  /// Units behind the last slice that belong to the next picture (7.4.1.2.3), and are taken from this one.
  std::vector<Bytes> take_next();
  /// The picture as a frame without its times: each unit behind its 32-bit length, and of a keyframe its size and parameter sets, all of
  /// which stand in its data too.
  Frame finish();

 private:
  std::optional<Drop> take_slice(ByteView nal, unsigned type, H264Stream& stream);
  std::optional<Drop> begin(ByteView slice, std::uint8_t pps, H264Stream& stream);
  void drop_repeated_sets();
  void add_missing_sets();

  std::vector<Bytes> units_;
  std::optional<std::size_t> next_begins_;  // where units begin that cannot follow a slice of the same picture
  bool decoder_changes_ = false;            // by one of those units: no further slice of this picture may follow
  std::size_t bytes_ = 0;
  std::size_t slices_ = 0;
  std::size_t fingerprint_ = 0;
  std::uint8_t sps_ = 0;  // of its first slice
  std::uint32_t last_macroblock_ = 0;  // where the newest slice begins
  bool has_sps_ = false;
  Frame frame_;  // without its data
};

}  // namespace amphi::recording
