#include "recording/timeline.h"

#include <algorithm>
#include <utility>

namespace amphi::recording {
namespace {

constexpr Duration kLateForGood = 2s;  // a sender that paused its timestamps, not a network that stalled
constexpr Duration kSudden = 25ms;     // a packet so late behind the one before is looked into
constexpr Duration kSlip = 25ms;       // and the noise: arrivals that lie so much later for good
constexpr Duration kLateFirst = 28ms;  // and the noise: the first of them
constexpr int kLeastProbe = 8;         // packets
constexpr Duration kLongestProbe = 1s;
constexpr Duration kBurst = 45ms;      // by which the packets behind a late one catch up, if it was the network
constexpr Duration kStepBack = 10ms;
constexpr Duration kStepAhead = 30ms;
constexpr Duration kMostBehind = 1s;   // of the arrivals behind the reports: beyond it, media does not lie where its reports say
constexpr Duration kMostReportError = 10s;
constexpr int kMostContradictions = 2;  // in a row
constexpr Duration kLatestReport = 5s;
constexpr Duration kEstimate = 100ms;   // by which a report corrects a line that followed its arrivals
constexpr int kUnknownDrift = 2500;     // one part in so many, between those clocks
constexpr double kMostDrift = 1e-3;
constexpr Duration kDriftMemory = 120s;
constexpr Duration kRunAway = 10ms;     // and one part in kRunAwayDrift: of NTP time against steady arrivals
constexpr int kRunAwayDrift = 2200;
constexpr Duration kSettling = 1s;      // of a track's beginning

}  // namespace

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
  level_.restart();
  report_.reset();
  anchor_.reset();
  detached_ = false;
  check_.restart();
  confirmed_ = false;
  contradictions_ = 0;
  probe_.reset();
  newest_arrival_.reset();
  late_since_.reset();
  lead_ = {};
  anew_ = true;
}

bool FeedTimeline::left_the_line(Duration expected, Time arrival) {
  const Duration late = (arrival - start_) - expected;
  if (late < -kJump) return true;
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
  // What is being looked into says nothing about the noise yet.
  level_.add(offset, probe_ || earliest_.empty() ? std::nullopt : std::optional(earliest_.value()), arrival);
  if (newest_arrival_ && timestamp <= newest_timestamp_) return false;
  const bool probes = observe_advance(timestamp, offset, arrival);
  newest_timestamp_ = timestamp;
  newest_arrival_ = arrival;
  return probes;
}

bool FeedTimeline::observe_advance(rtp::Timestamp timestamp, Duration offset, Time arrival) {
  if (probe_ && arrival - probe_->since > kLongestProbe) probe_.reset();
  if (probe_) {
    probe_->least = std::min(probe_->least, offset);
    probe_->last = offset;
    ++probe_->packets;
    return false;
  }
  if (anew_ || !newest_arrival_ || earliest_.empty()) return false;
  const Duration later = (arrival - *newest_arrival_) - length(timestamp - newest_timestamp_);
  if (later <= kSudden || offset - earliest_.value() <= kLateFirst + level_.noise()) return false;
  probe_ = Probe{timestamp, *newest_arrival_, arrival, offset, offset, offset, 1};
  return true;
}

rtp::Timestamp FeedTimeline::extended(rtp::WireTimestamp wire) const {
  return placed_any_ || !earliest_.empty() ? rtp::extend(wire, last_timestamp_) : rtp::Timestamp{wire};
}

/// Looks at the packets since a late one. If nothing caught up, its sender paused its timestamps.
void FeedTimeline::settle(Time arrival) {
  if (probe_->packets < kLeastProbe && arrival - probe_->since < kLongestProbe) return;
  const Probe probe = *std::exchange(probe_, std::nullopt);
  if (earliest_.empty() || probe.packets < kLeastProbe) return;
  const Duration noise = level_.noise(), slip = probe.least - earliest_.value();
  const bool caught_up = probe.first - probe.least > kBurst + noise, still_falls_behind = probe.last - probe.least > kBurst + noise;
  if (caught_up || still_falls_behind || slip < kSlip + noise) return level_.add_noise(slip, arrival);
  drops_.add(Drop::timestamp_jump);
  shift_line(slip);
  anew_ = true;
}

/// The arrivals say that timestamps slipped or stepped: they mean a time that is `by` later. The report may be from behind that, and came
/// before the arrivals could tell: then the clock was not set after all.
void FeedTimeline::move_report(Duration by) {
  if (report_->set_by != Duration{0} && distance(report_->set_by, by) <= kEstimate) {
    report_->setting = report_->setting_before;
    report_->set_by = Duration{0};
  } else {
    report_->ntp += by;
    report_->moved += by;
    report_->estimated = true;
    report_->set_by = Duration{0};
  }
  report_->level.reset();
}

/// Timestamps lie `by` later on the line from here on.
void FeedTimeline::shift_line(Duration by) {
  earliest_.shift(by);
  level_.restart();
  if (report_) move_report(by);
  anchor_.reset();
  late_since_.reset();
}

/// Frames come here in the order of their sending, so timestamps that go back have stepped. Forward they did if that puts the frame ahead of
/// its arrival; behind a gap in the media it is not.
bool FeedTimeline::has_stepped(rtp::Timestamp step, Duration offset, bool reordered) const {
  if (step < 0) return !reordered && length(step) < -kStepBack;
  if (usual_step_ == Duration{0}) return false;
  // Frames that others are shown before arrive early, by as many frames as those are.
  const Duration least = reorders_ ? kJump : kStepAhead;
  return length(step) > usual_step_ + least && offset < earliest_.value() - least;
}

/// Where the frame lies whose timestamp stepped: one step behind the one before, unless it arrived at another time than that.
Duration FeedTimeline::follow_step(rtp::WireTimestamp wire, rtp::Timestamp timestamp, Time arrival) {
  const Duration passed = std::max(arrival - last_arrival_, Duration{0});
  const Duration advance = distance(passed, usual_step_) <= kBurst + level_.noise() ? usual_step_ : passed;
  drops_.add(Drop::timestamp_jump);
  const auto time = participant_time(last_timestamp_);
  shift_line(advance - length(timestamp - last_timestamp_));
  if (report_ && report_->estimated) {
    report_->ntp = *time + advance - report_->add;
    report_->wire = wire;
    report_->timestamp = timestamp;
  }
  probe_.reset();
  newest_arrival_.reset();
  return advance;
}

Duration FeedTimeline::wanted_place(rtp::Timestamp timestamp, Time arrival) {
  const Duration arrived = arrival - start_;
  const Duration wanted = earliest_.value() + length(timestamp) - lead_;
  const auto time = participant_time(timestamp);
  if (!time) return wanted;
  // A report that none has confirmed moves no other feed, except that the first feed's ties the clock.
  const bool ties = !clock_.is_own(report_->setting) && (confirmed_ || founds_);
  if (!ties && !clock_.known()) return wanted;
  if (ties && !clock_.arrived(*time, arrival)) {
    drops_.add(Drop::implausible_report);
    report_.reset();
    return wanted;
  }
  Duration reported = *time + clock_.offset(arrival) - start_.time_since_epoch();
  if (!ties) reported = std::min(reported, arrived);
  behind_.add(arrived - reported, arrival);
  if (level_.is_slow() && arrived - reported > kMostBehind) report_.reset();
  return behind_.value() <= kMostBehind ? reported : wanted;
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
  if (probe_ && timestamp >= probe_->timestamp) settle(arrival);
  if (placed_any_) passed_ = std::max(distance(length(timestamp - last_timestamp_), Duration{0}), arrival - last_arrival_);
  const bool has_last = placed_any_ && !anew_;
  const rtp::Timestamp step = has_last ? timestamp - last_timestamp_ : 0;
  // Shown before the newest, which stays the frame that the line goes on from.
  reorders_ |= reordered;
  if (reordered && step < 0 && length(step) > -kJump) return place_before(step);
  const Duration offset = arrived - length(timestamp);
  const bool by_arrival = level_.is_off_rate() && !report_;
  const bool stepped = has_last && !by_arrival && !earliest_.empty() && has_stepped(step, offset, reordered);
  const Duration advance = stepped ? follow_step(wire, timestamp, arrival) : std::max(length(step), Duration{0});
  if (has_last && !stepped && advance > Duration{0}) usual_step_ = advance;
  const Duration expected = last_ + advance;

  if (has_last && !by_arrival && !earliest_.empty() && left_the_line(expected, arrival)) {
    drops_.add(Drop::timestamp_jump);
    restart();
  }
  const bool anew = std::exchange(anew_, by_arrival);
  if (by_arrival) earliest_.reset(), drops_.add(Drop::bad_timestamp);
  earliest_.add(offset, arrival);
  const Duration wanted = wanted_place(timestamp, arrival);
  Duration place = anew ? wanted : slewed(expected, wanted, advance);
  if (!report_) place = std::min(place, arrived);
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
  if (!newest) {
    founds_ = true;
    return clock_.set(Duration{0}, kReportNoise, report.ntp);
  }
  if (!report.timestamp || !clock_.known()) return *newest;
  // Where it puts the newest frame tells whether it goes by the clock as the other feeds know it.
  const Duration ntp = report.ntp + length(last_timestamp_ - *report.timestamp);
  const Duration offset = clock_.offset(now);
  const Duration passed = last_arrival_.time_since_epoch() - (ntp + offset);
  if (const auto fitting = clock_.adding(passed - kJump, passed + kTooEarly)) return *fitting;
  const Duration earliest = earliest_.value() + length(last_timestamp_) + start_.time_since_epoch();
  return clock_.set(earliest - offset - ntp, kTooEarly, report.ntp, true);
}

/// NTP time and media time are not equally far on. If it was the media that slipped, its arrivals did as well.
ParticipantClock::Setting FeedTimeline::stepped_setting(const Report& report, Duration set_by, Duration media_passed) {
  const Duration add = report_->add - set_by;
  const Duration tolerance = kReportNoise + media_passed / kUnknownDrift;
  // As it was before the line moved: the arrivals had moved for another reason, such as a longer way.
  if (report_->estimated && distance(set_by, -report_->moved) <= tolerance) return report_->setting;
  const bool corrects = report_->estimated && distance(set_by, Duration{0}) <= kEstimate;
  if (corrects && !clock_.adding(add - kReportNoise, add + kReportNoise)) return report_->setting;
  const bool knows = report.level && report_->level;
  const Duration slipped = knows ? *report.level - *report_->level : Duration{0};
  if (distance(slipped, set_by) + level_.noise() < distance(slipped, Duration{0})) return report_->setting;
  return clock_.set(add, tolerance, report.ntp, false, report_->setting);
}

ParticipantClock::Setting FeedTimeline::same_setting(const Report& report, Duration drifted_by, Duration media_passed) {
  clock_.confirm(report_->setting, report.ntp);
  if (media_passed > Duration{0} && !report_->estimated) {
    const double more = static_cast<double>(drifted_by.count()) / static_cast<double>(std::max(media_passed, kDriftMemory).count());
    drift_ = std::clamp(drift_ + more, -kMostDrift, kMostDrift);
  }
  return report_->setting;
}

/// Whether NTP time has gained on media time, or lost, though the arrivals have not.
bool FeedTimeline::runs_away(const Report& report, Time now) {
  if (report.tied) anchor_.reset();  // each report ties it to the arrivals again
  if (report.tied || !report.timestamp || earliest_.empty()) return false;
  const Duration time = report.ntp + report.add;
  if (!anchor_) anchor_ = Anchor{time, *report.timestamp, std::nullopt, {}};
  if (!report.level) return false;
  if (!anchor_->level) {
    const Duration place = anchor_->time + clock_.offset(now) - start_.time_since_epoch();
    anchor_->level = report.level;
    anchor_->lead = earliest_.value() + length(anchor_->timestamp) - place;
    return false;
  }
  const Duration media = length(*report.timestamp - anchor_->timestamp);
  const Duration gained = time - anchor_->time - media, shifted = *report.level - *anchor_->level, noise = level_.noise();
  const Duration size = distance(gained, Duration{0}), followed = gained < Duration{0} ? -shifted : shifted;
  return size > kRunAway + media / kRunAwayDrift && followed + noise / 2 < size / 2;
}

/// The line goes on at the arrivals, and as far before them as the reports had put it.
void FeedTimeline::leave_report(Duration lead) {
  lead_ = lead;
  report_.reset();
  anchor_.reset();
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
  if (confirmed_ && !stood_still) {
    if (++contradictions_ > kMostContradictions) drops_.add(Drop::implausible_report);
    return true;
  }
  drops_.add(Drop::implausible_report);
  if (confirmed_) return false;
  if (std::exchange(founds_, false)) clock_.untie();
  report_.reset();
  return false;
}

void FeedTimeline::handle_sender_report(rtp::NtpTime ntp, rtp::WireTimestamp timestamp, Time now) {
  if (detached_ || (level_.is_off_rate() && !report_)) return drops_.add(Drop::implausible_report);
  if (!is_believed({ntp, timestamp}, now)) return;
  Report report{ntp_duration(ntp), timestamp, std::nullopt, level_.level(), probe_ ? probe_->before : newest_arrival_};
  if (!earliest_.empty()) {
    report.timestamp = rtp::extend(timestamp, last_timestamp_);
    // Taken as sent when it arrived, it must put the newest frame near that frame's arrival; earlier where the sender's
    // encoder is behind, later only by what the report itself is late.
    const Duration error = now + length(last_timestamp_ - *report.timestamp) - last_arrival_;
    if (error < -kMostReportError || error > kLatestReport) return drops_.add(Drop::implausible_report);
  }
  bool steps = false;
  if (report_ && !report_->tied) {
    const Duration media_passed = length(static_cast<std::int32_t>(timestamp - report_->wire));
    if (media_passed < Duration{0}) return;  // overtaken by the one before
    report_->add = clock_.added_by(report_->setting).value_or(report_->add);
    const Duration set_by = report.ntp - report_->ntp - drifted(media_passed);
    steps = distance(set_by, Duration{0}) > kReportNoise + media_passed / kUnknownDrift;
    report.setting = steps ? stepped_setting(report, set_by, media_passed) : same_setting(report, set_by, media_passed);
    const bool goes_on = report_->set_by != Duration{0} && report_->heard == report.heard;
    report.setting_before = goes_on ? report_->setting_before : report_->setting;
    if (goes_on || report.setting != report_->setting) report.set_by = set_by + (goes_on ? report_->set_by : Duration{0});
  } else {
    report.setting = first_setting(report, now);
    report.tied = clock_.is_own(report.setting);
  }
  report.add = clock_.added_by(report.setting).value_or(report_ ? report_->add : Duration{0});
  // A clock of its own was tied to the frames' arrivals; its reports tell nothing of the other feeds' way. A step may be that of timestamps
  // whose frames are still to come.
  if (!steps && !clock_.is_own(report.setting) && !clock_.arrived(report.ntp + report.add, now)) {
    drops_.add(Drop::implausible_report);
    report_.reset();
    return;
  }
  report_ = report;
  if (runs_away(report, now)) {
    drops_.add(Drop::implausible_report);
    detached_ = true;
    return leave_report(anchor_->lead);
  }
  lead_ = {};
}

}  // namespace amphi::recording
