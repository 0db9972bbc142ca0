#include "server/recordings.h"

#include <spdlog/spdlog.h>

#include <boost/asio/post.hpp>
#include <utility>

namespace amphi::server {

static_assert(services::kMostMarkers <= recording::Recorder::kMaxMarkers, "a marker that is confirmed is recorded");

namespace asio = boost::asio;

namespace {

constexpr std::size_t kMostLogged = 32;  // changes of feeds, in one report

void add(recording::Drops& sum, const recording::Drops& one) {
  for (std::size_t i = 0; i < recording::Drops::kSize; ++i) sum.add(static_cast<recording::Drop>(i), one[static_cast<recording::Drop>(i)]);
}

/// A line for each feed whose status has changed. Labels are the participants' words, and stay out of the log.
void log_changes(const RecordingId& id, const recording::FeedsChanged& changed) {
  std::size_t logged = 0, more = 0;
  for (const auto& feed : changed.feeds) {
    for (std::size_t i = 0; i < feed.faults.size(); ++i) {
      if (!feed.faults[i].changed) continue;
      const bool there = !feed.faults[i].message.empty();
      if (++logged > kMostLogged) ++more;
      else spdlog::log(there ? spdlog::level::warn : spdlog::level::info, "recording.feed_fault recording={} feed={} participant={} fault={} state={}", id.value, feed.feed.value,
                       feed.participant.value, recording::wire_name(static_cast<recording::FeedFault>(i)), there ? "begun" : "over");
    }
    if (!feed.changed) continue;
    if (++logged > kMostLogged) ++more;
    else if (recording::loses_media(feed.reason))
      spdlog::warn("recording.feed_not_recorded recording={} feed={} participant={} reason={} since_ms={}", id.value, feed.feed.value, feed.participant.value, recording::wire_name(feed.reason), to_ms(feed.since));
    else
      spdlog::info("recording.feed_status recording={} feed={} participant={} status={}", id.value, feed.feed.value, feed.participant.value, recording::wire_name(feed.reason));
  }
  if (more > 0) spdlog::warn("recording.feed_status recording={} further_changes={}", id.value, more);
}

std::optional<FolderId> known(const Result<FolderId>& folder) { return folder ? std::optional(*folder) : std::nullopt; }

}  // namespace

Recordings::Recordings(asio::io_context& control, const RecordingCatalogue& catalogue, const Safe& safe, Options options,
                       Events events)
    : control_(control), catalogue_(catalogue), safe_(safe), options_(options), root_(known(folder_id(catalogue.root()))), events_(std::move(events)), late_hashes_(safe, [this](const std::string& folder) { on_late_repair(folder); }), watch_(control) {
  for (unsigned i = 0; i < options_.writers; ++i) writers_.push_back(std::make_unique<RecordingWriter>("recording-" + std::to_string(i)));
}

void Recordings::start(const SessionId& session, const services::StartRecording& asked, std::uint64_t revision, MediaWorker& worker) {
  const RecordingId& id = asked.id;
  RecordingPlan plan;
  plan.start = runtime::now();
  plan.info = {id, session, asked.requested_by, runtime::wall_now(), Duration{}, asked.continues};
  plan.session_folder = catalogue_.session_folder(session);
  plan.root = root_;
  plan.safe = &safe_;
  plan.reserve = options_.reserve;
  plan.revision_ceiling = revision + services::kRevisionsPerRecording;

  RecordingEvents events;
  events.started = [this, id](Time at) { asio::post(control_, [this, id, at] { on_started(id, at); }); };
  events.finished = [this, id](Duration duration, std::optional<Error> error) {
    asio::post(control_, [this, id, duration, error = std::move(error)]() mutable { on_finished(id, duration, std::move(error)); });
  };
  events.media_changed = [this, session, id](bool writing) {
    asio::post(control_, [this, session, id, writing] { events_.media_changed(session, id, writing); });
  };
  events.full = [this, id] { asio::post(control_, [this, id] { stop(id, false); }); };
  events.warned = [this, id](std::optional<RecordingWarning> warning) {
    asio::post(control_, [this, id, warning = std::move(warning)]() mutable { on_warned(id, std::move(warning)); });
  };
  events.feeds_changed = [this, id](recording::FeedsChanged changed) {
    asio::post(control_, [this, id, changed = std::move(changed)] { on_feeds(id, changed); });
  };
  events.counted = [this, id](const recording::Drops& drops) {
    asio::post(control_, [this, id, drops] {
      if (const auto found = running_.find(id); found != running_.end()) found->second.drops = drops;
    });
  };
  events.repaired = [this, session, id] { asio::post(control_, [this, session, id] { events_.repaired(session, id); }); };
  events.unhashed = [this](const std::string& folder) { complete_later(folder); };
  events.keyframe_wanted = [worker = &worker, session](const FeedId& feed) {
    worker->post([session, feed](MediaWorker& there, Time now) {
      if (auto* live = there.find(session)) live->request_keyframe(feed, now);
    });
  };

  auto job = std::make_shared<RecordingJob>(plan, std::move(events));
  RecordingWriter* writer = writers_[next_writer_++ % writers_.size()].get();
  running_[id] = Running{session, &worker, writer, job, false, {}, {}, {}, 0, 0};
  if (running_.size() == 1) watch_writers();
  // The packets of now wait in the sink while the folder is being made.
  worker.post([this, id, session, writer, job = std::move(job), at = plan.start](MediaWorker& there, Time) mutable {
    auto begun = there.begin_recording(session, at);
    asio::post(control_, [this, id, sink = begun.sink] {
      if (const auto found = running_.find(id); found != running_.end()) found->second.sink = sink;
    });
    writer->add(std::move(job), std::move(begun.sink), begun.pre_roll);
  });
}

void Recordings::stop(const RecordingId& id, bool goes_on) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  const Running& running = found->second;
  const Time at = runtime::now();
  // Through the worker to the writer: when the writer hears of it, the worker has put its last packet into the sink.
  running.worker->post([session = running.session, writer = running.writer, job = running.job, at, goes_on](MediaWorker& there, Time) {
    there.end_recording(session, at);
    writer->post([job, at, goes_on] { job->stop(at, goes_on); });
  });
}

void Recordings::add_marker(const RecordingId& id, std::string label, std::string by, Time at) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  found->second.writer->post([job = found->second.job, label = std::move(label), by = std::move(by), at]() mutable {
    job->add_marker(std::move(label), std::move(by), at);
  });
}

bool Recordings::is_running(const SessionId& session) const {
  for (const auto& [id, running] : running_)
    if (running.session == session) return true;
  return false;
}

bool Recordings::is_mending(const RecordingId& id) const {
  const auto found = mending_.find(id);
  return found != mending_.end() && !found->second.expired();
}

void Recordings::on_started(const RecordingId& id, Time at) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  found->second.started = true;
  events_.started(found->second.session, id, at);
}

void Recordings::on_warned(const RecordingId& id, std::optional<RecordingWarning> warning) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  Running& running = found->second;
  if (running.disk.told(std::move(warning))) events_.warned(running.session, id, running.disk.warnings());
}

void Recordings::on_feeds(const RecordingId& id, const recording::FeedsChanged& changed) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  Running& running = found->second;
  running.drops = changed.drops;
  running.feeds_not_recorded = 0;
  for (const auto& feed : changed.feeds) {
    for (std::size_t i = 0; i < feed.faults.size(); ++i)
      if (feed.faults[i].changed && !feed.faults[i].message.empty()) feed_faults_.add(static_cast<recording::FeedFault>(i));
    if (!recording::loses_media(feed.reason)) continue;
    ++running.feeds_not_recorded;
    if (feed.changed) feed_losses_.add(feed.reason);
  }
  log_changes(id, changed);
  events_.feeds_changed(running.session, id, changed);
}

recording::Drops Recordings::drops() const {
  recording::Drops sum = drops_of_finished_;
  for (const auto& [id, running] : running_) add(sum, drops_of(running));
  return sum;
}

/// Those of the recorder, as last told, and those of the queue before it, now.
recording::Drops Recordings::drops_of(const Running& running) {
  recording::Drops drops = running.drops;
  if (!running.sink) return drops;
  drops.add(recording::Drop::queue_full, running.sink->dropped(recording::QueueLoss::Cause::full));
  drops.add(recording::Drop::queue_over_share, running.sink->dropped(recording::QueueLoss::Cause::over_share));
  return drops;
}

std::size_t Recordings::feeds_not_recorded() const {
  std::size_t count = 0;
  for (const auto& [id, running] : running_) count += running.feeds_not_recorded;
  return count;
}

void Recordings::watch_writers() {
  watch_.expires_after(recording::StorageWatch::kLookEvery);
  watch_.async_wait([this](boost::system::error_code error) {
    if (error || running_.empty()) return;
    const Time now = runtime::now();
    for (auto& [id, running] : running_) {
      if (running.disk.look(running.writer->busy_since(), now, running.sink ? running.sink->dropped() : 0)) events_.warned(running.session, id, running.disk.warnings());
      watch_losses(id, running);
    }
    watch_writers();
  });
}

/// The worker knows the feeds that lose packets.
void Recordings::watch_losses(const RecordingId& id, Running& running) {
  const std::uint64_t lost = running.sink ? running.sink->dropped() : 0;
  if (std::exchange(running.packets_lost, lost) == lost) return;
  running.worker->post([this, id, sink = running.sink](MediaWorker&, Time) {
    asio::post(control_, [this, id, losses = sink->take_losses()] {
      const auto found = running_.find(id);
      if (found == running_.end() || !found->second.disk.lost(losses, runtime::now())) return;
      events_.warned(found->second.session, id, found->second.disk.warnings());
    });
  });
}

void Recordings::on_finished(const RecordingId& id, Duration duration, std::optional<Error> error) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  const Running running = std::move(found->second);
  running_.erase(found);
  add(drops_of_finished_, drops_of(running));
  running.worker->post([session = running.session, began = running.started](MediaWorker& there, Time now) { there.end_recording(session, now, began); });
  ++(error ? failed_ : finished_);
  std::erase_if(mending_, [](const auto& entry) { return entry.second.expired(); });
  if (error) mending_[id] = running.job;
  if (running.started) events_.finished(running.session, id, duration, std::move(error));
  else events_.refused(running.session, id, error.value_or(Error{ErrorCode::internal, "The recording ended before it began."}));
}

void Recordings::on_late_repair(const std::string& folder) {
  const auto last = folder.find_last_of('/'), before = folder.find_last_of('/', last - 1);
  asio::post(control_, [this, session = SessionId(folder.substr(before + 1, last - before - 1)), id = RecordingId(folder.substr(last + 1))] { events_.repaired(session, id); });
}

void Recordings::stop_writers() {
  for (auto& writer : writers_) writer->stop();
}

}  // namespace amphi::server
