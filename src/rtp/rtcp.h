// RTCP: SR, RR, SDES, BYE (RFC 3550 6), NACK, PLI (RFC 4585 6), FIR (RFC 5104 4.3.1), REMB and transport-wide feedback
// (draft-holmer-rmcat-transport-wide-cc-extensions-01), parsed once into values. Unknown packets are skipped.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <initializer_list>
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
/// The numbers that a NACK names, in place: reading a NACK allocates nothing.
class LostNumbers {
 public:
  static constexpr std::size_t kMost = 1024;  // the length of PacketHistory: older packets cannot be sent again

  LostNumbers() = default;
  LostNumbers(std::initializer_list<WireSeq> numbers) {
    for (const WireSeq number : numbers) push_back(number);
  }
  LostNumbers(const std::vector<WireSeq>& numbers) {
    for (const WireSeq number : numbers) push_back(number);
  }
  LostNumbers(const LostNumbers& other) { *this = other; }
  LostNumbers& operator=(const LostNumbers& other) {
    size_ = other.size_;
    beyond_ = other.beyond_;
    std::copy(other.begin(), other.end(), values_.begin());
    return *this;
  }

  /// A number past kMost is only counted.
  void push_back(WireSeq number) {
    if (size_ == kMost) {
      ++beyond_;
      return;
    }
    values_[size_++] = number;
  }
  const WireSeq* begin() const { return values_.data(); }
  const WireSeq* end() const { return values_.data() + size_; }
  WireSeq operator[](std::size_t i) const { return values_[i]; }
  WireSeq front() const { return values_[0]; }
  WireSeq back() const { return values_[size_ - 1]; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::size_t beyond() const { return beyond_; }
  bool operator==(const LostNumbers& other) const { return std::equal(begin(), end(), other.begin(), other.end()); }

 private:
  std::size_t size_ = 0, beyond_ = 0;
  std::array<WireSeq, kMost> values_;  // uninitialised past size_
};
struct Nack {
  std::uint32_t sender_ssrc = 0;
  std::uint32_t media_ssrc = 0;
  LostNumbers lost;
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

/// Gives the well-formed packets of a compound (RFC 3550 6.1) or reduced-size (RFC 5506) datagram to `visit`, in order.
/// Stops at the first malformed packet, and where transport feedback names more packets than one interval can hold.
/// Allocates nothing for NACK, PLI and FIR, as long as `visit` is not larger than two pointers.
void visit_rtcp(ByteView data, const std::function<void(const RtcpPacket&)>& visit);
/// The same packets as a list. Empty: no packet is well-formed.
std::vector<RtcpPacket> parse_rtcp(ByteView data);

/// Appends one packet to `out`.
void append_rtcp(Bytes& out, const RtcpPacket& packet);

}  // namespace amphi::rtp
