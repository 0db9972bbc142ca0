// The receiving side of one line: the selected source's packets as one stream. Its numbers only grow and its timestamps go on, over
// every change of the source and every new beginning of the same one. Also: what to report, which packets and keyframes to ask for.
// Thread: the peer's.
#pragma once

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "base/time.h"
#include "peer/peer.h"
#include "rtp/nack_generator.h"
#include "rtp/receive_stats.h"
#include "rtp/report_check.h"
#include "rtp/source_selector.h"

namespace amphi::peer {

class ReceiveStream {
 public:
  static constexpr Duration kKeyframeInterval = 300ms;
  static constexpr rtp::Seq kWindow = 2048;       // numbers within which a repetition is known
  static constexpr rtp::Seq kMostDropout = 3000;  // RFC 3550 A.1: a wider step may be a new beginning
  static constexpr Duration kMostSkew = 2s;       // of timestamps against arrivals: beyond it a wide step is a new beginning, not a loss
  static constexpr std::uint64_t kTellAfter = 50; // packets of simultaneous sources
  static constexpr Duration kTellDropped = 500ms; // after the first drop that is not reported yet

  std::optional<std::uint32_t> ssrc() const { return ssrc_; }
  /// Grows with every change of the source.
  std::uint32_t generation() const { return generation_; }

  /// A packet of the selected source (`recovered`: out of RTX). Gives its number on the line's own, growing line and moves its timestamp
  /// there too; nullopt where the packet came before (asked for twice, or late and recovered meanwhile), or is too old to tell. An RTX
  /// packet newer than the newest packet is refused: it would make the packets that follow look old.
  std::optional<rtp::Seq> on_packet(rtp::RtpHeader& header, bool recovered, bool nack, std::uint32_t clock_rate, std::size_t bytes, Time now) {
    if (!recovered && (ssrc_ != header.ssrc || begins_anew(header, clock_rate, now))) begin(header, clock_rate, now);
    const rtp::Seq seq = rtp::extend(header.seq, highest_);
    if (recovered && seq > highest_) return std::nullopt;
    if (!recovered) statistics.on_packet(seq, header.timestamp, clock_rate, now);
    const bool newest = seq > highest_;
    if (seq + offset_ < first_number_ || !is_new(seq)) return std::nullopt;
    if (nack) nacks.on_packet(seq, now);
    header.timestamp += timestamp_offset_;
    if (newest) last_timestamp_ = header.timestamp, last_arrival_ = now;
    ++stats.packets;
    stats.bytes += bytes;
    stats.lost = statistics.lost();
    if (recovered) ++stats.retransmitted;
    return seq + offset_;
  }

  /// A timestamp of the selected source, moved as its packets' are.
  rtp::WireTimestamp moved(rtp::WireTimestamp timestamp) const { return timestamp + timestamp_offset_; }

  /// Is it `pause` since the last sender report that was taken?
  bool takes_report(Time now, Duration pause) {
    if (reported_ && now < *reported_ + pause) return false;
    reported_ = now;
    return true;
  }

  void want_keyframe() { keyframe_wanted_ = true; }
  bool take_keyframe_request(Time now) {
    if (!keyframe_wanted_ || now < next_keyframe_) return false;
    keyframe_wanted_ = false;
    next_keyframe_ = now + kKeyframeInterval;
    return true;
  }
  Time keyframe_deadline() const { return keyframe_wanted_ ? next_keyframe_ : Time::max(); }

  /// A packet of a source that is not selected was dropped. True once, when enough of them tell that sources compete.
  bool count_refused() { return ++refused_ == kTellAfter; }

  void count_not_selected(std::uint64_t packets, Time now) { dropping(now).not_selected += packets; }
  void count_repeated(Time now) { ++dropping(now).repeated; }
  Time dropped_deadline() const { return dropped_ ? dropped_since_ + kTellDropped : Time::max(); }
  struct Dropped {
    std::uint64_t not_selected, repeated;
  };
  /// The drops that no event has reported yet, once they are due.
  std::optional<Dropped> take_dropped(Time now) { return now >= dropped_deadline() ? std::exchange(dropped_, std::nullopt) : std::nullopt; }

  /// A report of a source that is not selected. Its packets may be held, and the report is of use when the source is selected.
  void keep_report(const rtp::SenderReport& report, Time now) { kept_report_ = KeptReport{report.ssrc, report.ntp, report.rtp_timestamp, now}; }
  struct KeptReport {
    std::uint32_t ssrc = 0;
    rtp::NtpTime ntp;
    rtp::WireTimestamp rtp_timestamp = 0;
    Time at;
  };
  /// The kept report, if it is the selected source's and recent.
  std::optional<KeptReport> take_report(Time now) {
    if (!kept_report_ || kept_report_->ssrc != ssrc_) return std::nullopt;
    const KeptReport report = *kept_report_;
    kept_report_.reset();
    if (now - report.at > rtp::SourceSelector::kOverlap + rtp::SourceSelector::kMostPatience) return std::nullopt;
    return report;
  }

  rtp::SourceSelector selector;
  rtp::ReportCheck reports;
  rtp::NackGenerator nacks;
  rtp::ReceiveStats statistics;
  LineStats stats;

 private:
  /// The same ssrc with other numbers and timestamps: its sender started again.
  bool begins_anew(const rtp::RtpHeader& header, std::uint32_t clock_rate, Time now) {
    const rtp::Seq seq = rtp::extend(header.seq, highest_);
    if (seq <= highest_ + kMostDropout && seq > highest_ - kWindow) return false;
    const auto ticks = static_cast<std::int32_t>(header.timestamp + timestamp_offset_ - last_timestamp_);
    const Duration media(std::int64_t{ticks} * 1'000'000'000 / std::max(clock_rate, 1u));
    const Duration skew = media - (now - last_arrival_);
    const bool media_go_on = skew >= -kMostSkew && skew <= kMostSkew;
    if (media_go_on && (seq > highest_ || ticks < 0)) return false;  // so many packets were lost, or this one is late
    if (seq > highest_) return true;
    const bool confirmed = anew_at_ == seq;  // an old packet may be a straggler; two in a row are none
    anew_at_ = seq + 1;
    return confirmed;
  }

  void begin(const rtp::RtpHeader& header, std::uint32_t clock_rate, Time now) {
    if (ssrc_) {  // the same feed from a new source: numbers go on behind the old ones
      // Behind a new beginning of the same source one number is left out: nobody can tell from the ssrc that the frames do not go on.
      const rtp::Seq first = highest_ + offset_ + (ssrc_ == header.ssrc ? 2 : 1);
      offset_ = first - header.seq;
      first_number_ = first;
      const auto passed = std::max<std::int64_t>(1, (now - last_arrival_).count() / 1000 * clock_rate / 1'000'000);
      timestamp_offset_ = last_timestamp_ + static_cast<rtp::WireTimestamp>(passed) - header.timestamp;
      reports.restart();
      nacks = {};
      statistics = {};
      ++generation_;
    }
    ssrc_ = header.ssrc;
    highest_ = header.seq - 1;
    anew_at_.reset();
    refused_ = 0;
    seen_.reset();
  }
  bool is_new(rtp::Seq seq) {
    if (seq <= highest_ - kWindow) return false;
    if (seq - highest_ >= kWindow) seen_.reset();
    else for (rtp::Seq s = highest_ + 1; s <= seq; ++s) seen_[slot(s)] = false;
    highest_ = std::max(highest_, seq);
    if (seen_[slot(seq)]) return false;
    return seen_[slot(seq)] = true;
  }
  Dropped& dropping(Time now) {
    if (!dropped_) dropped_since_ = now;
    return dropped_ ? *dropped_ : dropped_.emplace();
  }
  static std::size_t slot(rtp::Seq seq) { return static_cast<std::size_t>(seq) & (kWindow - 1); }

  std::optional<std::uint32_t> ssrc_;
  std::uint32_t generation_ = 0;
  rtp::Seq highest_ = 0;
  rtp::Seq offset_ = 0;
  rtp::Seq first_number_ = std::numeric_limits<rtp::Seq>::min();  // of this source; older packets of it would repeat the numbers of another
  std::optional<rtp::Seq> anew_at_;
  rtp::WireTimestamp timestamp_offset_ = 0, last_timestamp_ = 0;
  Time last_arrival_;
  std::bitset<kWindow> seen_;
  std::uint64_t refused_ = 0;
  std::optional<Dropped> dropped_;  // not reported yet
  Time dropped_since_;
  std::optional<KeptReport> kept_report_;
  std::optional<Time> reported_;
  bool keyframe_wanted_ = false;
  Time next_keyframe_{};
};

}  // namespace amphi::peer
