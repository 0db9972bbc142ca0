#include "rtp/keyframe.h"

#include "rtp/h264.h"
#include "rtp/vp8.h"

namespace amphi::rtp {

bool starts_keyframe(CodecName codec, ByteView payload) {
  switch (codec) {
    case CodecName::opus:
      return true;
    case CodecName::vp8: {
      const auto vp8 = parse_vp8(payload);
      return vp8 && vp8->keyframe;
    }
    case CodecName::h264:
      return is_h264_keyframe_start(payload);
  }
  return false;
}

}  // namespace amphi::rtp
