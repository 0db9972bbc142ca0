#include "rtp/source_selector.h"

#include <algorithm>

namespace amphi::rtp {
namespace {

constexpr Duration kWindow = 2s;  // over which the longest packet interval is taken, twice

}  // namespace

SourceSelector::Choice SourceSelector::choose(const RtpHeader& header, ByteView payload, std::optional<std::uint8_t> audio_level, Time now) {
  if (selected_ == header.ssrc) {
    if (!payload.empty()) on_selected_media(now, held_.empty());
    if (!held_.empty()) drop_outdated();
    return Choice::selected;
  }
  if (payload.empty()) return Choice::not_selected;
  if (!selected_) {
    select(header.ssrc, now);
    return Choice::selected;
  }
  Other& other = find_other(header.ssrc, now);
  drop_outdated();
  const bool silent = is_silent(now);
  if (silent && held_.empty()) {
    select(header.ssrc, now);
    return Choice::selected;
  }
  if (!silent && now - other.since > kOverlap) {
    drop_held_of(header.ssrc);
    return Choice::not_selected;
  }
  return hold(header, payload, audio_level, now) ? Choice::held : Choice::not_selected;
}

std::optional<SourceSelector::Held> SourceSelector::poll(Time now) {
  drop_outdated();
  if (held_.empty()) return std::nullopt;
  const auto of_selected = [this](const Held& held) { return held.header.ssrc == *selected_; };
  if (std::none_of(held_.begin(), held_.end(), of_selected)) {
    if (!is_silent(now)) return std::nullopt;
    const auto next = next_source();
    if (!next) return std::nullopt;
    select(next->header.ssrc, next->arrival);
  }
  while (!of_selected(held_.front())) drop_front();  // the selected source sent after it: a simultaneous source
  Held next = std::move(held_.front());
  held_.pop_front();
  held_bytes_ -= next.payload.size();
  on_selected_media(next.arrival, true);
  return next;
}

/// The first packet of the first held source that has sent since the selected one fell silent. Drops all where none has.
const SourceSelector::Held* SourceSelector::next_source() {
  for (const Held& first : held_)
    for (const Held& held : held_)
      if (held.header.ssrc == first.header.ssrc && held.arrival >= heard_) return &first;
  while (!held_.empty()) drop_front();
  return nullptr;
}

void SourceSelector::end(std::uint32_t ssrc) {
  if (selected_ == ssrc) ended_ = true;
}

void SourceSelector::select(std::uint32_t ssrc, Time now) {
  if (selected_) {  // it is known from now on as a source that was there: what comes of it soon is a straggler
    Other& replaced = find_other(*selected_, heard_);
    replaced.since = std::min(replaced.since, heard_ - kOverlap);
  }
  for (Other& other : others_)
    if (other.ssrc == ssrc) other = {};
  selected_ = ssrc;
  heard_ = window_since_ = now;
  longest_ = longest_before_ = {};
  ended_ = false;
}

void SourceSelector::on_selected_media(Time now, bool learns_interval) {
  const Duration interval = now - heard_;
  if (now - window_since_ > kWindow) {
    longest_before_ = now - window_since_ > 2 * kWindow ? Duration{} : longest_;
    longest_ = {};
    window_since_ = now;
  }
  if (learns_interval && interval <= kMostPatience) longest_ = std::max(longest_, interval);  // a longer one is a pause
  heard_ = std::max(heard_, now);
  ended_ = false;
}

Duration SourceSelector::patience() const {
  if (ended_) return Duration{};
  const Duration longest = std::max(longest_, longest_before_);
  if (longest == Duration{}) return kUnknownPatience;
  return std::clamp(2 * longest, kLeastPatience, kMostPatience);
}

SourceSelector::Other& SourceSelector::find_other(std::uint32_t ssrc, Time now) {
  const auto by_heard = [](const Other& a, const Other& b) { return a.heard < b.heard; };
  auto found = std::find_if(others_.begin(), others_.end(), [&](const Other& other) { return other.heard != Time::min() && other.ssrc == ssrc; });
  if (found == others_.end()) {
    found = std::min_element(others_.begin(), others_.end(), by_heard);
    *found = {ssrc, now, now};
  }
  if (now - found->heard > kAbsent) found->since = now;
  found->heard = std::max(found->heard, now);
  return *found;
}

bool SourceSelector::hold(const RtpHeader& header, ByteView payload, std::optional<std::uint8_t> audio_level, Time now) {
  // The newest is dropped when there is no room: a retransmission may bring it back, and a video's first packets are its keyframe.
  if (held_.size() >= kMostHeld || held_bytes_ + payload.size() > kMostHeldBytes) return false;
  held_.push_back({header, to_bytes(payload), audio_level, now});
  held_bytes_ += payload.size();
  return true;
}

void SourceSelector::drop_front() {
  held_bytes_ -= held_.front().payload.size();
  held_.pop_front();
  ++dropped_;
}

void SourceSelector::drop_held_of(std::uint32_t ssrc) {
  const std::size_t before = held_.size();
  std::erase_if(held_, [&](const Held& held) {
    if (held.header.ssrc != ssrc) return false;
    held_bytes_ -= held.payload.size();
    return true;
  });
  dropped_ += before - held_.size();
}

/// The selected source has sent for so long since then that it did not stop for these.
void SourceSelector::drop_outdated() {
  while (!held_.empty() && heard_ - held_.front().arrival > kOverlap) drop_front();
}

}  // namespace amphi::rtp
