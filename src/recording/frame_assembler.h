// Turns one feed's packets, in order and with their gaps told, into whole frames that a decoder takes without an error:
// a video frame with a packet missing is dropped, and after it every frame up to the next whole keyframe.
// VP8: RFC 7741. H.264: RFC 6184. Opus: RFC 7587, a packet is a frame. Thread: the recorder's.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "recording/drops.h"
#include "recording/frame.h"
#include "rtp/codec.h"
#include "rtp/h264.h"
#include "rtp/h264_sprop.h"
#include "rtp/packet.h"

namespace amphi::recording {

/// Length of an Opus packet (RFC 6716 3.1) at 48 kHz; 0: malformed.
std::uint32_t opus_samples(ByteView packet);

/// A video frame of which more packets may come.
struct OpenFrame {
  Frame frame;
  std::vector<Bytes> nal_units;
  std::size_t bytes = 0;
  bool broken = false;
};

class FrameAssembler {
 public:
  static constexpr std::size_t kMaxFrameBytes = 4'000'000;

  FrameAssembler(rtp::CodecName codec, Drops& drops) : codec_(codec), drops_(drops) {}

  /// The sets that the sender's description gives; sets in the packets replace them.
  void use(const rtp::SpropParameterSets& sets);
  /// The next packet in order; `missing`: packets before it are lost.
  void add(const rtp::RtpHeader& header, ByteView payload, Time arrival, bool missing);
  std::optional<Frame> poll();
  /// The stream begins anew: what is open will not be completed.
  void restart();
  bool waits_for_keyframe() const { return codec_ != rtp::CodecName::opus && waits_; }

 private:
  void add_opus(const rtp::RtpHeader& header, ByteView payload, Time arrival);
  void begin(const rtp::RtpHeader& header, ByteView payload, Time arrival, bool missing);
  void append(ByteView payload);
  void append_vp8(ByteView payload);
  void append_h264(ByteView payload);
  bool starts_access_unit(ByteView payload) const;
  void close();
  bool close_h264();
  void break_open(Drop why);

  rtp::CodecName codec_;
  Drops& drops_;
  std::optional<OpenFrame> open_;
  bool waits_ = true;
  std::deque<Frame> ready_;

  rtp::H264Depacketizer depacketizer_;
  std::vector<Bytes> sps_, pps_;
  std::vector<Bytes> ahead_;      // parameter sets that came with no picture: they belong to the next one
  bool idr_without_sps_ = false;  // this sender does not repeat its parameter sets
};

}  // namespace amphi::recording
