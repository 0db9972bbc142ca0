#include "server/recording_job.h"

#include <algorithm>

#include "runtime/clock.h"
#include "runtime/folder.h"
#include "server/file_ops.h"
#include "server/overloaded.h"
#include "server/recording_catalogue.h"
#include "server/recording_repair.h"

namespace amphi::server {
namespace {

constexpr Duration kMendAgain = 5s, kMendAgainAtMost = std::chrono::minutes(10);

/// Where a disk is not mounted, its folder is one of another disk: a recording there would be out of sight later. A folder that was made anew
/// is not the one that this process has locked.
Result<void> same_folder(const std::string& root, const std::optional<FolderId>& wanted) {
  if (!wanted) return {};
  if (const auto there = folder_id(root); there && *there == *wanted) return {};
  return fail(ErrorCode::storage, "The recordings folder is not the one that was there when the server started. Mount its disk, or start the server again.");
}

}  // namespace

RecordingJob::RecordingJob(RecordingPlan plan, RecordingEvents events)
    : plan_(std::move(plan)), events_(std::move(events)), space_(plan_.reserve), remembered_(plan_.info.continues), mend_wait_(kMendAgain) {}

void RecordingJob::begin(std::shared_ptr<RecordingSink> sink, Duration pre_roll) {
  plan_.start -= pre_roll;
  plan_.info.started_at.unix_ms -= to_ms(pre_roll);
  plan_.info.pre_roll = pre_roll;
  if (const auto ready = make_ready(); !ready) {
    done_ = true;
    sink.reset();
    forget_recording();
    return events_.finished(Duration::zero(), ready.error());
  }
  files_.emplace(folder());
  intake_.emplace(std::move(sink), plan_.info, plan_.start, plan_.safe->for_new(plan_.info));
  run_outputs(plan_.start);
}

Result<void> RecordingJob::make_ready() {
  auto ready = same_folder(root(), plan_.root);
  if (ready) ready = runtime::create_folders(plan_.session_folder);
  if (ready && !runtime::is_folder(plan_.session_folder)) ready = fail(ErrorCode::storage, "The session's folder is a symbolic link, which is not followed.");
  if (ready) ready = free_bytes(plan_.session_folder).and_then([this](std::uint64_t free) { return space_.check_start(free); });
  if (ready) ready = store(plan_.info.continues);  // a crash before this one is on: the next server goes on from there all the same
  if (ready) ready = runtime::create_folders(folder());
  return ready;
}

void RecordingJob::stop(Time at, bool goes_on) {
  // The wall clock may have been set meanwhile: the end follows from the start and the monotonic duration.
  const WallTime wall{plan_.info.started_at.unix_ms + std::max<std::int64_t>(to_ms(at - plan_.start), 0)};
  if (!done_ && intake_->stop(at, wall, space_.full())) goes_on_ = goes_on;
}

void RecordingJob::add_marker(std::string label, std::string by, Time at) {
  if (done_) return;
  take().add_marker(std::move(label), std::move(by), at);
  run_outputs(at);
}

bool RecordingJob::step(Time now) {
  if (mend_at_ && now >= *mend_at_) mend(now);
  if (done_) return false;
  const bool more = intake_->work();
  run_outputs(take().reached());
  if (done_) return false;
  if (!take().ending() && space_.is_due(now)) look_at_space(now);
  if (more) return true;
  take().handle_timeout(now);
  run_outputs(now);
  return false;
}

void RecordingJob::look_at_space(Time now) {
  const auto free = free_bytes(plan_.session_folder);
  if (!free) return space_.skip(now);  // a write will tell
  if (!space_.look(*free, now)) return;
  if (space_.full()) events_.full();
  else if (events_.warned) events_.warned(space_.warning());
}

Time RecordingJob::next_timeout() const { return intake_ && !done_ ? intake_->take().recorder().next_timeout() : Time::max(); }

void RecordingJob::run_outputs(Time now) {
  while (!done_) {
    auto output = take().recorder().poll_output();
    if (!output) return;
    std::visit(Overloaded{
                   [&](recording::FileOp& op) { carry_out(op, *files_, take().recorder(), now); },
                   [&](recording::KeyframeWanted& wanted) { events_.keyframe_wanted(wanted.feed); },
                   [&](recording::MediaChanged& changed) { if (events_.media_changed) events_.media_changed(changed.writing); },
                   [&](recording::FeedsChanged& changed) { if (events_.feeds_changed) events_.feeds_changed(std::move(changed)); },
                   [&](recording::Started&) {
                     if (auto stored = store(plan_.info.id); !stored) return take().recorder().handle_storage_error(stored.error(), now);
                     events_.started(plan_.start);
                   },
                   [&](recording::Finished& finished) {
                     if (!goes_on_) forget_recording();
                     failed_ = finished.error;  // repair finds nothing to do where it was completed all the same
                     if (!failed_) tell_if_unhashed(finished.is_hashed());
                     if (events_.counted) events_.counted(finished.drops);
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
  intake_.reset();
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
  if (auto there = same_folder(root(), plan_.root); !there) return there;
  const auto repaired = repair_recording(folder(), *plan_.safe, {recording::Hashes::few, failed_, {}, true});
  if (!repaired) return tl::unexpected(repaired.error());
  failed_.reset();
  if (repaired->completed && events_.repaired) events_.repaired();
  tell_if_unhashed(!repaired->hashes_missing);
  return {};
}

}  // namespace amphi::server
