#include "recording/silence_watch.h"

#include <utility>

namespace amphi::recording {

void SilenceWatch::frame(const Silence& interval, bool bidirectional) {
  if (bidirectional && interval.to <= (newest_ ? newest_->to : interval.from)) {
    if (newest_ && interval.to > newest_->from) newest_->to = interval.to;
    return;
  }
  decide_newest();
  if (interval.length() > longest_regular()) newest_ = interval;
  else take_regular(interval.length(), interval.to);
}

void SilenceWatch::take_regular(Duration interval, Duration at) {
  recent_.push_back(interval);
  if (recent_.size() > kEnough) recent_.pop_front();
  if (!learns_ || recent_.size() < kEnough) return;
  regular_ = *std::max_element(recent_.begin(), recent_.end());
  paced_at_ = at;
  decided_.insert(decided_.end(), waiting_.begin(), waiting_.end());  // they were no pace
  waiting_.clear();
}

void SilenceWatch::decide_newest() {
  const auto newest = std::exchange(newest_, std::nullopt);
  if (!newest || newest->length() <= longest_regular()) return;
  recent_.clear();
  if (!learns_ || (paced_at_ && newest->from - *paced_at_ <= kForget)) {
    decided_.push_back(*newest);
    return;
  }
  waiting_.push_back(*newest);
  if (waiting_.size() == kEnough) decide_waiting(Duration::zero());
}

/// Those of a feed that had a pace were outages at that pace.
void SilenceWatch::decide_waiting(Duration rest) {
  if (waiting_.empty()) return;
  const bool had_pace = paced_at_.has_value();
  if (!had_pace || waiting_.size() == kEnough) {
    regular_ = Duration::zero();
    for (std::size_t n = 0; n < waiting_.size(); ++n)
      regular_ = std::max(regular_, std::min(waiting_[n].length(), n + 1 < waiting_.size() ? waiting_[n + 1].length() : rest));
    if (regular_ > Duration::zero()) paced_at_ = waiting_.back().to;
  }
  for (const Silence& each : waiting_)
    if (had_pace || each.length() > longest_regular()) decided_.push_back(each);
  waiting_.clear();
}

void SilenceWatch::interrupt() { finish(Duration::zero()); }

void SilenceWatch::finish(Duration rest) {
  decide_newest();
  decide_waiting(rest);
}

std::optional<SilenceWatch::Silence> SilenceWatch::poll() {
  if (decided_.empty()) return std::nullopt;
  const Silence next = decided_.front();
  decided_.pop_front();
  return next;
}

}  // namespace amphi::recording
