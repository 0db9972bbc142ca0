#include "cc/transport_feedback.h"

#include <algorithm>

namespace amphi::cc {

void FeedbackGenerator::on_packet(std::uint16_t transport_seq, Time now) {
  const std::int64_t seq = started_ ? rtp::extend(transport_seq, highest_) : transport_seq;
  if (!started_ || seq - begin_ > kMaxJump || highest_ - seq > kMaxJump) {
    started_ = true;
    begin_ = highest_ = seq;
    arrivals_.clear();
  }
  if (seq < begin_ - kMaxLate) return;
  if (seq < begin_) {
    arrivals_.insert(arrivals_.begin(), static_cast<std::size_t>(begin_ - seq), std::nullopt);
    begin_ = seq;
  }
  const auto at = static_cast<std::size_t>(seq - begin_);
  if (at >= arrivals_.size()) arrivals_.resize(at + 1);
  if (!arrivals_[at]) arrivals_[at] = now;
  highest_ = std::max(highest_, seq);
  if (deadline_ == Time::max()) deadline_ = now + kInterval;
}

std::optional<rtp::TransportFeedback> FeedbackGenerator::poll(Time now) {
  if (now < deadline_) return std::nullopt;
  rtp::TransportFeedback feedback;
  feedback.feedback_count = count_++;
  std::size_t end = 0;
  // A feedback without any arrival would carry no reference time: it goes on to the next that there is.
  for (bool any = false; end < arrivals_.size() && (end < kMaxNumbers || !any); ++end) {
    const auto& arrival = arrivals_[end];
    any |= arrival.has_value();
    std::optional<std::int64_t> units;
    if (arrival)
      units = std::chrono::floor<std::chrono::duration<std::int64_t, std::ratio<1, 4000>>>(*arrival)
                  .time_since_epoch()
                  .count();
    feedback.arrivals.push_back({static_cast<std::uint16_t>(begin_ + static_cast<std::int64_t>(end)), units});
  }
  arrivals_.erase(arrivals_.begin(), arrivals_.begin() + static_cast<std::ptrdiff_t>(end));
  begin_ += static_cast<std::int64_t>(end);
  if (arrivals_.empty()) deadline_ = Time::max();
  return feedback;
}

}  // namespace amphi::cc
