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
constexpr Duration kStepBack = 10ms;
constexpr Duration kStepAhead = 30ms;
constexpr Duration kMostBehind = 1s;   // of the arrivals behind the reports: beyond it, media does not lie where its reports say
constexpr Duration kSettling = 1s;     // of a track's beginning

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
  // The packets behind a late one say nothing about the noise until `settle` has judged them.
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

/// Looks at the packets since a late one. If none caught up, the sender paused its timestamps.
void FeedTimeline::settle(Time arrival) {
  if (probe_->packets < kLeastProbe && arrival - probe_->since < kLongestProbe) return;
  const Probe probe = *std::exchange(probe_, std::nullopt);
  if (earliest_.empty() || probe.packets < kLeastProbe) return;
  const Duration noise = level_.noise(), slip = probe.least - earliest_.value();
  const bool caught_up = probe.first - probe.least > kBurst + noise, still_falls_behind = probe.last - probe.least > kBurst + noise;
  if (caught_up || still_falls_behind || slip < kSlip + noise) return level_.add_noise(slip, arrival);
  drops_.add(Drop::timestamp_jump);
  shift_line(slip, clock_.moved(probe.since));
  anew_ = true;
}

/// Timestamps lie `by` later on the line from here on.
void FeedTimeline::shift_line(Duration by, int movement) {
  earliest_.shift(by);
  level_.restart();
  if (report_) move_report(by, movement);
  anchor_.reset();
  late_since_.reset();
}

/// Frames come here in the order of their sending, so timestamps that go back have stepped. Forward they did if that puts the frame ahead of
/// its arrival; behind a gap in the media it is not.
bool FeedTimeline::has_stepped(rtp::Timestamp step, Duration offset, bool reordered) const {
  if (step < 0) return !reordered && length(step) < -kStepBack;
  if (usual_step_ == Duration{0}) return false;
  // A frame that is sent before B-frames arrives early, by as many frames as those are.
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

}  // namespace amphi::recording
