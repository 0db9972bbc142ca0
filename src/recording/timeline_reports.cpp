// The sender reports of a FeedTimeline: which are believed, and whether the clock was set or the media slipped.
#include <algorithm>
#include <utility>

#include "recording/timeline.h"

namespace amphi::recording {
namespace {

constexpr Duration kMostReportError = 10s;
constexpr int kMostContradictions = 2;  // in a row, which are not counted
constexpr Duration kLatestReport = 5s;
constexpr Duration kEstimate = 100ms;   // by which a report corrects a line that followed its arrivals
constexpr Duration kMostMoved = 48h;    // more than one step of a 32-bit timestamp
constexpr int kUnknownDrift = 2500;     // one part in so many, between NTP clock and media clock
constexpr double kMostDrift = 1e-3;
constexpr Duration kDriftMemory = 120s;
constexpr Duration kRunAway = 10ms;     // and one part in kRunAwayDrift: of NTP time against steady arrivals
constexpr int kRunAwayDrift = 2200;

}  // namespace

std::optional<Duration> FeedTimeline::participant_time(rtp::Timestamp timestamp) {
  if (!report_) return std::nullopt;
  if (!report_->timestamp) report_->timestamp = rtp::extend(report_->wire, timestamp);
  if (report_->movement > 0 && clock_.is_moved_back(report_->movement)) move_back();
  report_->add = clock_.added_by(report_->setting).value_or(report_->add);
  return report_->ntp + report_->add + drifted(length(timestamp - *report_->timestamp));
}

/// The arrivals say that timestamps slipped or stepped: they mean a time that is `by` later. A report that was sent after the step and came
/// before the arrivals could tell was taken for a clock that was set; it is right as it is.
void FeedTimeline::move_report(Duration by, int movement) {
  if (report_->set_by != Duration{0} && distance(report_->set_by, by) <= kBurst + level_.noise()) {
    report_->setting = report_->setting_before;
    report_->set_by = Duration{0};
  } else {
    report_->ntp += by;
    report_->movement = report_->estimated ? 0 : movement;
    report_->moved = std::clamp(report_->moved + by, -kMostMoved, kMostMoved);
    report_->estimated = true;
    report_->set_by = Duration{0};
  }
  report_->level.reset();
}

/// A report of another feed that moved at the same time tells that the network was the reason.
void FeedTimeline::move_back() {
  report_->ntp -= std::exchange(report_->moved, Duration{0});
  report_->movement = 0;
  report_->estimated = false;
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
  // The report says the same as before the line moved: the arrivals moved for another reason, such as a longer way.
  if (report_->estimated && distance(set_by, -report_->moved) <= tolerance) {
    clock_.move_back(report_->movement);
    return report_->setting;
  }
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
