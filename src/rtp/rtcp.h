// RTCP: SR, RR, SDES, BYE (RFC 3550 6), NACK, PLI (RFC 4585 6), FIR (RFC 5104 4.3.1), REMB and transport-wide feedback
// (draft-holmer-rmcat-transport-wide-cc-extensions-01), parsed once into values. Unknown packets are skipped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "rtp/seq.h"

namespace amphi::rtp {

/// 64-bit NTP timestamp: seconds since 1900 in the upper half, fraction in the lower.
struct NtpTime {
  std::uint64_t value = 0;
  /// The middle 32 bits, as LSR carries them.
  std::uint32_t compact() const { return static_cast<std::uint32_t>(value >> 16); }
  bool operator==(const NtpTime&) const = default;
};

struct ReportBlock {
  std::uint32_t ssrc = 0;
  std::uint8_t fraction_lost = 0;      // of 256
  std::int32_t cumulative_lost = 0;    // 24 bits on the wire, saturating
  std::uint32_t highest_seq = 0;       // extended: cycles << 16 | seq
  std::uint32_t jitter = 0;            // in the codec's clock
  std::uint32_t last_sr = 0;           // compact NTP, 0: none
  std::uint32_t delay_since_last_sr = 0;  // 1/65536 s
};

struct SenderReport {
  std::uint32_t ssrc = 0;
  NtpTime ntp;
  WireTimestamp rtp_timestamp = 0;
  std::uint32_t packet_count = 0;
  std::uint32_t octet_count = 0;
  std::vector<ReportBlock> blocks;
};
struct ReceiverReport {
  std::uint32_t ssrc = 0;
  std::vector<ReportBlock> blocks;
};
struct SourceDescription {  // the CNAME item only
  std::uint32_t ssrc = 0;
  std::string cname;
};
struct Bye {
  std::vector<std::uint32_t> ssrcs;
};
struct Nack {
  std::uint32_t sender_ssrc = 0;
  std::uint32_t media_ssrc = 0;
  std::vector<WireSeq> lost;
};
struct PictureLoss {
  std::uint32_t sender_ssrc = 0;
  std::uint32_t media_ssrc = 0;
};
struct FullIntraRequest {
  std::uint32_t sender_ssrc = 0;
  std::uint32_t media_ssrc = 0;
  std::uint8_t command_seq = 0;
};
struct TransportFeedback {
  std::uint32_t sender_ssrc = 0;
  std::uint32_t media_ssrc = 0;
  std::uint8_t feedback_count = 0;
  struct Arrival {
    std::uint16_t seq = 0;                    // the transport-wide number
    /// Arrival in units of 250 us on the receiver's line; nullopt: not received. On the wire it wraps at 32 bits.
    std::optional<std::int64_t> time_250us;
  };
  std::vector<Arrival> arrivals;              // contiguous sequence numbers
};

struct ReceiverBandwidth {  // REMB, draft-alvestrand-rmcat-remb-03
  std::uint32_t sender_ssrc = 0;
  std::uint64_t bits_per_second = 0;   // 18 bits of precision on the wire
  std::vector<std::uint32_t> ssrcs;    // at most 255
};

using RtcpPacket = std::variant<SenderReport, ReceiverReport, SourceDescription, Bye, Nack, PictureLoss,
                                FullIntraRequest, TransportFeedback, ReceiverBandwidth>;

/// The well-formed packets of a compound (RFC 3550 6.1) or reduced-size (RFC 5506) datagram, in order; stops at the
/// first malformed one. Empty: nothing was.
std::vector<RtcpPacket> parse_rtcp(ByteView data);

/// Appends one packet to `out`.
void append_rtcp(Bytes& out, const RtcpPacket& packet);

}  // namespace amphi::rtp
