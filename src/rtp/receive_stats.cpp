#include "rtp/receive_stats.h"

#include <algorithm>
#include <cmath>

namespace amphi::rtp {

void ReceiveStats::on_packet(Seq seq, WireTimestamp timestamp, std::uint32_t clock_rate, Time now) {
  const bool newest = empty() || seq > highest_;
  if (count(seq) && newest) update_jitter(timestamp, clock_rate, now);
}

bool ReceiveStats::count(Seq seq) {
  const auto bit = [](Seq s) { return static_cast<std::size_t>(s & (kWindow - 1)); };
  if (!empty() && (seq > highest_ + kMaxDropout || seq <= highest_ - kWindow)) {
    // A.1: two in a row mean that the source started over; one alone is a stray.
    if (restart_at_ != seq) {
      restart_at_ = seq + 1;
      return false;
    }
    *this = {};
  }
  restart_at_.reset();
  if (empty()) {
    first_ = highest_ = seq;
  } else if (seq > highest_) {
    if (seq - highest_ >= kWindow) seen_.reset();
    for (Seq s = std::max(highest_ + 1, seq - kWindow + 1); s < seq; ++s) seen_.reset(bit(s));
    highest_ = seq;
    seen_.reset(bit(seq));
  }
  if (seen_.test(bit(seq))) {
    ++duplicates_;
    return false;
  }
  seen_.set(bit(seq));
  first_ = std::min(first_, seq);
  ++received_;
  return true;
}

void ReceiveStats::update_jitter(WireTimestamp timestamp, std::uint32_t clock_rate, Time now) {
  if (last_arrival_) {
    const double arrived = std::chrono::duration<double>(now - *last_arrival_).count() * clock_rate;
    const double sent = static_cast<std::int32_t>(timestamp - last_timestamp_);
    const double difference = std::abs(arrived - sent);
    // Beyond 5 s the source changed its time line; that is not jitter.
    if (difference < 5.0 * clock_rate) jitter_ += (difference - jitter_) / 16;
  }
  last_arrival_ = now;
  last_timestamp_ = timestamp;
}

void ReceiveStats::on_sender_report(NtpTime ntp, Time now) {
  last_sr_ = ntp;
  last_sr_at_ = now;
}

ReportBlock ReceiveStats::report(std::uint32_t ssrc, Time now) {
  ReportBlock block;
  block.ssrc = ssrc;
  const std::int64_t expected_now = expected() - reported_expected_;
  const std::int64_t lost_now = expected_now - static_cast<std::int64_t>(received_ - reported_received_);
  if (expected_now > 0 && lost_now > 0) {
    block.fraction_lost = static_cast<std::uint8_t>(std::min<std::int64_t>(255, lost_now * 256 / expected_now));
  }
  reported_expected_ = expected();
  reported_received_ = received_;

  block.cumulative_lost = static_cast<std::int32_t>(std::clamp<std::int64_t>(lost(), -0x800000, 0x7fffff));
  block.highest_seq = static_cast<std::uint32_t>(highest_);
  block.jitter = jitter();
  if (last_sr_) {
    block.last_sr = last_sr_->compact();
    const double delay = std::chrono::duration<double>(now - last_sr_at_).count() * 65'536;
    block.delay_since_last_sr = static_cast<std::uint32_t>(std::clamp(delay, 0.0, 4'294'967'295.0));
  }
  return block;
}

}  // namespace amphi::rtp
