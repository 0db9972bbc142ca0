// The sending side of one line: numbers, counts, sender reports (RFC 3550 6.4.1), retransmission (RFC 4588).
// Thread: the peer's.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "base/random.h"
#include "base/time.h"
#include "peer/description.h"
#include "rtp/rtcp.h"
#include "rtp/seq.h"

namespace amphi::peer {

class SendStream {
 public:
  explicit SendStream(Random& random)
      : ssrc_(random.u32() | 1), rtx_ssrc_(random.u32() | 1), rtx_seq_(static_cast<rtp::WireSeq>(random.u32() & 0x7fff)) {}

  std::uint32_t ssrc() const { return ssrc_; }
  std::uint32_t rtx_ssrc() const { return rtx_ssrc_; }
  rtp::WireSeq next_rtx_seq() { return rtx_seq_++; }

  void on_sent(rtp::Seq seq, std::size_t payload_bytes) {
    highest_ = highest_ ? std::max(*highest_, seq) : seq;
    ++stats.packets;
    stats.bytes += payload_bytes;
  }
  std::optional<rtp::Seq> highest() const { return highest_; }

  /// False for all but the first of many at a time: a FIR of one datagram names a source a hundred times.
  bool takes_keyframe_request(Time now) {
    if (keyframe_asked_ == now) return false;
    keyframe_asked_ = now;
    return true;
  }

  rtp::SenderReport report(rtp::NtpTime ntp, rtp::WireTimestamp timestamp, Time now) {
    sent_reports_[next_report_++ % sent_reports_.size()] = {ntp.compact(), now};
    return {ssrc_, ntp, timestamp, static_cast<std::uint32_t>(stats.packets), static_cast<std::uint32_t>(stats.bytes), {}};
  }

  /// What the receiver says of us; gives the round trip where one can be told.
  std::optional<Duration> on_report_block(const rtp::ReportBlock& block, std::uint32_t clock_rate, Time now) {
    stats.lost = block.cumulative_lost;
    stats.fraction_lost = block.fraction_lost / 256.0;
    stats.jitter = Duration(static_cast<std::int64_t>(block.jitter) * 1'000'000'000 / clock_rate);
    if (block.last_sr == 0) return std::nullopt;
    for (const auto& sent : sent_reports_) {
      if (sent.compact != block.last_sr || sent.at == Time::max()) continue;
      const Duration held(static_cast<std::int64_t>(block.delay_since_last_sr) * 1'000'000'000 / 65'536);
      const Duration round_trip = now - sent.at - held;
      if (round_trip >= 0ns && round_trip < 60s) return round_trip;
    }
    return std::nullopt;
  }

  LineStats stats;

 private:
  struct SentReport {
    std::uint32_t compact = 0;
    Time at = Time::max();
  };

  std::uint32_t ssrc_, rtx_ssrc_;
  rtp::WireSeq rtx_seq_;
  std::optional<rtp::Seq> highest_;
  std::optional<Time> keyframe_asked_;
  std::array<SentReport, 8> sent_reports_;
  std::size_t next_report_ = 0;
};

}  // namespace amphi::peer
