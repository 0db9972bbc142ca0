#include "recording/timeline.h"

#include <algorithm>

namespace amphi::recording {
namespace {

constexpr Duration kLateForGood = 2s;  // a sender that paused its timestamps, not a network that stalled
constexpr Duration kMostReportError = 10s;
constexpr Duration kLatestReport = 5s;
constexpr Duration kReportNoise = 12ms;  // of what a sender takes for the same instant on its two clocks
constexpr int kUnknownDrift = 2500;      // one part in so many, between those clocks
constexpr double kMostDrift = 1e-3;
constexpr Duration kDriftMemory = 120s;
constexpr Duration kTooEarly = 100ms;    // more than delays differ by
constexpr Duration kSettling = 1s;       // of a track's beginning

Duration apart(Duration a, Duration b) {
  return a < b ? b - a : a - b;
}

}  // namespace

void WindowedMinimum::add(Duration value, Time now) {
  if (empty() || now - since_ >= window_) {
    before_ = now - since_ >= 2 * window_ ? Duration::max() : now_;
    now_ = value;
    since_ = now;
  }
  now_ = std::min(now_, value);
}

Duration ntp_duration(rtp::NtpTime ntp) {
  const auto whole = static_cast<std::int64_t>(ntp.value >> 32);
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
  if (!steady_ || now - steady_since_ < kBeginning || apart(wanted, *steady_) > kJump) {
    steady_ = wanted;
  } else {
    const Duration most = std::max(now - steady_at_, Duration{0}) / kEasing;
    steady_ = *steady_ + std::clamp(wanted - *steady_, -most, most);
  }
  steady_at_ = std::max(steady_at_, now);
  return *steady_;
}

std::optional<Duration> ParticipantClock::added_by(Setting setting) const {
  for (const Known& known : settings_)
    if (known.number == setting) return known.add;
  return std::nullopt;
}

ParticipantClock::Setting ParticipantClock::set(Duration add, Duration tolerance, Duration ntp) {
  const auto nearer = [&](const Known& a, const Known& b) { return apart(a.add, add) < apart(b.add, add); };
  const auto nearest = std::min_element(settings_.begin(), settings_.end(), nearer);
  Known found{numbers_ + 1, add, {}};
  if (nearest != settings_.end() && apart(nearest->add, add) <= tolerance) {
    found = *nearest;
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
  while (++known != settings_.end())
    if (ntp + add > known->since + kReportNoise) known->add = add;
}

Duration FeedTimeline::length(rtp::Timestamp ticks) const {
  // Exact, and within 64 bits for any distance that two wire timestamps can have.
  const rtp::Timestamp rate = clock_rate_;
  return Duration(ticks / rate * 1'000'000'000 + ticks % rate * 1'000'000'000 / rate);
}

Duration FeedTimeline::drifted(Duration media) const {
  return media + Duration(static_cast<std::int64_t>(static_cast<double>(media.count()) * drift_));
}

void FeedTimeline::restart() {
  earliest_.reset();
  report_.reset();
  late_since_.reset();
}

bool FeedTimeline::left_the_line(rtp::Timestamp step, Duration expected, Time arrival) {
  const Duration late = (arrival - start_) - expected;
  if (length(step) < -kJump || late < -kJump) return true;
  // Reports that go on will tell of a pause themselves, and do not mistake a full queue for one.
  if (late <= kJump || report_) {
    late_since_.reset();
    return false;
  }
  if (!late_since_) late_since_ = arrival;
  return arrival - *late_since_ > kLateForGood;
}

std::optional<Duration> FeedTimeline::participant_time(rtp::Timestamp timestamp) {
  if (!report_) return std::nullopt;
  if (!report_->timestamp) report_->timestamp = rtp::extend(report_->wire, timestamp);
  report_->add = clock_.added_by(report_->setting).value_or(report_->add);
  return report_->ntp + report_->add + drifted(length(timestamp - *report_->timestamp));
}

Duration FeedTimeline::slewed(Duration expected, Duration wanted, Duration step) const {
  const Duration error = wanted - expected;
  // Forward a line may step. Backward it never does: what is written stands, and the frames behind it would collapse.
  if (error > kJump) return wanted;
  // Two per cent is not heard; a large error is mended faster, for it is a fault (a sender that was far behind when the
  // recording began, and works its backlog off), and so is any at the start.
  const Duration size = error < 0ns ? -error : error;
  const bool settling = last_ - first_ < kSettling;
  const Duration most = size > 200ms || settling ? step / 2 : size > 40ms ? step / 10 : step / 50;
  return expected + std::clamp(error, -most, most);
}

void FeedTimeline::observe(rtp::WireTimestamp wire, Time arrival) {
  if (placed_any_) return;
  const rtp::Timestamp timestamp = earliest_.empty() ? rtp::Timestamp{wire} : rtp::extend(wire, last_timestamp_);
  const Duration offset = (arrival - start_) - length(timestamp);
  if (!earliest_.empty() && (offset < earliest_.value() - kJump || offset > earliest_.value() + kJump)) restart();
  earliest_.add(offset, arrival);
  last_timestamp_ = timestamp;
  last_arrival_ = arrival;
}

Duration FeedTimeline::place(rtp::WireTimestamp wire, Time arrival, bool reordered) {
  const Duration arrived = arrival - start_;
  const bool seen = placed_any_ || !earliest_.empty();
  const rtp::Timestamp timestamp = seen ? rtp::extend(wire, last_timestamp_) : rtp::Timestamp{wire};
  const rtp::Timestamp step = placed_any_ ? timestamp - last_timestamp_ : 0;
  // Shown before the newest: as far from it as the sender says. The newest stays the one that the line goes on from.
  if (reordered && step < 0 && length(step) > -kJump) return last_ + length(step);
  const Duration advance = std::max(length(step), Duration{0});
  const Duration expected = last_ + advance;

  if (placed_any_ && !earliest_.empty() && left_the_line(step, expected, arrival)) {
    drops_.add(Drop::timestamp_jump);
    restart();
  }
  const bool anew = !placed_any_ || earliest_.empty();
  earliest_.add(arrived - length(timestamp), arrival);

  Duration wanted = earliest_.value() + length(timestamp);
  if (const auto time = participant_time(timestamp)) {
    if (clock_.arrived(*time, arrival)) {  // so it lies where it arrived, at the latest
      wanted = *time + clock_.offset(arrival) - start_.time_since_epoch();
    } else {
      drops_.add(Drop::implausible_report);
      report_.reset();
    }
  }
  Duration place = anew ? wanted : slewed(expected, wanted, advance);
  if (!placed_any_) place = std::max(place, floor_);
  if (placed_any_) place = std::max(place, last_);
  if (!placed_any_) first_ = place;
  last_ = place;
  last_timestamp_ = timestamp;
  last_arrival_ = arrival;
  placed_any_ = true;
  return place;
}

ParticipantClock::Setting FeedTimeline::first_setting(const Report& report, Time now) {
  const auto newest = clock_.newest();
  if (!newest) return clock_.set(Duration{0}, kReportNoise, report.ntp);
  if (!report.timestamp || !clock_.known()) return *newest;
  // Where it puts the newest frame tells whether it goes by the clock as the other feeds know it.
  const Duration ntp = report.ntp + length(last_timestamp_ - *report.timestamp);
  const Duration offset = clock_.offset(now);
  const Duration late = last_arrival_.time_since_epoch() - (ntp + offset + *clock_.added_by(*newest));
  if (late > -kTooEarly && late < kJump) return *newest;
  const Duration earliest = earliest_.value() + length(last_timestamp_) + start_.time_since_epoch();
  return clock_.set(earliest - offset - ntp, kTooEarly, report.ntp);
}

ParticipantClock::Setting FeedTimeline::next_setting(const Report& report, Duration ntp_passed, Duration media_passed) {
  const Duration set_by = ntp_passed - drifted(media_passed);
  const Duration tolerance = kReportNoise + media_passed / kUnknownDrift;
  if (apart(set_by, Duration{0}) > tolerance) return clock_.set(report_->add - set_by, tolerance, report.ntp);
  clock_.confirm(report_->setting, report.ntp);
  if (media_passed > Duration{0}) {
    const double more = static_cast<double>(set_by.count()) / static_cast<double>(std::max(media_passed, kDriftMemory).count());
    drift_ = std::clamp(drift_ + more, -kMostDrift, kMostDrift);
  }
  return report_->setting;
}

void FeedTimeline::handle_sender_report(rtp::NtpTime ntp, rtp::WireTimestamp timestamp, Time now) {
  Report report{ntp_duration(ntp), timestamp, std::nullopt, 0, {}};
  if (!earliest_.empty()) {
    report.timestamp = rtp::extend(timestamp, last_timestamp_);
    // Taken as sent when it arrived, it must put the newest frame near that frame's arrival; earlier where the sender's
    // encoder is behind, later only by what the report itself is late.
    const Duration error = now + length(last_timestamp_ - *report.timestamp) - last_arrival_;
    if (error < -kMostReportError || error > kLatestReport) return drops_.add(Drop::implausible_report);
  }
  if (report_) {
    const Duration media_passed = length(static_cast<std::int32_t>(timestamp - report_->wire));
    if (media_passed < Duration{0}) return;  // overtaken by the one before
    report_->add = clock_.added_by(report_->setting).value_or(report_->add);
    report.setting = next_setting(report, report.ntp - report_->ntp, media_passed);
  } else {
    report.setting = first_setting(report, now);
  }
  report.add = clock_.added_by(report.setting).value_or(report_ ? report_->add : Duration{0});
  report_ = report;
  if (clock_.arrived(report.ntp + report.add, now)) return;
  drops_.add(Drop::implausible_report);
  report_.reset();
}

}  // namespace amphi::recording
