// Whether the pictures that an H.264 picture depends on have come, as frame_num tells (ITU-T H.264 7.4.3). Pictures that the sender leaves
// out have no gap in the RTP sequence numbers.
//
// A gap is reported only in a stream whose numbers count: kTrusted steps in a row were right. A stream whose upstream server drops temporal
// layers has gaps at every few pictures, decodes all the same, and never gets there. Thread: its owner's.
#pragma once

#include <cstdint>
#include <optional>

#include "rtp/h264.h"
#include "rtp/h264_slice.h"

namespace amphi::rtp {

class H264References {
 public:
  static constexpr int kTrusted = 4;  // steps

  /// The first slice of each picture, in the order of decoding. False: a picture that it depends on is missing.
  bool add(const H264SliceHeader& picture, const H264Sps& sps);
  /// Pictures were dropped: nothing is known until the next IDR picture.
  void forget() { known_.reset(); }
  /// frame_num grows from one reference picture to the next.
  bool counts() const { return steps_ > 0; }

 private:
  struct Known {
    std::int64_t reference = 0;  // frame_num of the newest reference picture
    std::int64_t newest = 0;     // and of the newest picture
    bool was_reference = false;  // the newest picture
  };
  bool goes_on(const H264SliceHeader& picture, const H264Sps& sps);

  std::optional<Known> known_;
  int steps_ = 0;        // that were right, since the newest gap; kTrusted at most
  bool strict_ = false;  // a picture behind a disposable one repeats its number, as the standard says
};

}  // namespace amphi::rtp
