// RTP: any bytes parse or do not; what parsed is written and parsed again as the same values.
#include "fuzz.h"
#include "rtp/packet.h"

using namespace amphi;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  // Ids are negotiated, each for one extension: distinct ones, starting anywhere from 0 to 255.
  const std::uint8_t first = in.u8();
  const auto id = [first](int n) { return static_cast<std::uint8_t>(first == 0 ? 0 : (first + n) % 255 + 1); };
  const rtp::ExtensionIds ids{id(0), id(1), id(2), id(3), id(4), id(5)};
  const Bytes datagram = in.all();
  rtp::is_rtcp(datagram);
  const auto packet = rtp::parse_rtp(datagram, ids);
  if (!packet) return 0;
  fuzz::require(packet->payload.size() + 12 <= datagram.size(), "a payload lies behind the header");

  std::array<std::byte, 4096> out;
  const rtp::ExtensionValues values{packet->mid, packet->rid, packet->repaired_rid, packet->transport_seq};
  const std::size_t written = rtp::write_rtp_header(out, packet->header, ids, values);
  fuzz::require(written >= 12, "what was parsed can be written");
  const auto again = rtp::parse_rtp(ByteView(out).first(written), ids);
  fuzz::require(again.has_value(), "what was written can be parsed");
  fuzz::require(again->header.seq == packet->header.seq && again->header.timestamp == packet->header.timestamp &&
                    again->header.ssrc == packet->header.ssrc && again->header.marker == packet->header.marker &&
                    again->header.payload_type == packet->header.payload_type,
                "the header is the same");
  fuzz::require(again->mid == packet->mid && again->rid == packet->rid && again->repaired_rid == packet->repaired_rid &&
                    again->transport_seq == packet->transport_seq,
                "the extensions are the same");
  return 0;
}
