// RTP packets (RFC 3550 5.1) with one- and two-byte header extensions (RFC 8285), parsed once into a value.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "rtp/seq.h"

namespace amphi::rtp {

/// The extension ids negotiated for one transport; 0: not negotiated.
struct ExtensionIds {
  std::uint8_t mid = 0;               // urn:ietf:params:rtp-hdrext:sdes:mid (RFC 8843)
  std::uint8_t rid = 0;               // urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id (RFC 8852)
  std::uint8_t repaired_rid = 0;      // urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id (RFC 8852)
  std::uint8_t transport_seq = 0;     // http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
  std::uint8_t abs_send_time = 0;     // http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
  std::uint8_t audio_level = 0;       // urn:ietf:params:rtp-hdrext:ssrc-audio-level (RFC 6464)
};

struct RtpHeader {
  bool marker = false;
  std::uint8_t payload_type = 0;
  WireSeq seq = 0;
  WireTimestamp timestamp = 0;
  std::uint32_t ssrc = 0;
};

/// A parsed packet; views point into the datagram it came from.
struct RtpPacket {
  RtpHeader header;
  std::string_view mid;           // empty: not present
  std::string_view rid;
  std::string_view repaired_rid;
  std::optional<std::uint16_t> transport_seq;
  std::optional<std::uint8_t> audio_level;  // -dBov, voice flag stripped
  ByteView payload;               // padding removed; may be empty (a probe)
};

/// nullopt: not a well-formed RTP packet.
std::optional<RtpPacket> parse_rtp(ByteView data, const ExtensionIds& ids);

/// What a sender puts in its extensions; only those with a negotiated id are written.
struct ExtensionValues {
  std::string_view mid;
  std::string_view rid;
  std::string_view repaired_rid;
  std::optional<std::uint16_t> transport_seq;
};

/// Writes the header with its extensions; returns its size, or 0 where `out` is too small. Payload follows.
std::size_t write_rtp_header(MutableBytes out, const RtpHeader& header, const ExtensionIds& ids,
                             const ExtensionValues& values);

/// RFC 5761 4: with rtcp-mux, whether this is RTCP (packet types 192 to 223) rather than RTP.
bool is_rtcp(ByteView data);

}  // namespace amphi::rtp
