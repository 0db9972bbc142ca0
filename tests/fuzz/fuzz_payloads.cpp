// What is inside of RTP: VP8 descriptors, H.264 payloads in a row, sequence parameter sets.
#include "fuzz.h"
#include "rtp/h264.h"
#include "rtp/keyframe.h"
#include "rtp/vp8.h"

using namespace amphi;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  rtp::H264Depacketizer depacketizer;
  std::vector<Bytes> nal_units;
  std::size_t given = 0;
  while (!in.done()) {
    const std::uint8_t what = in.u8();
    const Bytes payload = in.short_piece();
    switch (what % 5) {
      case 0:
        if (const auto vp8 = rtp::parse_vp8(payload)) fuzz::require(vp8->size < payload.size(), "VP8 data follows its descriptor");
        break;
      case 1: rtp::parse_sps(payload); break;
      case 2: depacketizer.reset(); break;
      default:
        rtp::is_h264_keyframe_start(payload);
        given += payload.size();
        depacketizer.add(payload, nal_units);
    }
  }
  std::size_t taken = 0;
  for (const auto& nal : nal_units) {
    fuzz::require(!nal.empty(), "a NAL unit has a header");
    taken += nal.size();
    rtp::parse_sps(nal);
  }
  fuzz::require(taken <= given, "no byte comes from nowhere");
  return 0;
}
