#include "server/recording_job.h"

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

std::string megabytes(std::uint64_t bytes) { return std::to_string(bytes / 1'000'000) + " MB"; }

Result<void> enough_space(const std::string& folder, std::uint64_t reserve) {
  const auto free = free_bytes(folder);
  if (!free) return tl::unexpected(free.error());
  if (*free >= reserve) return {};
  return fail(ErrorCode::storage, "The disk for recordings has " + megabytes(*free) + " left; a recording begins with at least " +
                                      megabytes(reserve) + " (--recording-reserve-mb). Make room, or record elsewhere.");
}

}  // namespace

RecordingJob::RecordingJob(RecordingPlan plan, RecordingEvents events) : plan_(std::move(plan)), events_(std::move(events)) {}

void RecordingJob::begin(std::shared_ptr<RecordingSink> sink, Duration pre_roll) {
  sink_ = std::move(sink);
  plan_.start -= pre_roll;
  plan_.info.started_at.unix_ms -= to_ms(pre_roll);
  plan_.info.pre_roll = pre_roll;
  const std::string folder = plan_.session_folder + "/" + plan_.info.id.value;
  auto ready = runtime::create_folders(folder);
  if (ready) ready = enough_space(folder, plan_.reserve);
  if (ready) ready = store_revision_ceiling(plan_.session_folder, plan_.revision_ceiling);
  if (!ready) {
    done_ = true;
    return events_.finished(Duration::zero(), ready.error());
  }
  files_.emplace(folder);
  take_.emplace(plan_.info, plan_.start, plan_.safe->for_new());
  for (const auto& known : sink_->take_known()) add_feed(known.feed, *known.info, plan_.start);
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
    case Kind::overflow: return recorder.handle_overflow(*feed, item.lost, item.at);
    case Kind::feed_added: return;
  }
}

void RecordingJob::drain() {
  while (!done_ && take_->drain(*sink_, [this](RecordingSink::Item& item) { hand_over(item); })) run_outputs(take_->reached());
}

void RecordingJob::stop(Time at, WallTime wall) {
  if (done_ || !take_->end_at(at)) return;
  drain();
  if (done_) return;
  for (const auto& [number, lost] : sink_->final_overflow())
    if (const FeedId* feed = feed_of(number)) take_->recorder().handle_overflow(*feed, lost, at);
  take_->complete(at, wall);
  run_outputs(at);
}

void RecordingJob::add_marker(std::string label, std::string by, Time at) {
  if (done_) return;
  take_->add_marker(std::move(label), std::move(by), at);
  run_outputs(at);
}

void RecordingJob::step(Time now) {
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
    warning = RecordingWarning{"storage_low", "The disk for recordings will be full in about " + std::to_string(minutes) + " minutes.", minutes};
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
                   [&](recording::Started&) { events_.started(plan_.start); },
                   [&](recording::Finished& finished) {
                     failed_ = finished.error.has_value();  // repair finds nothing to do where it was completed all the same
                     events_.finished(finished.duration, std::move(finished.error));
                   },
                   [&](recording::Closed&) { close(); },
               },
               *output);
  }
}

void RecordingJob::close() {
  done_ = true;
  files_.reset();
  // What was written before the disk failed is completed at once if the disk lets it, else at the next start.
  if (failed_) (void)repair_recording(plan_.session_folder + "/" + plan_.info.id.value, *plan_.safe);
}

}  // namespace amphi::server
