#include "services/recording_control.h"

#include <algorithm>
#include <utility>

namespace amphi::services {
namespace {

constexpr Duration kAskedFor = 15s;  // clients give a request up by then: acting on it later would surprise everybody
constexpr std::size_t kMarkersTold = 100;
constexpr double kMarkersPerSecond = 20, kMarkersAtOnce = 200;  // of an identity: each is synced to the disk by itself
constexpr std::size_t kMarkersAlways = 100;                     // of an identity, while the recording takes any
constexpr std::size_t kMostMarkerAllowances = 1000;

BookedRequest asked_by(ConnectionNumber number, const Caller& caller, const std::string& id, Time now) {
  BookedRequest request;
  request.participant = caller.participant.value;
  request.id = id;
  request.identity = caller.identity;
  request.connection = number;
  request.asked_at = now;
  return request;
}

/// Feeds that lose media first. Participants take turns, so that the many feeds of one do not push those of another out of the message.
std::vector<FeedState> in_order(const std::vector<FeedState>& feeds) {
  std::map<std::pair<bool, std::string>, std::size_t> seen;
  std::vector<std::pair<std::pair<bool, std::size_t>, const FeedState*>> turns;
  for (const FeedState& feed : feeds) {
    const bool is_well = !loses_media(feed);
    turns.push_back({{is_well, seen[{is_well, feed.participant_id}]++}, &feed});
  }
  std::stable_sort(turns.begin(), turns.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<FeedState> ordered;
  for (const auto& turn : turns) ordered.push_back(*turn.second);
  return ordered;
}

/// The server's own stop is never: what nobody is there for must end, however late it has begun.
Time given_up_at(const BookedRequest& request) {
  const bool own_stop = request.participant.empty() && request.identity.empty();
  return own_stop ? Time::max() : request.asked_at + kAskedFor;
}

}  // namespace

RecordingControl::RecordingControl(Restored restored, Random& random, Audience& audience) : random_(random), audience_(audience), marker_shares_(kMostMarkers, kMarkersAlways, 2) {
  finished_ms_ = stated_ms_ = restored.total_ms;
  confirmed_.revision = restored.revision + 1;
  confirmed_.recording_id = std::move(restored.last_recording_id);
}

// ---- the state

std::int64_t RecordingControl::total_ms(Time now) const {
  std::int64_t total = finished_ms_;
  if (stage_ == Stage::recording) total += std::max<std::int64_t>(0, to_ms(now - started_at_));
  if (stage_ == Stage::stopping) total = frozen_ms_;
  return std::max(total, stated_ms_);
}

RecordingSnapshot RecordingControl::snapshot(Time now) const {
  RecordingSnapshot now_so = confirmed_;
  now_so.total_ms = total_ms(now);
  return now_so;
}

Beat RecordingControl::beat(Time now) {
  stated_ms_ = total_ms(now);
  return Beat{confirmed_.revision, stated_ms_};
}

void RecordingControl::tell(ConnectionNumber number, Time now) {
  stated_ms_ = total_ms(now);
  audience_.send(number, RecordingStateMessage{snapshot(now), {}});
  for (const Marker& marker : markers_) audience_.send(number, MarkerMessage{marker});
}

/// Something about the running recording, of which nobody is the cause.
void RecordingControl::tell_all(Time now) {
  ++confirmed_.revision;
  stated_ms_ = total_ms(now);
  audience_.tell_all(RecordingStateMessage{snapshot(now), {}});
}

/// A change that everybody is told. Where it is what somebody asked for, and not yet on the way to it, they are told that this is it.
void RecordingControl::change(Phase phase, const std::string& changed_by, Time now) {
  confirmed_.phase = phase;
  confirmed_.on = phase != Phase::off;
  confirmed_.changed_by = changed_by;
  ++confirmed_.revision;
  stated_ms_ = total_ms(now);
  const BookedRequest* fulfilled = phase == Phase::stopping ? nullptr : current_;
  const std::string text = encode(RecordingStateMessage{snapshot(now), {}});
  for (const auto& [number, connection] : audience_.connections) {
    if (fulfilled != nullptr && fulfilled->connection == number) audience_.send(number, RecordingStateMessage{snapshot(now), fulfilled->id});
    else audience_.outputs.push_back(SendText{number, text});
  }
}

// ---- requests

bool RecordingControl::is_fresh(ConnectionNumber number, const Caller& caller, const std::string& id) {
  if (!caller.may_record) {
    audience_.send(number, RecordingResponse{id, Error{ErrorCode::forbidden, "The access token has no `record` grant."}});
    return false;
  }
  BookedRequest* known = book_.find(caller.participant.value, id);
  if (known == nullptr) return true;
  known->connection = number;
  if (known->answered_at) respond(*known);
  return false;
}

BookedRequest* RecordingControl::book(BookedRequest request) {
  const ConnectionNumber from = request.connection;
  const std::string id = request.id;
  BookedRequest* booked = book_.add(std::move(request));
  if (booked == nullptr && from != 0)
    audience_.send(from, RecordingResponse{id, Error{ErrorCode::limit_exceeded, "Too many requests in the last minute."}});
  return booked;
}

void RecordingControl::handle(ConnectionNumber number, const Caller& caller, const RecordingRequest& request, Time now) {
  if (!is_fresh(number, caller, request.request_id)) return;
  BookedRequest fresh = asked_by(number, caller, request.request_id, now);
  fresh.on = request.on;
  add_request(std::move(fresh), now);
}

void RecordingControl::handle(ConnectionNumber number, const Caller& caller, const MarkerAdd& request, Time now) {
  if (!is_fresh(number, caller, request.request_id)) return;
  BookedRequest* booked = book(asked_by(number, caller, request.request_id, now));
  if (booked == nullptr) return;
  const auto added = add_marker(request.label, caller.identity, now);
  answer(*booked, added ? std::nullopt : std::optional(added.error()), now);
}

void RecordingControl::request(bool on, const std::string& identity, const RecordingId& continues, Time now) {
  BookedRequest request;
  request.identity = identity;
  request.on = on;
  request.continues = continues;
  add_own(std::move(request), now);
}

void RecordingControl::interrupt(Time now) {
  BookedRequest request;
  request.goes_on = true;
  add_own(std::move(request), now);
}

void RecordingControl::add_own(BookedRequest request, Time now) {
  // Of what one asked for in vain so far, only the last counts: nobody can make those who wait many.
  std::erase_if(waiting_, [&](BookedRequest* before) {
    const bool superseded = before->participant.empty() && before->identity == request.identity && before->continues.empty();
    if (superseded) {
      request.goes_on = request.goes_on && before->goes_on;  // an empty session's end stays one
      book_.forget(*before);
    }
    return superseded;
  });
  request.id = std::to_string(++own_requests_);
  request.asked_at = now;
  add_request(std::move(request), now);
}

void RecordingControl::add_request(BookedRequest request, Time now) {
  BookedRequest* booked = book(std::move(request));
  if (booked == nullptr) return;
  waiting_.push_back(booked);
  act_on_waiting(now);
}

void RecordingControl::answer(BookedRequest& request, std::optional<Error> error, Time now) {
  request.answered_at = now;
  request.error = std::move(error);
  respond(request);
  if (request.participant.empty()) book_.forget(request);
}

void RecordingControl::respond(const BookedRequest& request) {
  if (audience_.connections.contains(request.connection)) audience_.send(request.connection, RecordingResponse{request.id, request.error});
}

void RecordingControl::answer_current(std::optional<Error> error, Time now) {
  if (current_ != nullptr) answer(*std::exchange(current_, nullptr), std::move(error), now);
}

void RecordingControl::give_up_old_requests(Time now) {
  std::erase_if(waiting_, [&](BookedRequest* request) {
    if (given_up_at(*request) > now) return false;
    answer(*request, Error{ErrorCode::timeout, "The request waited for too long."}, now);
    return true;
  });
}

void RecordingControl::act_on_waiting(Time now) {
  give_up_old_requests(now);
  while (!waiting_.empty() && forgetting_ == nullptr && (stage_ == Stage::off || stage_ == Stage::recording)) {
    BookedRequest& request = *waiting_.front();
    waiting_.pop_front();
    const bool is_so = request.on == (stage_ == Stage::recording);
    if (is_so && !request.on && !interrupted_.empty() && !request.identity.empty()) {
      forget(request);
    } else if (is_so) {
      answer(request, std::nullopt, now);
    } else {
      current_ = &request;
      request.on ? start(request) : stop(request, now);
    }
  }
}

// ---- the recording

void RecordingControl::start(const BookedRequest& request) {
  stage_ = Stage::starting;
  disk_warnings_.clear();
  recorder_warnings_.clear();
  reached_limits_.clear();
  feeds_.clear();
  running_ = RecordingId("rec_" + random_.token(16));
  audience_.outputs.push_back(StartRecording{running_, request.identity, request.continues});
}

void RecordingControl::stop(const BookedRequest& request, Time now) {
  frozen_ms_ = total_ms(now);
  stage_ = Stage::stopping;
  confirmed_.waiting_for_media = false;
  change(Phase::stopping, request.identity, now);
  audience_.outputs.push_back(StopRecording{running_, request.goes_on});
}

/// It is over, but not for good: whoever asks for that is answered once it is.
void RecordingControl::forget(BookedRequest& request) {
  forgetting_ = &request;
  audience_.outputs.push_back(ForgetRecording{interrupted_});
}

void RecordingControl::forgotten(const RecordingId& id, const std::optional<Error>& error, Time now) {
  if (forgetting_ == nullptr || id != interrupted_) return;
  if (!error) interrupted_ = RecordingId();
  answer(*std::exchange(forgetting_, nullptr), error, now);
  act_on_waiting(now);
}

void RecordingControl::started(const RecordingId& id, Time started_at, Time now) {
  if (stage_ != Stage::starting || !is_current(id)) return;
  stage_ = Stage::recording;
  started_at_ = started_at;
  interrupted_ = RecordingId();
  confirmed_.recording_id = id.value;
  confirmed_.error.reset();
  refusal_.reset();
  confirmed_.waiting_for_media = true;
  show_warnings();
  markers_.clear();
  markers_added_ = 0;
  marker_shares_ = FairShare(kMostMarkers, kMarkersAlways, 2);
  change(Phase::recording, current_->identity, now);
  answer_current(std::nullopt, now);
  act_on_waiting(now);
}

void RecordingControl::finished(const RecordingId& id, Duration duration, std::optional<Error> error, Time now) {
  if (!is_current(id)) return;
  if (stage_ == Stage::starting) {
    Error never_started{ErrorCode::internal, "The recording ended before it had started."};
    return refused(id, error ? std::move(*error) : std::move(never_started), now);
  }
  const bool asked_for = stage_ == Stage::stopping;
  stated_ms_ = total_ms(now);  // clients show this much by now, whatever the files hold
  finished_ms_ = std::max(finished_ms_ + std::max<std::int64_t>(0, to_ms(duration)), stated_ms_);
  stage_ = Stage::off;
  confirmed_.waiting_for_media = false;
  confirmed_.warnings.clear();
  confirmed_.feeds.clear();
  confirmed_.warnings_not_listed = confirmed_.feeds_not_listed = 0;
  markers_.clear();
  confirmed_.error = std::move(error);
  if (asked_for && current_->goes_on) interrupted_ = id;
  change(Phase::off, asked_for ? current_->identity : std::string(), now);
  answer_current(std::nullopt, now);
  act_on_waiting(now);
}

void RecordingControl::refused(const RecordingId& id, Error error, Time now) {
  if (stage_ != Stage::starting || !is_current(id)) return;
  stage_ = Stage::off;
  if (current_ != nullptr && current_->participant.empty()) {
    refusal_ = error;
    if (!current_->continues.empty()) {  // who comes back takes it for granted
      confirmed_.error = error;
      tell_all(now);
    }
  }
  answer_current(std::move(error), now);
  act_on_waiting(now);
}

Result<Marker> RecordingControl::add_marker(const std::string& label, const std::string& identity, Time now) {
  if (!is_label(label)) return fail(ErrorCode::invalid_argument, "A marker's label has 1 to 200 characters, and no control characters or bidirectional controls.");
  if (stage_ != Stage::recording) return fail(ErrorCode::invalid_state, "Nothing is being recorded.");
  const auto refuse = [](std::string why) -> Result<Marker> { return fail(ErrorCode::limit_exceeded, std::move(why)); };
  if (marker_allowances_.size() >= kMostMarkerAllowances) std::erase_if(marker_allowances_, [&](const auto& entry) { return entry.second.is_full(now); });
  auto& allowance = marker_allowances_.try_emplace(identity, kMarkersPerSecond, kMarkersAtOnce, now).first->second;
  if (!allowance.take(now)) return refuse("Too many markers; at most 20 a second.");
  if (marker_shares_.used() >= kMostMarkers) return refuse("A recording has at most 10,000 markers.");
  if (!marker_shares_.take(identity)) return refuse("A recording has at most 10,000 markers, and this identity has used up its share.");
  Marker marker{running_.value, ++markers_added_, std::max<std::int64_t>(0, to_ms(now - started_at_)), label, identity};
  markers_.push_back(marker);
  if (markers_.size() > kMarkersTold) markers_.pop_front();
  audience_.outputs.push_back(AddMarker{running_, label, identity, now});
  audience_.tell_all(MarkerMessage{marker});
  return marker;
}

void RecordingControl::media_changed(const RecordingId& id, bool writing, Time now) {
  if (stage_ != Stage::recording || !is_current(id) || confirmed_.waiting_for_media != writing) return;
  confirmed_.waiting_for_media = !writing;
  tell_all(now);
}

void RecordingControl::warn(const RecordingId& id, std::vector<Warning> warnings, Time now) {
  if (!is_current(id) || disk_warnings_ == warnings) return;
  disk_warnings_ = std::move(warnings);
  if (stage_ == Stage::starting) return;  // told once it is on
  show_warnings();
  tell_all(now);
}

void RecordingControl::feeds_changed(const RecordingId& id, std::vector<FeedState> feeds, std::vector<Warning> warnings, Time now) {
  if (!is_current(id) || stage_ == Stage::stopping || (feeds_ == feeds && recorder_warnings_ == warnings)) return;
  feeds_ = std::move(feeds);
  recorder_warnings_ = std::move(warnings);
  if (stage_ == Stage::starting) return;
  show_warnings();
  tell_all(now);
}

bool RecordingControl::limit_reached(ReachedLimit limit, Time now) {
  if (stage_ != Stage::recording) return true;
  const auto outcome = reached_limits_.report(std::move(limit), now);
  if (outcome == ReachedLimits::Outcome::added) {
    show_warnings();
    tell_all(now);
  }
  return outcome != ReachedLimits::Outcome::no_place;
}

/// The most urgent first: the disk threatens everything, a limit one participant's media, then come feeds that are not recorded, and last
/// feeds that are recorded with a fault.
void RecordingControl::show_warnings() {
  confirmed_.feeds = in_order(feeds_);
  confirmed_.warnings = disk_warnings_;
  const auto add = [this](Warning warning) { confirmed_.warnings.push_back(std::move(warning)); };
  for (const Warning& warning : recorder_warnings_)
    if (warning.feed_id.empty()) add(warning);
  for (Warning& warning : reached_limits_.warnings()) add(std::move(warning));
  for (const FeedState& feed : confirmed_.feeds) {
    if (!loses_media(feed)) break;
    const bool has_code = feed.reason == "limit_exceeded" || feed.reason == "media_lost";
    add({has_code ? feed.reason : "feed_not_recorded", feed.message, std::nullopt, feed.feed_id, feed.participant_id});
  }
  for (const Warning& warning : recorder_warnings_)
    if (!warning.feed_id.empty()) add(warning);
  fit(confirmed_);
}

void RecordingControl::handle_timeout(Time now) {
  give_up_old_requests(now);
  if (!reached_limits_.forget(now) || stage_ != Stage::recording) return;
  show_warnings();
  tell_all(now);
}

Time RecordingControl::next_timeout() const noexcept {
  Time next = Time::max();
  for (const BookedRequest* request : waiting_) next = std::min(next, given_up_at(*request));
  return std::min(next, reached_limits_.next_timeout());
}

}  // namespace amphi::services
