#include "recording/timeline.h"

#include <algorithm>
#include <utility>

namespace amphi::recording {
namespace {

constexpr Duration kLateForGood = 2s;  // a sender that paused its timestamps, not a network that stalled
constexpr Duration kSlip = 250ms;        // a packet so late behind the one before: a stalled network, or paused timestamps
constexpr Duration kBurst = 45ms;        // by which the packets behind it catch up, if it was the network
constexpr Duration kMostBehind = 1s;     // of the arrivals behind the reports: beyond it, media does not lie where its reports say
constexpr Duration kMostReportError = 10s;
constexpr int kMostContradictions = 2;   // in a row
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
  if (!steady_ || now - steady_since_ < kBeginning || apart(wanted, *steady_) > kJump) {
    steady_ = wanted;
  } else {
    const Duration most = std::max(now - steady_at_, Duration{0}) / kEasing;
    steady_ = *steady_ + std::clamp(wanted - *steady_, -most, most);
  }
  steady_at_ = std::max(steady_at_, now);
  return *steady_;
}

bool ParticipantClock::goes_on(rtp::NtpTime ntp, Time now) {
  const bool result = !reported_ || apart(rtp::between(ntp, *reported_), now - reported_at_) <= kTooEarly;
  reported_ = ntp;
  reported_at_ = now;
  return result;
}

std::optional<Duration> ParticipantClock::added_by(Setting setting) const {
  for (const Known& known : settings_)
    if (known.number == setting) return known.add;
  return std::nullopt;
}

ParticipantClock::Setting ParticipantClock::set(Duration add, Duration tolerance, Duration ntp, bool own) {
  const auto nearer = [&](const Known& a, const Known& b) { return apart(a.add, add) < apart(b.add, add); };
  const auto nearest = std::min_element(settings_.begin(), settings_.end(), nearer);
  Known found{numbers_ + 1, add, {}, own};
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
    if (!known->own && ntp + add > known->since + kReportNoise) known->add = add;
}

std::optional<ParticipantClock::Setting> ParticipantClock::adding(Duration more_than, Duration less_than) const {
  for (const bool own : {false, true}) {
    const Known* most = nullptr;
    for (const Known& known : settings_)
      if (known.own == own && known.add > more_than && known.add < less_than && (!most || known.add >= most->add)) most = &known;
    if (most) return most->number;
  }
  return std::nullopt;
}

bool ParticipantClock::is_own(Setting setting) const {
  return std::any_of(settings_.begin(), settings_.end(), [&](const Known& known) { return known.number == setting && known.own; });
}

Duration FeedTimeline::length(rtp::Timestamp ticks) const {
  // Exact up to a century. A sender that jumps ahead with every packet gets beyond that; its length stays within 64 bits.
  constexpr rtp::Timestamp kMostSeconds = 3'000'000'000;
  const rtp::Timestamp rate = clock_rate_;
  return Duration(std::clamp(ticks / rate, -kMostSeconds, kMostSeconds) * 1'000'000'000 + ticks % rate * 1'000'000'000 / rate);
}

Duration FeedTimeline::drifted(Duration media) const {
  return media + Duration(static_cast<std::int64_t>(static_cast<double>(media.count()) * drift_));
}

void FeedTimeline::restart() {
  earliest_.reset();
  behind_.reset();
  report_.reset();
  check_.restart();
  confirmed_ = false;
  contradictions_ = 0;
  probe_.reset();
  newest_arrival_.reset();
  late_since_.reset();
  lead_ = {};
  anew_ = true;
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

bool FeedTimeline::observe(rtp::WireTimestamp wire, Time arrival) {
  const rtp::Timestamp timestamp = newest_arrival_ ? rtp::extend(wire, newest_timestamp_) : extended(wire);
  const Duration offset = (arrival - start_) - length(timestamp);
  if (anew_) {
    if (!earliest_.empty() && (offset < earliest_.value() - kJump || offset > earliest_.value() + kJump)) restart();
    earliest_.add(offset, arrival);
    last_timestamp_ = timestamp;
    last_arrival_ = arrival;
  }
  if (newest_arrival_ && timestamp <= newest_timestamp_) return false;
  const bool slipped = !anew_ && newest_arrival_ && (arrival - *newest_arrival_) - length(timestamp - newest_timestamp_) > kSlip;
  newest_timestamp_ = timestamp;
  newest_arrival_ = arrival;
  if (slipped) probe_ = Probe{timestamp, offset, offset};
  if (probe_) probe_->least = std::min(probe_->least, offset);
  return slipped;
}

rtp::Timestamp FeedTimeline::extended(rtp::WireTimestamp wire) const {
  return placed_any_ || !earliest_.empty() ? rtp::extend(wire, last_timestamp_) : rtp::Timestamp{wire};
}

/// Nothing caught up behind a late packet: its sender paused its timestamps, and the line goes on at the arrivals, by as much before them
/// as the reports had it. Those reports say nothing about what comes now; the next one does.
void FeedTimeline::settle(const Probe& probe, Time arrival) {
  if (earliest_.empty()) return;
  const Duration slip = probe.least - earliest_.value();
  if (probe.first - probe.least > kBurst || slip < kSlip / 2) return;
  drops_.add(Drop::timestamp_jump);
  if (report_ && !behind_.empty() && behind_.value() <= kMostBehind) lead_ = behind_.value();
  report_.reset();
  check_.restart();
  confirmed_ = false;
  behind_.reset();
  earliest_.reset();
  earliest_.add(probe.least, arrival);
  late_since_.reset();
  anew_ = true;
}

/// `step` before the newest frame: as far as the sender says, in the scale of the line since the frame before the newest, which a correction
/// of the line may have made shorter.
Duration FeedTimeline::place_before(rtp::Timestamp step) const {
  if (-step >= advance_ || moved_ == length(advance_)) return last_ + length(step);
  return last_ + Duration(static_cast<std::int64_t>(static_cast<double>(moved_.count()) * (static_cast<double>(step) / static_cast<double>(advance_))));
}

Duration FeedTimeline::place(rtp::WireTimestamp wire, Time arrival, bool reordered) {
  const Duration arrived = arrival - start_;
  const rtp::Timestamp timestamp = extended(wire);
  if (probe_ && timestamp >= probe_->timestamp) settle(*std::exchange(probe_, std::nullopt), arrival);
  const bool has_last = placed_any_ && !anew_;
  const rtp::Timestamp step = has_last ? timestamp - last_timestamp_ : 0;
  // Shown before the newest, which stays the frame that the line goes on from.
  if (reordered && step < 0 && length(step) > -kJump) return place_before(step);
  const Duration advance = std::max(length(step), Duration{0});
  const Duration expected = last_ + advance;

  if (has_last && !earliest_.empty() && left_the_line(step, expected, arrival)) {
    drops_.add(Drop::timestamp_jump);
    restart();
  }
  const bool anew = std::exchange(anew_, false);
  earliest_.add(arrived - length(timestamp), arrival);

  Duration wanted = earliest_.value() + length(timestamp) - lead_;
  if (const auto time = participant_time(timestamp)) {
    if (clock_.arrived(*time, arrival)) {  // so it lies where it arrived, at the latest
      const Duration reported = *time + clock_.offset(arrival) - start_.time_since_epoch();
      behind_.add(arrived - reported, arrival);
      if (behind_.value() <= kMostBehind) wanted = reported;
    } else {
      drops_.add(Drop::implausible_report);
      report_.reset();
    }
  }
  Duration place = anew ? wanted : slewed(expected, wanted, advance);
  if (!placed_any_) place = std::max(place, floor_);
  if (placed_any_) place = std::max(place, last_);
  if (!placed_any_) first_ = place;
  advance_ = has_last && !anew ? step : 0;
  moved_ = place - last_;
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
  const Duration passed = last_arrival_.time_since_epoch() - (ntp + offset);
  if (const auto fitting = clock_.adding(passed - kJump, passed + kTooEarly)) return *fitting;
  const Duration earliest = earliest_.value() + length(last_timestamp_) + start_.time_since_epoch();
  return clock_.set(earliest - offset - ntp, kTooEarly, report.ntp, true);
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

bool FeedTimeline::is_believed(const rtp::ReportedInstant& report, Time now) {
  const auto verdict = check_.check(report, clock_rate_);
  if (verdict == rtp::ReportCheck::Verdict::no_clock) drops_.add(Drop::report_without_clock);
  if (verdict == rtp::ReportCheck::Verdict::no_clock || verdict == rtp::ReportCheck::Verdict::repeated) return false;
  const bool goes_on = clock_.goes_on(report.ntp, now);
  const bool stood_still = length(static_cast<std::int32_t>(report.rtp - std::exchange(last_reported_, report.rtp))) < rtp::ReportCheck::kLeastSpan;
  if (verdict == rtp::ReportCheck::Verdict::confirmed) {
    contradictions_ = 0;
    return confirmed_ = true;
  }
  // One report of a stream proves nothing, but NTP time that has gone on since a report of another stream is unlikely to be a lie.
  if (verdict == rtp::ReportCheck::Verdict::unconfirmed) return goes_on;
  // A sender whose reports confirmed each other has set its clock, or its media slipped. While media stands still its arrivals will tell.
  if (confirmed_ && !stood_still && ++contradictions_ <= kMostContradictions) return true;
  drops_.add(Drop::implausible_report);
  if (!confirmed_) report_.reset();
  return false;
}

void FeedTimeline::handle_sender_report(rtp::NtpTime ntp, rtp::WireTimestamp timestamp, Time now) {
  if (!is_believed({ntp, timestamp}, now)) return;
  Report report{ntp_duration(ntp), timestamp, std::nullopt, 0, {}};
  if (!earliest_.empty()) {
    report.timestamp = rtp::extend(timestamp, last_timestamp_);
    // Taken as sent when it arrived, it must put the newest frame near that frame's arrival; earlier where the sender's
    // encoder is behind, later only by what the report itself is late.
    const Duration error = now + length(last_timestamp_ - *report.timestamp) - last_arrival_;
    if (error < -kMostReportError || error > kLatestReport) return drops_.add(Drop::implausible_report);
  }
  if (report_ && !clock_.is_own(report_->setting)) {
    const Duration media_passed = length(static_cast<std::int32_t>(timestamp - report_->wire));
    if (media_passed < Duration{0}) return;  // overtaken by the one before
    report_->add = clock_.added_by(report_->setting).value_or(report_->add);
    report.setting = next_setting(report, report.ntp - report_->ntp, media_passed);
  } else {
    report.setting = first_setting(report, now);
  }
  report.add = clock_.added_by(report.setting).value_or(report_ ? report_->add : Duration{0});
  report_ = report;
  lead_ = {};
  // A clock of its own was tied to the frames' arrivals; its reports tell nothing of the other feeds' way.
  if (clock_.is_own(report.setting) || clock_.arrived(report.ntp + report.add, now)) return;
  drops_.add(Drop::implausible_report);
  report_.reset();
}

}  // namespace amphi::recording
