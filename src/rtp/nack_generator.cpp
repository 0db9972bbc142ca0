#include "rtp/nack_generator.h"

#include <algorithm>
#include <utility>

namespace amphi::rtp {

void NackGenerator::on_packet(Seq seq, Time now) {
  if (!highest_) highest_ = seq;
  if (seq <= *highest_) {
    if (*highest_ - seq > kMaxMissing) return start_over(seq);
    const auto found =
        std::lower_bound(missing_.begin(), missing_.end(), seq, [](const Missing& m, Seq s) { return m.seq < s; });
    if (found != missing_.end() && found->seq == seq) missing_.erase(found);
    return;
  }
  const Seq gap = seq - *highest_ - 1;
  if (gap + static_cast<Seq>(missing_.size()) > kMaxMissing) return start_over(seq);
  for (Seq s = *highest_ + 1; s < seq; ++s) missing_.push_back({s, now, now + kReorderTime, 0});
  highest_ = seq;
  for (Missing& m : missing_) {
    if (m.tries == 0 && seq - m.seq >= kReorderPackets) m.next = std::min(m.next, now);
  }
}

void NackGenerator::start_over(Seq seq) {
  missing_.clear();
  highest_ = seq;
  keyframe_needed_ = true;
}

void NackGenerator::drop_hopeless(Time now) {
  const std::size_t dropped = std::erase_if(missing_, [now](const Missing& m) {
    return now - m.since >= kGiveUpAfter || (m.tries >= kMaxTries && m.next <= now);
  });
  if (dropped > 0) keyframe_needed_ = true;
}

std::vector<WireSeq> NackGenerator::poll(Time now) {
  std::vector<WireSeq> due;
  if (missing_.empty()) return due;
  drop_hopeless(now);
  for (Missing& m : missing_) {
    if (m.next > now) continue;
    if (due.size() == kMaxPerPoll) break;
    due.push_back(static_cast<WireSeq>(m.seq));
    ++m.tries;
    m.next = now + interval_;
  }
  return due;
}

Time NackGenerator::next_timeout() const {
  Time next = Time::max();
  for (const Missing& m : missing_) next = std::min({next, m.next, m.since + kGiveUpAfter});
  return next;
}

void NackGenerator::set_round_trip(Duration round_trip) {
  // A little more than a round trip: the answer waits in the sender's queue and in the network's.
  interval_ = std::clamp<Duration>(round_trip + 10ms, kMinInterval, kGiveUpAfter);
}

bool NackGenerator::is_missing(WireSeq seq) const {
  return std::any_of(missing_.begin(), missing_.end(), [seq](const Missing& m) { return static_cast<WireSeq>(m.seq) == seq; });
}

bool NackGenerator::take_keyframe_needed() {
  return std::exchange(keyframe_needed_, false);
}

}  // namespace amphi::rtp
