#include "recording/timeline.h"

#include <algorithm>

namespace amphi::recording {
namespace {

constexpr Duration kLeastStep = 100us;
constexpr Duration kLateForGood = 2s;  // a sender that paused its timestamps, not a network that stalled
constexpr Duration kMostReportError = 10s;

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

void ParticipantClock::add_report(Duration ntp, Time arrival) {
  const Duration offset = arrival.time_since_epoch() - ntp;
  // Against the minimum a report that was merely late looks like a clock set back, so only much counts as that.
  if (known() && (offset < offset_.value() - kJump || offset > offset_.value() + 5 * kJump)) {
    offset_.reset();
    ++epoch_;
  }
  offset_.add(offset, arrival);
}

Duration FeedTimeline::length(rtp::Timestamp ticks) const {
  // Exact, and within 64 bits for any distance that two wire timestamps can have.
  const rtp::Timestamp rate = clock_rate_;
  return Duration(ticks / rate * 1'000'000'000 + ticks % rate * 1'000'000'000 / rate);
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

std::optional<Duration> FeedTimeline::by_reports(rtp::Timestamp timestamp) {
  if (!report_ || !clock_.known() || report_->epoch != clock_.epoch()) return std::nullopt;
  if (!report_->timestamp) report_->timestamp = rtp::extend(report_->wire, timestamp);
  const Duration ntp = report_->ntp + length(timestamp - *report_->timestamp);
  return ntp + clock_.offset() - start_.time_since_epoch();
}

Duration FeedTimeline::slewed(Duration expected, Duration wanted, Duration step) const {
  const Duration error = wanted - expected;
  // Forward a line may step. Backward it never does: what is written stands, and the frames behind it would collapse.
  if (error > kJump) return wanted;
  // Two per cent is not heard; a large error is mended faster, for it is a start or a fault (a sender that was far behind
  // when the recording began, and works its backlog off).
  const Duration size = error < 0ns ? -error : error;
  const Duration most = size > 200ms ? step / 2 : size > 40ms ? step / 10 : step / 50;
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

Duration FeedTimeline::place(rtp::WireTimestamp wire, Time arrival) {
  const Duration arrived = arrival - start_;
  const bool seen = placed_any_ || !earliest_.empty();
  const rtp::Timestamp timestamp = seen ? rtp::extend(wire, last_timestamp_) : rtp::Timestamp{wire};
  const rtp::Timestamp step = placed_any_ ? timestamp - last_timestamp_ : 0;
  const Duration advance = std::max(length(step), Duration{0});
  const Duration expected = last_ + advance;

  if (placed_any_ && !earliest_.empty() && left_the_line(step, expected, arrival)) {
    drops_.add(Drop::timestamp_jump);
    restart();
  }
  const bool anew = !placed_any_ || earliest_.empty();
  earliest_.add(arrived - length(timestamp), arrival);

  Duration wanted = earliest_.value() + length(timestamp);
  if (const auto reported = by_reports(timestamp)) {
    const Duration error = *reported - arrived;
    if (error < -kMostReportError || error > kJump) {
      drops_.add(Drop::implausible_report);
      report_.reset();
    } else {
      wanted = *reported;
    }
  } else if (report_ && !anew) {
    wanted = expected;  // its clock was set: hold the line until this feed reports by the new one
  }
  Duration place = anew ? wanted : slewed(expected, wanted, advance);
  if (!placed_any_) place = std::max(place, floor_);
  if (placed_any_) place = std::max(place, last_ + kLeastStep);
  last_ = place;
  last_timestamp_ = timestamp;
  last_arrival_ = arrival;
  placed_any_ = true;
  return place;
}

void FeedTimeline::handle_sender_report(rtp::NtpTime ntp, rtp::WireTimestamp timestamp, Time now) {
  Report report{ntp_duration(ntp), timestamp, std::nullopt, 0};
  if (!earliest_.empty()) {
    report.timestamp = rtp::extend(timestamp, last_timestamp_);
    // Taken as sent when it arrived, it must put the newest frame near that frame's arrival; earlier where the sender's
    // encoder is behind, later never.
    const Duration error = now + length(last_timestamp_ - *report.timestamp) - last_arrival_;
    if (error < -kMostReportError || error > kJump) return drops_.add(Drop::implausible_report);
  }
  clock_.add_report(report.ntp, now);
  report.epoch = clock_.epoch();
  report_ = report;
}

}  // namespace amphi::recording
