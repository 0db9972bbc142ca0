// The receiving side of one line: extended numbers that go on over a change of ssrc, what to report, what to ask for
// again, when to ask for a keyframe. Thread: the peer's.
#pragma once

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <optional>

#include "base/time.h"
#include "peer/peer.h"
#include "rtp/nack_generator.h"
#include "rtp/receive_stats.h"

namespace amphi::peer {

class ReceiveStream {
 public:
  static constexpr Duration kKeyframeInterval = 300ms;
  static constexpr rtp::Seq kWindow = 2048;  // numbers within which a repetition is known

  std::optional<std::uint32_t> ssrc() const { return ssrc_; }
  /// A late packet of the source that was replaced: it would undo the change.
  bool retired(std::uint32_t ssrc) const { return retired_ && *retired_ == ssrc; }

  /// A packet of the main stream (`recovered`: out of RTX). Gives its number on the line's own, growing line; nullopt where
  /// the packet came before (asked for twice, or late and recovered meanwhile), or is too old to tell.
  std::optional<rtp::Seq> on_packet(const rtp::RtpHeader& header, bool recovered, bool nack, std::uint32_t clock_rate, std::size_t bytes, Time now) {
    if (!recovered && ssrc_ != header.ssrc) begin(header);
    const rtp::Seq seq = rtp::extend(header.seq, highest_);
    if (!recovered) statistics.on_packet(seq, header.timestamp, clock_rate, now);
    if (!is_new(seq)) return std::nullopt;
    if (nack) nacks.on_packet(seq, now);
    ++stats.packets;
    stats.bytes += bytes;
    stats.lost = statistics.lost();
    if (recovered) ++stats.retransmitted;
    return seq + offset_;
  }

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

  rtp::NackGenerator nacks;
  rtp::ReceiveStats statistics;
  LineStats stats;

 private:
  void begin(const rtp::RtpHeader& header) {
    if (ssrc_) {  // the same feed from a new source: numbers go on behind the old ones
      offset_ += highest_ + 1 - header.seq;
      retired_ = ssrc_;
      nacks = {};
      statistics = {};
    }
    ssrc_ = header.ssrc;
    highest_ = header.seq - 1;
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
  static std::size_t slot(rtp::Seq seq) { return static_cast<std::size_t>(seq) & (kWindow - 1); }

  std::optional<std::uint32_t> ssrc_, retired_;
  rtp::Seq highest_ = 0;
  rtp::Seq offset_ = 0;
  std::bitset<kWindow> seen_;
  std::optional<Time> reported_;
  bool keyframe_wanted_ = false;
  Time next_keyframe_{};
};

}  // namespace amphi::peer
