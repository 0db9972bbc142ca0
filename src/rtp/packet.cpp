#include "rtp/packet.h"

#include <array>

namespace amphi::rtp {
namespace {

constexpr std::uint16_t kOneByteProfile = 0xbede;  // RFC 8285 4.2
constexpr std::uint16_t kTwoByteProfile = 0x1000;  // RFC 8285 4.3; the low four bits are the application's

void take_element(RtpPacket& packet, const ExtensionIds& ids, std::uint8_t id, ByteView data) {
  if (id == ids.mid) {
    packet.mid = as_text(data);
  } else if (id == ids.rid) {
    packet.rid = as_text(data);
  } else if (id == ids.repaired_rid) {
    packet.repaired_rid = as_text(data);
  } else if (id == ids.transport_seq && data.size() == 2) {
    packet.transport_seq = ByteReader(data).u16();
  } else if (id == ids.audio_level && data.size() == 1) {
    packet.audio_level = ByteReader(data).u8() & 0x7f;
  }
}

/// An element whose length leads past the block ends the reading: the packet is well-formed without it.
void parse_elements(RtpPacket& packet, const ExtensionIds& ids, bool two_byte, ByteView block) {
  ByteReader in(block);
  while (in.remaining() > 0) {
    const std::uint8_t first = in.u8();
    if (first == 0) continue;  // padding
    std::uint8_t id = first;
    std::size_t length = 0;
    if (two_byte) {
      length = in.u8();
    } else {
      id = first >> 4;
      if (id == 15) return;  // RFC 8285 4.2: ignore it and all that follows
      length = (first & 15u) + 1;
    }
    const ByteView data = in.bytes(length);
    if (!in.ok()) return;
    if (id != 0) take_element(packet, ids, id, data);  // 0 with a length is padding, and "not negotiated" here
  }
}

}  // namespace

std::optional<RtpPacket> parse_rtp(ByteView data, const ExtensionIds& ids) {
  ByteReader in(data);
  const std::uint8_t first = in.u8();
  const std::uint8_t second = in.u8();
  if (first >> 6 != 2) return std::nullopt;

  RtpPacket packet;
  packet.header.marker = second >> 7;
  packet.header.payload_type = second & 0x7f;
  packet.header.seq = in.u16();
  packet.header.timestamp = in.u32();
  packet.header.ssrc = in.u32();
  in.skip((first & 15u) * 4);  // CSRCs

  if (first & 0x10) {
    const std::uint16_t profile = in.u16();
    const std::size_t length = std::size_t{in.u16()} * 4;
    const ByteView block = in.bytes(length);
    const bool two_byte = (profile & 0xfff0) == kTwoByteProfile;
    if (two_byte || profile == kOneByteProfile) parse_elements(packet, ids, two_byte, block);
  }

  packet.payload = in.rest();
  if (!in.ok()) return std::nullopt;
  if (first & 0x20) {
    if (packet.payload.empty()) return std::nullopt;
    const auto padding = static_cast<std::size_t>(packet.payload.back());
    if (padding == 0 || padding > packet.payload.size()) return std::nullopt;
    packet.payload = packet.payload.first(packet.payload.size() - padding);
  }
  return packet;
}

std::size_t write_rtp_header(MutableBytes out, const RtpHeader& header, const ExtensionIds& ids,
                             const ExtensionValues& values) {
  struct Element {
    std::uint8_t id;
    ByteView data;
  };
  std::array<std::byte, 2> transport_seq{};
  if (values.transport_seq) ByteWriter(transport_seq).u16(*values.transport_seq);
  const std::array elements{
      Element{ids.transport_seq, values.transport_seq ? ByteView(transport_seq) : ByteView()},
      Element{ids.mid, as_bytes(values.mid)},
      Element{ids.rid, as_bytes(values.rid)},
      Element{ids.repaired_rid, as_bytes(values.repaired_rid)},
  };

  bool any = false;
  bool two_byte = false;
  for (const Element& e : elements) {
    if (e.id == 0 || e.data.empty()) continue;
    if (e.data.size() > 255) return 0;
    any = true;
    two_byte |= e.id > 14 || e.data.size() > 16;
  }

  ByteWriter to(out);
  to.u8(any ? 0x90 : 0x80);
  to.u8((header.marker ? 0x80u : 0u) | (header.payload_type & 0x7fu));
  to.u16(header.seq);
  to.u32(header.timestamp);
  to.u32(header.ssrc);
  if (any) {
    to.u16(two_byte ? kTwoByteProfile : kOneByteProfile);
    to.u16(0);
    const std::size_t start = to.size();
    for (const Element& e : elements) {
      if (e.id == 0 || e.data.empty()) continue;
      if (two_byte) {
        to.u8(e.id);
        to.u8(e.data.size());
      } else {
        to.u8(static_cast<unsigned>(e.id) << 4 | (e.data.size() - 1));
      }
      to.bytes(e.data);
    }
    to.zeros((4 - (to.size() - start) % 4) % 4);
    to.patch_u16(start - 2, static_cast<std::uint16_t>((to.size() - start) / 4));
  }
  return to.ok() ? to.size() : 0;
}

bool is_rtcp(ByteView data) {
  if (data.size() < 2 || static_cast<unsigned>(data[0]) >> 6 != 2) return false;
  const auto type = static_cast<unsigned>(data[1]);
  return type >= 192 && type <= 223;
}

}  // namespace amphi::rtp
