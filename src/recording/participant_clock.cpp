#include "recording/participant_clock.h"

#include <algorithm>

namespace amphi::recording {

Duration ntp_duration(rtp::NtpTime ntp) {
  auto whole = static_cast<std::int64_t>(ntp.value >> 32);
  if (whole < std::int64_t{1} << 31) whole += std::int64_t{1} << 32;  // the era that begins in 2036 (RFC 4330 3)
  const auto fraction = static_cast<std::int64_t>(((ntp.value & 0xffffffffu) * 1'000'000'000u) >> 32);
  return Duration(whole * 1'000'000'000 + fraction);
}

bool ParticipantClock::arrived(Duration time, Time arrival) {
  const Duration offset = arrival.time_since_epoch() - time;
  if (known() && (offset < offset_.value() - kMostEarly || offset > offset_.value() + kMostLate)) return false;
  offset_.add(offset, arrival);
  return true;
}

Duration ParticipantClock::offset(Time now) {
  const Duration wanted = offset_.value();
  if (!steady_) steady_since_ = steady_at_ = now;
  if (!steady_ || now - steady_since_ < kBeginning || distance(wanted, *steady_) > kJump) {
    steady_ = wanted;
  } else {
    const Duration most = std::max(now - steady_at_, Duration{0}) / kEasing;
    steady_ = *steady_ + std::clamp(wanted - *steady_, -most, most);
  }
  steady_at_ = std::max(steady_at_, now);
  return *steady_;
}

int ParticipantClock::moved(Time since) {
  if (movement_ > 0 && std::chrono::abs(since - moved_at_) <= kTogether) return movement_;
  moved_at_ = since;
  moved_back_ = false;
  return ++movement_;
}

void ParticipantClock::move_back(int number) {
  if (number == movement_) moved_back_ = true;
}

bool ParticipantClock::goes_on(rtp::NtpTime ntp, Time now) {
  const bool result = !reported_ || distance(rtp::between(ntp, *reported_), now - reported_at_) <= kTooEarly;
  reported_ = ntp;
  reported_at_ = now;
  return result;
}

std::optional<Duration> ParticipantClock::added_by(Setting setting) const {
  for (const Known& known : settings_)
    if (known.number == setting) return known.add;
  return std::nullopt;
}

ParticipantClock::Setting ParticipantClock::set(Duration add, Duration tolerance, Duration ntp, bool own, Setting before) {
  const auto nearer = [&](const Known& a, const Known& b) { return distance(a.add, add) < distance(b.add, add); };
  const auto previous = std::find_if(settings_.begin(), settings_.end(), [&](const Known& k) { return k.number == before; });
  const auto nearest = std::min_element(previous == settings_.end() ? settings_.begin() : previous + 1, settings_.end(), nearer);
  Known found{numbers_ + 1, add, {}, own};
  if (nearest != settings_.end() && distance(nearest->add, add) <= tolerance) {
    found = *nearest;
    found.own = own;  // of two feeds
    settings_.erase(nearest);
  }
  numbers_ = std::max(numbers_, found.number);
  found.since = ntp + found.add;
  settings_.push_back(found);
  if (settings_.size() > kMostSettings) settings_.pop_front();
  return found.number;
}

void ParticipantClock::confirm(Setting setting, Duration ntp) {
  auto known = std::find_if(settings_.begin(), settings_.end(), [&](const Known& k) { return k.number == setting; });
  if (known == settings_.end()) return;
  const Duration add = known->add;
  while (++known != settings_.end()) {
    if (ntp + add <= known->since + kReportNoise) continue;
    if (distance(known->add, add) <= kSameSetting) known->add = add;
    else known->own = true;
  }
}

std::optional<ParticipantClock::Setting> ParticipantClock::adding(Duration more_than, Duration less_than) const {
  for (const bool own : {false, true})
    for (auto known = settings_.rbegin(); known != settings_.rend(); ++known)
      if (known->own == own && known->add > more_than && known->add < less_than) return known->number;
  return std::nullopt;
}

bool ParticipantClock::is_own(Setting setting) const {
  return std::any_of(settings_.begin(), settings_.end(), [&](const Known& known) { return known.number == setting && known.own; });
}

}  // namespace amphi::recording
