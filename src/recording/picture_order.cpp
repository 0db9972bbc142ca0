#include "recording/picture_order.h"

#include <algorithm>
#include <utility>

namespace amphi::recording {
namespace {

constexpr std::size_t kMostReordered = 32;       // pictures: 16 frames of two fields (ITU-T H.264 A.3.1)
constexpr rtp::Timestamp kLeap = 90'000;         // a second: timestamps that begin anew, or a pause
constexpr std::size_t kMostShown = 34;

}  // namespace

/// The stream says that its pictures are shown as they are sent.
bool PictureOrder::keeps_its_time(const Frame& frame) const { return !frame.order || (depth(frame) == 0 && !frame.bidirectional); }

std::size_t PictureOrder::depth(const Frame& frame) const { return distrusts_ ? kMostReordered : frame.order->reordered; }

void PictureOrder::add(Frame frame, Time now) {
  const rtp::Timestamp sent = rtp::extend(frame.timestamp, newest_);
  const bool leaps = sent - newest_ > kLeap || newest_ - sent > kLeap;
  const bool begins = !frame.order || frame.order->begins || leaps;
  newest_ = sent;
  const bool straight = keeps_its_time(frame);
  if (begins || straight) flush();
  if (begins) shown_.clear();
  const std::int64_t count = frame.order ? frame.order->count : 0;
  if (!straight && count < highest_) frame.bidirectional = true;
  highest_ = begins ? count : std::max(highest_, count);
  depth_ = straight ? 0 : depth(frame);
  bytes_ += frame.data.size();
  const Time arrival = frame.arrival;
  Held& held = held_.emplace_back(Held{std::move(frame), count, sent, false});
  if (!straight && !shown_.empty() && count < shown_.back().count) return place_late(held, now);
  const auto at = std::upper_bound(stamps_.begin(), stamps_.end(), sent, [](rtp::Timestamp time, const Stamp& stamp) { return time < stamp.timestamp; });
  stamps_.insert(at, {sent, arrival});
  place_known(held.frame.order && held.frame.order->begins);
}

/// Of the frames that are not placed, the one that is shown first.
PictureOrder::Held* PictureOrder::first_waiting() {
  Held* first = nullptr;
  for (Held& held : held_)
    if (!held.placed && (!first || held.count < first->count)) first = &held;
  return first;
}

void PictureOrder::place_known(bool begins) {
  while (!stamps_.empty()) {
    Held& first = *first_waiting();
    const bool follows = !shown_.empty() && step_ && first.count - shown_.back().count <= *step_;
    if (!begins && !follows && stamps_.size() <= depth_) return;
    place(first);
  }
}

void PictureOrder::place(Held& held) {
  const Stamp stamp = stamps_.front();
  stamps_.erase(stamps_.begin());
  if (stamp.timestamp < held.sent && held.frame.bidirectional) corrected_ = std::min(corrected_ + 1, kEnough);
  held.placed = true;
  held.frame.timestamp = static_cast<rtp::WireTimestamp>(stamp.timestamp);
  held.frame.timed = stamp.arrival;
  show(held.count, stamp.timestamp);
}

/// A frame that is shown later is placed already. A time of its own that fits stays; otherwise it gets one between its neighbours.
void PictureOrder::place_late(Held& held, Time now) {
  held.placed = true;
  const auto next = std::upper_bound(shown_.begin(), shown_.end(), held.count, [](std::int64_t count, const Shown& shown) { return count < shown.count; });
  const rtp::Timestamp until = next->timestamp;
  const rtp::Timestamp from = next == shown_.begin() ? until - 2 : std::prev(next)->timestamp;
  rtp::Timestamp timestamp = held.sent;
  if (timestamp >= until || (next != shown_.begin() && timestamp < from)) {
    timestamp = from + (until - from) / 2;
    distrusts_ = true;
    corrected_ = std::min(corrected_ + 1, kEnough);
    late_ = now - late_at_ < kToldFor ? std::min(late_ + 1, kEnough) : 1;
    late_at_ = now;
  }
  held.frame.timestamp = static_cast<rtp::WireTimestamp>(timestamp);
  show(held.count, timestamp);
}

void PictureOrder::show(std::int64_t count, rtp::Timestamp timestamp) {
  const auto at = std::upper_bound(shown_.begin(), shown_.end(), count, [](std::int64_t value, const Shown& shown) { return value < shown.count; });
  const std::int64_t steps[] = {at == shown_.begin() ? 0 : count - std::prev(at)->count, at == shown_.end() ? 0 : at->count - count};
  for (const std::int64_t step : steps)
    if (step > 0) step_ = std::min(step_.value_or(step), step);
  shown_.insert(at, {count, timestamp});
  if (shown_.size() > kMostShown) shown_.erase(shown_.begin());
}

void PictureOrder::flush() {
  while (!stamps_.empty()) place(*first_waiting());
}

void PictureOrder::restart() {
  flush();
  shown_.clear();
  step_.reset();
  distrusts_ = false;
}

bool PictureOrder::is_overdue(Time now) const {
  return now >= next_timeout() || held_.size() > kMostHeld || bytes_ > kMostHeldBytes;
}

std::optional<Frame> PictureOrder::poll(Time now) {
  while (!held_.empty() && !held_.front().placed && is_overdue(now)) {
    place(*first_waiting());
    place_known(false);
  }
  if (held_.empty() || !held_.front().placed) return std::nullopt;
  Frame frame = std::move(held_.front().frame);
  held_.pop_front();
  bytes_ -= frame.data.size();
  return frame;
}

}  // namespace amphi::recording
