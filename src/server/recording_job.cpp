#include "server/recording_job.h"

#include <algorithm>

#include "runtime/clock.h"
#include "server/file_ops.h"
#include "server/overloaded.h"
#include "server/recording_catalogue.h"
#include "server/recording_repair.h"

namespace amphi::server {
namespace {

recording::FeedInfo recorded(const sfu::FeedInfo& feed) {
  return {feed.id, feed.participant, feed.participant_identity, feed.label, feed.codec};
}

constexpr Duration kLook = 1s;
constexpr Duration kWarnBelow = std::chrono::minutes(30);
constexpr Duration kMendAgain = 5s, kMendAgainAtMost = std::chrono::minutes(10);

std::string megabytes(std::uint64_t bytes) { return std::to_string(bytes / 1'000'000) + " MB"; }

Result<void> enough_space(const std::string& folder, std::uint64_t reserve) {
  const auto free = free_bytes(folder);
  if (!free) return tl::unexpected(free.error());
  if (*free >= reserve) return {};
  return fail(ErrorCode::storage, "The disk for recordings has " + megabytes(*free) + " left; a recording begins with at least " +
                                      megabytes(reserve) + " (--recording-reserve-mb). Make room, or record elsewhere.");
}

/// Where a disk is not mounted, its folder is one of another disk: what is recorded there would be out of sight later.
Result<void> same_disk(const std::string& root, std::optional<std::uint64_t> wanted) {
  const auto disk = wanted ? disk_of(root) : Result<std::uint64_t>(0);
  if (!disk) return tl::unexpected(disk.error());
  if (!wanted || *disk == *wanted) return {};
  return fail(ErrorCode::storage, "The disk for recordings is not the one that was there when the server started. Mount it, or start the server again.");
}

std::string full_in(std::int64_t minutes) {
  if (minutes == 0) return "The disk for recordings will be full in less than a minute.";
  return "The disk for recordings will be full in about " + std::to_string(minutes) + (minutes == 1 ? " minute." : " minutes.");
}

}  // namespace

RecordingJob::RecordingJob(RecordingPlan plan, RecordingEvents events) : plan_(std::move(plan)), events_(std::move(events)), remembered_(plan_.info.continues), mend_wait_(kMendAgain) {}

void RecordingJob::begin(std::shared_ptr<RecordingSink> sink, Duration pre_roll) {
  sink_ = std::move(sink);
  plan_.start -= pre_roll;
  plan_.info.started_at.unix_ms -= to_ms(pre_roll);
  plan_.info.pre_roll = pre_roll;
  auto ready = same_disk(root(), plan_.disk);
  if (ready) ready = runtime::create_folders(plan_.session_folder);
  if (ready) ready = enough_space(plan_.session_folder, plan_.reserve);
  if (ready) ready = store(plan_.info.continues);  // a crash before this one is on: the next server goes on from there all the same
  if (ready) ready = runtime::create_folders(folder());
  if (!ready) {
    done_ = true;
    sink_.reset();
    forget_recording();
    return events_.finished(Duration::zero(), ready.error());
  }
  files_.emplace(folder());
  take_.emplace(plan_.info, plan_.start, plan_.safe->for_new());
  for (const auto& known : sink_->take_known()) {
    add_feed(known.feed, *known.info, plan_.start);
    if (!known.reported_at) continue;
    const auto reported = rtp::advanced(known.reported, std::max(plan_.start - *known.reported_at, Duration::zero()), known.info->codec.clock_rate);
    take_->recorder().handle_sender_report(known.info->id, reported.ntp, reported.rtp, plan_.start);
  }
  run_outputs(plan_.start);
}

const FeedId* RecordingJob::feed_of(RecordingSink::FeedNumber number) const {
  return number < feeds_.size() ? &feeds_[number] : nullptr;
}

void RecordingJob::add_feed(RecordingSink::FeedNumber number, const sfu::FeedInfo& feed, Time at) {
  if (feeds_.size() <= number) feeds_.resize(number + 1);
  feeds_[number] = feed.id;
  take_->recorder().add_feed(recorded(feed), at);
}

void RecordingJob::hand_over(RecordingSink::Item& item) {
  using Kind = RecordingSink::Kind;
  if (item.kind == Kind::feed_added) {
    return add_feed(item.feed, *item.added, item.at);
  }
  const FeedId* feed = feed_of(item.feed);
  if (!feed) return;
  recording::Recorder& recorder = take_->recorder();
  switch (item.kind) {
    case Kind::packet: return recorder.handle_packet(*feed, item.seq, item.header, sink_->payload(), item.at);
    case Kind::sender_report: return recorder.handle_sender_report(*feed, item.ntp, item.rtp_timestamp, item.at);
    case Kind::feed_removed: return recorder.remove_feed(*feed, item.at);
    case Kind::overflow: return recorder.handle_overflow(*feed, item.lost, std::max(item.at, take_->reached()));
    case Kind::feed_added: return;
  }
}

void RecordingJob::drain() {
  while (!done_ && take_->drain(*sink_, [this](RecordingSink::Item& item) { hand_over(item); })) run_outputs(take_->reached());
}

void RecordingJob::stop(Time at, WallTime wall, bool goes_on) {
  if (done_ || !take_->end_at(at)) return;
  goes_on_ = goes_on;
  drain();
  if (done_) return;
  for (auto& item : sink_->take_rest())
    if (item.at <= at) hand_over(item);
  take_->complete(at, wall);
  run_outputs(at);
}

void RecordingJob::add_marker(std::string label, std::string by, Time at) {
  if (done_) return;
  take_->add_marker(std::move(label), std::move(by), at);
  run_outputs(at);
}

void RecordingJob::step(Time now) {
  if (mend_at_ && now >= *mend_at_) mend(now);
  if (done_) return;
  if (!take_->ending()) drain();
  if (done_) return;
  if (!take_->ending() && now >= space_at_) look_at_space(now);
  if (done_) return;
  take_->handle_timeout(now);
  run_outputs(now);
}

void RecordingJob::look_at_space(Time now) {
  space_at_ = now + kLook;
  const auto free = free_bytes(plan_.session_folder);
  if (!free) return;  // a write will tell
  forecast_.add(*free, now);
  const auto left = forecast_.left(plan_.reserve / 2);
  if (plan_.reserve > 0 && left == Duration::zero()) {
    Error full{ErrorCode::storage, "The disk for recordings is full: " + megabytes(*free) + " are left. The recording was ended while it could be completed."};
    take_->complete(now, runtime::wall_now(), std::move(full));
    return run_outputs(now);
  }
  std::optional<RecordingWarning> warning;
  if (left && *left < kWarnBelow) {
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(*left).count();
    warning = RecordingWarning{"storage_low", full_in(minutes), minutes};
  }
  if (warning == warning_) return;
  warning_ = warning;
  if (events_.warned) events_.warned(std::move(warning));
}

Time RecordingJob::next_timeout() const { return take_ && !done_ ? take_->recorder().next_timeout() : Time::max(); }

void RecordingJob::run_outputs(Time now) {
  while (!done_) {
    auto output = take_->recorder().poll_output();
    if (!output) return;
    std::visit(Overloaded{
                   [&](recording::FileOp& op) { carry_out(op, *files_, take_->recorder(), now); },
                   [&](recording::KeyframeWanted& wanted) { events_.keyframe_wanted(wanted.feed); },
                   [&](recording::MediaChanged& changed) { if (events_.media_changed) events_.media_changed(changed.writing); },
                   [&](recording::Started&) {
                     if (auto stored = store(plan_.info.id); !stored) return take_->recorder().handle_storage_error(stored.error(), now);
                     events_.started(plan_.start);
                   },
                   [&](recording::Finished& finished) {
                     if (!goes_on_) forget_recording();
                     failed_ = finished.error;  // repair finds nothing to do where it was completed all the same
                     if (!failed_) tell_if_unhashed(finished.is_hashed());
                     events_.finished(finished.duration, std::move(finished.error));
                   },
                   [&](recording::Closed&) { close(now); },
               },
               *output);
  }
}

Result<void> RecordingJob::store(const RecordingId& recording) {
  auto stored = store_session(plan_.session_folder, {plan_.revision_ceiling, recording, plan_.info.requested_by});
  if (stored) remembered_ = recording;
  return stored;
}

/// Before anybody is told of the end: no restart goes on with it.
void RecordingJob::forget_recording() {
  if (!remembered_.empty() && server::forget_recording(plan_.session_folder, remembered_)) remembered_ = RecordingId();
}

void RecordingJob::tell_if_unhashed(bool hashed) {
  if (!hashed && events_.unhashed) events_.unhashed(folder());
}

void RecordingJob::close(Time now) {
  done_ = true;
  files_.reset();
  sink_.reset();
  mend(now);
}

/// What was written before the disk failed is completed as soon as the disk lets it, at the latest when the server starts again; and what
/// everybody was told is over is not to begin again by itself.
void RecordingJob::mend(Time now) {
  mend_at_.reset();
  if (!goes_on_) forget_recording();
  const auto mended = failed_ ? repair() : Result<void>();
  if ((goes_on_ || remembered_.empty()) && (mended || mended.error().code != ErrorCode::storage)) return;
  mend_at_ = now + mend_wait_;
  mend_wait_ = std::min(2 * mend_wait_, kMendAgainAtMost);
}

Result<void> RecordingJob::repair() {
  if (auto there = same_disk(root(), plan_.disk); !there) return there;
  const auto repaired = repair_recording(folder(), *plan_.safe, {recording::Hashes::few, failed_, {}});
  if (!repaired) return tl::unexpected(repaired.error());
  failed_.reset();
  if (repaired->completed && events_.repaired) events_.repaired();
  tell_if_unhashed(!repaired->hashes_missing);
  return {};
}

}  // namespace amphi::server
