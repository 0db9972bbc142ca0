// RTCP: what any bytes parse to is written, and what is written parses to the same again.
#include "fuzz.h"
#include "rtp/rtcp.h"

using namespace amphi;

namespace {
Bytes written(const std::vector<rtp::RtcpPacket>& packets) {
  Bytes out;
  for (const auto& packet : packets) rtp::append_rtcp(out, packet);
  return out;
}
}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto packets = rtp::parse_rtcp(fuzz::Input(data, size).all());
  const Bytes first = written(packets);
  const auto again = rtp::parse_rtcp(first);
  std::size_t said = 0;  // a NACK of nothing and a feedback on nothing are not written
  for (const auto& packet : packets) said += !written({packet}).empty();
  fuzz::require(again.size() == said, "every packet written is parsed again");
  fuzz::require(written(again) == first, "and is the same");
  return 0;
}
