// What a receiver reports of one incoming stream (RFC 3550 6.4.1, A.1, A.3, A.8). One thread: the stream's.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>

#include "base/time.h"
#include "rtp/rtcp.h"
#include "rtp/seq.h"

namespace amphi::rtp {

class ReceiveStats {
 public:
  void on_packet(Seq seq, WireTimestamp timestamp, std::uint32_t clock_rate, Time now);
  void on_sender_report(NtpTime ntp, Time now);

  /// The block for the next report; `fraction_lost` covers the time since the report before.
  ReportBlock report(std::uint32_t ssrc, Time now);

  bool empty() const { return received_ + duplicates_ == 0; }  // nothing to report yet
  std::uint64_t received() const { return received_; }         // without duplicates
  std::uint64_t duplicates() const { return duplicates_; }     // within the last kWindow numbers
  std::int64_t lost() const { return expected() - static_cast<std::int64_t>(received_); }
  std::uint32_t jitter() const { return static_cast<std::uint32_t>(jitter_); }  // in the codec's clock

 private:
  static constexpr Seq kWindow = 1024;      // older than this is no reordering
  static constexpr Seq kMaxDropout = 3000;  // A.1: a jump beyond it may be a new start

  bool count(Seq seq);  // false: a duplicate, or a stray
  void update_jitter(WireTimestamp timestamp, std::uint32_t clock_rate, Time now);
  std::int64_t expected() const { return empty() ? 0 : highest_ - first_ + 1; }

  Seq first_ = 0;
  Seq highest_ = 0;
  std::optional<Seq> restart_at_;  // what would confirm a new start
  std::bitset<kWindow> seen_;      // of (highest_ - kWindow, highest_], by the low bits
  std::uint64_t received_ = 0;
  std::uint64_t duplicates_ = 0;

  std::int64_t reported_expected_ = 0;
  std::uint64_t reported_received_ = 0;

  double jitter_ = 0;
  std::optional<Time> last_arrival_;
  WireTimestamp last_timestamp_ = 0;

  std::optional<NtpTime> last_sr_;
  Time last_sr_at_;
};

}  // namespace amphi::rtp
