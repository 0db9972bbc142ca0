// The server's side of a World: it starts, crashes, closes, records slowly or not at all, and is observed after everything it is told.
#include <algorithm>

#include "services/messages.h"
#include "tests/simulation/services_world_parts.h"

namespace amphi::services::simulation {

void World::start_server() {
  if (server_) return;
  const Restored known = restored();
  server_ = std::make_unique<ServerSession>(SessionId("ses_1"), known, random_);
  last_total_ms_ = known.total_ms;
  server_started();
  observe_server();
}

Restored World::restored() {
  Restored restored;
  restored.revision = 1'700'000'000'000 + static_cast<std::uint64_t>(to_ms(now_ - Time{}));
  restored.total_ms = on_disk_ms_;
  restored.last_recording_id = recording_.value;
  return restored;
}

void World::server_left() {
  const bool was_recording = stage_ == Stage::running || stage_ == Stage::stopping;
  resume_recording_ = was_recording && chance(50);
  stage_ = Stage::off;
  server_.reset();
  ++server_epoch_;
  server_side_.clear();
  starts_by_.clear();
  asked_on_by_.clear();
  for (auto& member : members_) member->requests.clear();
  after(between(20, 6000), [this] { start_server(); });
}

void World::crash_server() {
  ++tally_.server_crashes;
  kill_recorder();
  for (auto& [number, connection] : server_side_) {
    connection->broken = true;
    if (chance(80)) end_towards_client(connection, false);
  }
  server_left();
}

/// The last second is lost.
void World::kill_recorder() {
  if (stage_ == Stage::running || stage_ == Stage::stopping)
    on_disk_ms_ += std::max<std::int64_t>(0, to_ms(now_ - recording_zero_ - between(0, 1000)));
}

void World::close_server() {
  ++tally_.server_closings;
  if (stage_ == Stage::running || stage_ == Stage::stopping) finish_recording(false);
  server_->close("restart", now_);
  serve_outputs();
  server_left();
}

void World::serve_outputs() {
  while (auto output = server_->poll_output()) {
    if (auto* text = std::get_if<SendText>(&*output)) {
      const auto found = server_side_.find(text->connection);
      if (found != server_side_.end()) to_client(found->second, std::move(text->text));
    } else if (auto* close = std::get_if<CloseConnection>(&*output)) {
      const auto found = server_side_.find(close->connection);
      if (found == server_side_.end()) continue;
      found->second->server_ended = true;
      end_towards_client(found->second, true);
      server_side_.erase(found);
    } else if (auto* start = std::get_if<StartRecording>(&*output)) {
      start_recording(*start);
    } else if (auto* marker = std::get_if<AddMarker>(&*output)) {
      ++tally_.markers;
      require(stage_ == Stage::running && marker->id == recording_, "marks what does not run");
      marked_[marker->id.value].push_back(marker->label);
      mark(*marker);
    } else if (auto* forget = std::get_if<ForgetRecording>(&*output)) {
      forget_recording(*forget);
    } else {
      stop_recording(std::get<StopRecording>(*output));
    }
  }
  observe_server();
}

void World::start_recording(const StartRecording& order) {
  ++tally_.starts;
  require(stage_ == Stage::off, "two recordings at a time");
  if (order.requested_by != "rest" && !order.requested_by.empty()) {
    require(++starts_by_[order.requested_by] <= asked_on_by_[order.requested_by].size(), "a request acted twice");
  }
  stage_ = Stage::starting;
  recording_ = order.id;
  begin_recording(order.id, order.requested_by);
}

void World::begin_recording(const RecordingId& id, const std::string&) {
  const Time zero = now_;
  const Duration takes = quiet_ || chance(80) ? between(0, 300) : between(300, 20'000);
  const bool fails = chance(15);
  after(takes, [this, id, fails, zero] {
    if (stage_ != Stage::starting || recording_ != id) return;
    fails ? recording_refused(id, {ErrorCode::storage, "no space"}) : recording_on(id, zero);
  });
}

void World::recording_on(const RecordingId& id, Time zero) {
  stage_ = Stage::running;
  recording_zero_ = zero;
  server_->recording_started(id, zero, now_);
  serve_outputs();
}

void World::recording_refused(const RecordingId& id, Error error) {
  ++tally_.failed_starts;
  stage_ = Stage::off;
  server_->recording_refused(id, std::move(error), now_);
  serve_outputs();
}

void World::recording_over(const RecordingId& id, Duration duration, std::optional<Error> error) {
  if (error) ++tally_.failed_recordings;
  stage_ = Stage::off;
  server_->recording_finished(id, duration, std::move(error), now_);
  serve_outputs();
}

void World::mark(const AddMarker&) {}

void World::stop_recording(const StopRecording& order) {
  ++tally_.stops;
  require(stage_ == Stage::running && recording_ == order.id, "stops what does not run");
  stage_ = Stage::stopping;
  stop_asked_at_ = now_;
  end_recording(order.id);
}

/// From a disk, which takes its time.
void World::forget_recording(const ForgetRecording& order) {
  ++tally_.forgets;
  require(stage_ == Stage::off, "forgets what is not over");
  after(between(0, 300), [this, id = order.id, epoch = server_epoch_] {
    if (!server_ || epoch != server_epoch_) return;
    require(stage_ == Stage::off, "a recording was begun while the one before was being forgotten");
    server_->recording_forgotten(id, chance(20) ? std::optional(Error{ErrorCode::storage, "not now"}) : std::nullopt, now_);
    serve_outputs();
  });
}

void World::end_recording(const RecordingId& id) {
  after(quiet_ || chance(90) ? between(0, 1000) : between(1000, 18'000), [this, id] {
    if (stage_ == Stage::stopping && recording_ == id) finish_recording(chance(10));
  });
}

void World::finish_recording(bool failed) {
  const Time last_frame = stage_ == Stage::stopping ? stop_asked_at_ : now_;
  const Duration lost = failed ? between(0, 1000) : between(0, 100);
  const Duration duration = std::max<Duration>(Duration::zero(), last_frame - recording_zero_ - lost + 50ms);
  std::optional<Error> error;
  if (failed) error = Error{ErrorCode::storage, "full"};
  on_disk_ms_ += to_ms(duration);
  recording_over(recording_, duration, std::move(error));
}

void World::fail_recorder() {
  if (stage_ == Stage::running && chance(50)) finish_recording(true);
}

/// The disk grows full, a limit is reached, feeds cannot be recorded; or all is well again.
void World::disturb_recorded_media() {
  if (chance(40)) {
    return server_->recording_warnings(recording_, chance(50) ? std::vector<Warning>{{"storage_low", "soon", 12}} : std::vector<Warning>(), now_);
  }
  if (chance(20)) return server_->limit_reached({"x", "too many of something", "par_x"}, now_);
  std::vector<FeedState> feeds;
  while (chance(80)) {
    const std::string id = "fd_" + std::to_string(feeds.size());
    const bool recorded = chance(50);
    feeds.push_back({id, "par_x", "camera", "video", recorded, recorded ? "" : "no_keyframe", recorded ? "" : "camera: not recorded", 10});
  }
  server_->recording_feeds(recording_, std::move(feeds), {}, now_);
}

/// Media begins to flow or stops, and the disk grows full or is freed.
void World::disturb_recorder() {
  if (!server_ || stage_ != Stage::running) return;
  if (chance(60)) {
    ++tally_.media_changes;
    server_->recording_media_changed(recording_, chance(50), now_);
  } else {
    ++tally_.warnings;
    disturb_recorded_media();
  }
  serve_outputs();
}

/// After everything that the server was told: what it confirms is what its recorder does.
void World::observe_server() {
  const RecordingSnapshot so = server_->snapshot(now_);
  const bool really_on = stage_ == Stage::running || stage_ == Stage::stopping;
  require(so.on == really_on, "the server says what its recorder does not do");
  require(so.revision >= last_revision_, "the server's revision went back");
  require(so.total_ms >= last_total_ms_, "the server's total went back");
  // One input may make two changes, started and stopping; both are what the recorder does now.
  const bool same_server = so.revision - last_revision_ <= 2;
  for (std::uint64_t r = same_server ? last_revision_ + 1 : so.revision; r <= so.revision; ++r) {
    confirmed_.emplace(r, really_on);
    ++tally_.changes;
  }
  require(confirmed_.at(so.revision) == so.on, "one revision with two meanings");
  last_revision_ = so.revision;
  last_total_ms_ = so.total_ms;
  peak_total_ms_ = std::max(peak_total_ms_, so.total_ms);
}

}  // namespace amphi::services::simulation
