// Turns one feed's packets, in order and with their gaps told, into whole frames that a decoder takes without an error: a video frame
// with a packet missing is dropped, and after it every frame up to the next whole keyframe.
// VP8: RFC 7741. H.264: RFC 6184. Opus: RFC 7587, a packet is a frame.
//
// A video frame ends where the next one begins: at another timestamp, or at VP8's start bit of partition 0, or at an H.264 slice whose
// first macroblock is 0. The RTP marker does not end a frame, because senders set it on every slice, or never. It tells, where the stream's
// markers have been right so far, that a frame at a loss, a pause or the end of the stream is whole. Thread: the recorder's.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "recording/drops.h"
#include "recording/frame.h"
#include "recording/h264_picture.h"
#include "recording/opus.h"
#include "rtp/codec.h"
#include "rtp/h264.h"
#include "rtp/h264_sprop.h"
#include "rtp/packet.h"

namespace amphi::recording {

class FrameAssembler {
 public:
  static constexpr std::size_t kMaxFrameBytes = 4'000'000;
  static constexpr std::size_t kMaxAheadBytes = 64'000;
  static constexpr Duration kMarkedEnds = 400ms;  // after its newest packet, a frame with its marker; as long as a missing packet is waited for
  static constexpr Duration kUnmarkedEnds = 1s;   // of a sender without markers
  static constexpr Duration kBurst = 10ms;        // longer than between two packets of a frame, where such a sender's stream ends
  static constexpr Duration kQuiet = 200ms;       // the same of a sender of which no frame has ended yet

  FrameAssembler(rtp::CodecName codec, Drops& drops) : codec_(codec), drops_(drops) {}

  /// The sets that the sender's description gives; sets in the packets replace them.
  void use(const rtp::SpropParameterSets& sets);
  /// The next packet in order.
  void add(const rtp::RtpHeader& header, ByteView payload, Time arrival);
  /// Packets before the next one are lost.
  void handle_loss();
  std::optional<Frame> poll();
  /// No packet is missing, and none came for a while: closes a frame that is probably whole.
  void handle_timeout(Time now);
  Time next_timeout() const;
  /// Nothing follows: closes the newest frame, if it is whole.
  void flush(Time now);
  /// The stream begins anew: what is open will not be completed.
  void restart();
  /// And none has begun.
  bool waits_for_keyframe() const;
  /// Frames were dropped since the newest that was given.
  bool damaged() const { return damaged_ && ready_.empty(); }

 private:
  /// A video frame of which more packets may come.
  struct Open {
    Frame frame;
    H264Picture picture;  // of H.264
    bool after_loss = false;
    bool marked = false;  // its newest packet
    Time newest;          // packet's arrival
    std::size_t bytes = 0;
    std::optional<Drop> broken;
  };

  void add_opus(const rtp::RtpHeader& header, ByteView payload, Time arrival);
  void add_vp8(const rtp::RtpHeader& header, ByteView payload, Time arrival);
  void add_h264(const rtp::RtpHeader& header, ByteView payload, Time arrival);
  void take_unit(Bytes nal);
  void begin(rtp::WireTimestamp timestamp, Time arrival);
  /// The packet is one of the open frame's. False: the frame is too large.
  bool extend(const rtp::RtpHeader& header, ByteView payload, Time arrival);
  bool ends_whole(Time now) const;
  void close();
  void close_vp8(Open& done);
  void close_h264(Open& done);
  /// A frame or a packet is missing: no frame goes on before the next keyframe.
  void wait_for_keyframe();
  void give(Frame frame);
  void drop(Drop why, std::uint64_t packets);
  void drop_ahead();
  void break_open(Drop why);

  rtp::CodecName codec_;
  Drops& drops_;
  std::optional<Open> open_;
  bool waits_ = true;
  bool loss_ = false;  // right before the frame that begins next
  bool damaged_ = false;
  bool marks_ = false;         // this sender sets markers
  bool marks_inside_ = false;  // also within a frame
  bool unmarked_ends_ = false; // frames of it have ended without, or with one that tells nothing
  std::deque<Frame> ready_;

  rtp::H264Depacketizer depacketizer_;
  H264Stream stream_;
  std::size_t fingerprint_ = 0;  // of the newest picture
  std::uint32_t unit_packets_ = 0;  // since the newest unit that was complete
  std::vector<Bytes> ahead_;        // units that came before the picture that they belong to
  std::uint32_t ahead_packets_ = 0;
  bool idr_without_sps_ = false;    // this sender does not repeat its parameter sets
};

}  // namespace amphi::recording
