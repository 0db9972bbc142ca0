#include "server/services_hub.h"

#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>

#include "server/overloaded.h"

namespace amphi::server {
namespace {

namespace asio = boost::asio;

constexpr std::int64_t kGoesOnWithinMs = 15 * 60 * 1000;  // of being cut off: who comes later finds nothing that records by itself
constexpr double kMessagesPerSecond = 100, kMessageBurst = 200;  // of what arrives; the machine has stricter rules for what it acts on

void add(Counters<services::ServerDrop>& sum, const Counters<services::ServerDrop>& one) {
  for (std::size_t i = 0; i < Counters<services::ServerDrop>::kSize; ++i)
    sum.add(static_cast<services::ServerDrop>(i), one[static_cast<services::ServerDrop>(i)]);
}

std::vector<services::FeedState> feed_states(const recording::FeedsChanged& changed) {
  std::vector<services::FeedState> states;
  for (const auto& feed : changed.feeds) {
    const bool recorded = feed.reason == recording::FeedReason::recorded;
    services::FeedState& state = states.emplace_back();
    state = {feed.feed.value, feed.participant.value, feed.label, std::string(rtp::text(feed.kind)), recorded};
    if (!recorded) state.reason = recording::wire_name(feed.reason);
    state.message = feed.message;
    state.since_ms = std::max<std::int64_t>(to_ms(feed.since), 0);
  }
  return states;
}

/// Labels are the participants' words, and stay out of the log.
void log_warning(const SessionId& session, const RecordingId& id, const RecordingWarning& warning) {
  if (warning.participant.empty()) spdlog::warn("session {}: recording {}: {}", session.value, id.value, warning.message);
  else spdlog::warn("recording.{} session={} recording={} participant={} feed={}", warning.code, session.value, id.value, warning.participant.value, warning.feed.value);
}

std::vector<services::Warning> feed_warnings(const recording::FeedsChanged& changed) {
  std::vector<services::Warning> warnings;
  for (const auto& limit : changed.limits) warnings.push_back({"limit_exceeded", limit.message, std::nullopt, {}, limit.participant.value});
  for (const auto& feed : changed.feeds) {
    for (std::size_t i = 0; i < feed.faults.size(); ++i) {
      const std::string code(recording::wire_name(static_cast<recording::FeedFault>(i)));
      const bool is_reason = code == recording::wire_name(feed.reason);  // the feed's state warns of it
      if (!feed.faults[i].message.empty() && !is_reason) warnings.push_back({code, feed.faults[i].message, std::nullopt, feed.feed.value, feed.participant.value});
    }
  }
  return warnings;
}

}  // namespace

ServicesHub::ServicesHub(asio::io_context& control, SessionDirectory& directory, const RecordingCatalogue& catalogue, DiskReader& reader,
                         const Safe& safe, Recordings::Options recordings, Verify verify, Random& random, Counters<Drop>& drops)
    : control_(control), directory_(directory), catalogue_(catalogue), reader_(reader), verify_(std::move(verify)), random_(random),
      drops_(drops), pre_roll_(recordings.pre_roll), recordings_(control, catalogue, safe, recordings, recording_events()) {
  directory_.set_hooks(hooks());
  interrupted_ = catalogue_.interrupted();
}

SessionDirectory::Hooks ServicesHub::hooks() {
  SessionDirectory::Hooks hooks;
  hooks.is_recording = [this](const SessionId& session) { return is_recording(session); };
  hooks.stop_recording = [this](const SessionId& session) { stop_recording(session); };
  hooks.participant_joined = [this](const SessionId& session) { participant_joined(session); };
  hooks.participant_left = [this](const SessionId& session, const ParticipantId& who) { participant_left(session, who); };
  hooks.limit_reached = [this](const SessionId& session, services::ReachedLimit limit) { limit_reached(session, std::move(limit)); };
  hooks.session_removed = [this](const SessionId& session) { session_removed(session); };
  return hooks;
}

Recordings::Events ServicesHub::recording_events() {
  Recordings::Events events;
  events.started = [this](const SessionId& session, const RecordingId& id, Time started_at) {
    spdlog::info("session {}: recording {} is on", session.value, id.value);
    recording_changed_(session, id);
    Room* room = find(session);
    if (!room) return;
    room->machine->recording_started(id, started_at, runtime::now());
    pump(*room);
  };
  events.finished = [this](const SessionId& session, const RecordingId& id, Duration duration, std::optional<Error> error) {
    if (error) spdlog::error("session {}: recording {} has failed: {}", session.value, id.value, error->message);
    else spdlog::info("session {}: recording {} is complete, {} ms", session.value, id.value, to_ms(duration));
    recording_changed_(session, id);
    if (Room* room = find(session)) {
      room->machine->recording_finished(id, duration, std::move(error), runtime::now());
      pump(*room);
    }
    directory_.recording_ended(session);
  };
  events.refused = [this](const SessionId& session, const RecordingId& id, Error error) {
    spdlog::error("session {}: recording {} could not begin: {}", session.value, id.value, error.message);
    if (Room* room = find(session)) {
      room->machine->recording_refused(id, std::move(error), runtime::now());
      pump(*room);
    }
    directory_.recording_ended(session);
  };
  events.repaired = [this](const SessionId& session, const RecordingId& id) {
    spdlog::info("session {}: what was written of recording {} is repaired", session.value, id.value);
    recording_changed_(session, id);
  };
  events.media_changed = [this](const SessionId& session, const RecordingId& id, bool writing) {
    Room* room = find(session);
    if (!room) return;
    room->machine->recording_media_changed(id, writing, runtime::now());
    pump(*room);
  };
  events.warned = [this](const SessionId& session, const RecordingId& id, std::vector<RecordingWarning> warnings) {
    for (const RecordingWarning& warning : warnings) log_warning(session, id, warning);
    if (warnings.empty()) spdlog::info("session {}: recording {}: the disk is well again", session.value, id.value);
    Room* room = find(session);
    if (!room) return;
    std::vector<services::Warning> told;
    for (RecordingWarning& warning : warnings) told.push_back({std::move(warning.code), std::move(warning.message), warning.minutes_left, warning.feed.value, warning.participant.value});
    room->machine->recording_warnings(id, std::move(told), runtime::now());
    pump(*room);
  };
  events.feeds_changed = [this](const SessionId& session, const RecordingId& id, const recording::FeedsChanged& changed) {
    Room* room = find(session);
    if (!room) return;
    room->machine->recording_feeds(id, feed_states(changed), feed_warnings(changed), runtime::now());
    pump(*room);
  };
  return events;
}

ServicesHub::Room* ServicesHub::find(const SessionId& session) const {
  const auto found = rooms_.find(session);
  return found == rooms_.end() ? nullptr : found->second.get();
}

asio::awaitable<ServicesHub::Room*> ServicesHub::find_or_create(SessionId session) {
  if (Room* there = find(session)) co_return there;
  auto task = [this, session] { return catalogue_.restore(session); };
  services::Restored restored = co_await reader_.call(std::move(task));
  auto& room = rooms_[session];  // another may have made it meanwhile
  if (!room) {
    room = std::make_unique<Room>();
    room->session = session;
    room->machine = std::make_unique<services::ServerSession>(session, std::move(restored), random_);
    room->machine->set_pre_roll(pre_roll_);
    room->timer = std::make_unique<asio::steady_timer>(control_);
  }
  co_return room.get();
}

// --- connections ---------------------------------------------------------------------------------------------------------

std::optional<services::Caller> ServicesHub::greet(WebSocketConnection& connection, const SessionId& session,
                                                   const std::string& text) {
  const auto refuse = [&](Drop why, ErrorCode code, std::string message, std::string_view type) {
    drops_.add(why);
    connection.send_error({code, std::move(message)}, true, type);
    return std::nullopt;
  };
  const auto decoded = services::decode(text);
  if (const auto* malformed = std::get_if<services::Malformed>(&decoded))
    return refuse(Drop::ws_malformed, ErrorCode::malformed, malformed->why, malformed->type);
  const auto* message = std::get_if<services::Message>(&decoded);
  const auto* hello = message ? std::get_if<services::Hello>(message) : nullptr;
  if (!hello) return refuse(Drop::ws_unauthorized, ErrorCode::unauthorized, "The first message must be `hello`.", "");
  const auto token = verify_(hello->token);  // it may have expired: who is in the session, as told below, stays (decision 0012)
  if (!token) return refuse(Drop::ws_unauthorized, token.error().code, token.error().message, "hello");
  if (token->session != session)
    return refuse(Drop::ws_unauthorized, ErrorCode::unauthorized, "The token is for another session.", "hello");
  const ParticipantId participant(hello->participant_id);
  if (token->superseded && !directory_.came_with({session, participant}, *token))
    return refuse(Drop::ws_unauthorized, ErrorCode::unauthorized, invalid_signature().message, "hello");
  const std::string* identity = directory_.identity_of(session, participant);
  if (!identity || *identity != token->identity) {  // the same words for both: nobody learns who is here
    if (has_expired(*token, runtime::wall_now())) return refuse(Drop::ws_unauthorized, ErrorCode::unauthorized, expired().message, "hello");
    return refuse(Drop::ws_unauthorized, ErrorCode::not_found, "This participant is not in the session.", "hello");
  }
  connection.authenticated(identity_key(*token));
  connection.on_limit_reached([this, session, identity = token->identity, participant = participant.value](const std::string& what) {
    limit_reached(session, {identity, what, participant});
  });
  return services::Caller{participant, token->identity, token->grants.record};
}

asio::awaitable<void> ServicesHub::run(Connection connection, SessionId session) {
  const auto state = std::make_shared<ConnectionWatch>();
  asio::co_spawn(co_await asio::this_coro::executor, watch(connection, state, drops_), asio::detached);
  RateLimit limit(kMessagesPerSecond, kMessageBurst);
  const auto first = co_await read_limited(connection, limit, drops_);
  if (!first || !connection->is_open()) co_return;
  auto caller = greet(*connection, session, *first);
  if (!caller) co_return;
  state->greeted = true;

  const services::ConnectionNumber number = next_connection_++;
  {
    Room& room = *co_await find_or_create(session);
    // It may have left while the disk was read.
    if (!connection->is_open() || directory_.identity_of(session, caller->participant) == nullptr) co_return drop_empty(session);
    room.links[number] = Link{connection, caller->participant};
    ++connections_;
    room.machine->connection_opened(number, std::move(*caller), runtime::now());
    pump(room);
  }
  while (true) {
    const auto text = co_await read_limited(connection, limit, drops_);
    Room* room = find(session);  // it may have gone meanwhile
    if (!text || !room || !room->links.count(number)) break;
    room->machine->handle_message(number, *text, runtime::now());
    pump(*room);
  }
  --connections_;
  if (Room* room = find(session); room && room->links.erase(number) > 0) {
    room->machine->connection_closed(number, runtime::now());
    pump(*room);
  }
}

void ServicesHub::participant_joined(const SessionId& session) {
  const auto found = interrupted_.find(session);
  if (found == interrupted_.end()) return;
  Interrupted before = std::move(found->second);
  interrupted_.erase(found);
  if (runtime::wall_now().unix_ms - before.cut_at_ms > kGoesOnWithinMs) return;
  asio::co_spawn(control_, go_on(session, std::move(before)), asio::detached);
}

asio::awaitable<void> ServicesHub::go_on(SessionId session, Interrupted before) {
  Room& room = *co_await find_or_create(session);
  if (directory_.worker_of(session) == nullptr) {  // gone again already: for whoever comes next
    interrupted_.emplace(session, std::move(before));
    co_return drop_empty(session);
  }
  spdlog::info("session {}: recording {} was cut off by the end of the server; it is recorded on", session.value, before.recording.value);
  room.machine->go_on(before.recording, before.requested_by, runtime::now());
  pump(room);
}

/// The next server is not to go on with it.
asio::awaitable<void> ServicesHub::forget(SessionId session, RecordingId recording) {
  ++forgetting_;
  auto task = [folder = catalogue_.session_folder(session), recording] { return forget_recording(folder, recording); };
  const Result<void> forgotten = co_await reader_.call(std::move(task));
  --forgetting_;
  if (forgotten) spdlog::info("session {}: recording {} is not recorded on: somebody has asked for its end", session.value, recording.value);
  Room* room = find(session);
  if (!room) co_return;
  room->machine->recording_forgotten(recording, forgotten ? std::nullopt : std::optional(forgotten.error()), runtime::now());
  pump(*room);
}

/// A session that was over before its room was there leaves none behind.
void ServicesHub::drop_empty(const SessionId& session) {
  if (directory_.worker_of(session) == nullptr) session_removed(session);
}

void ServicesHub::participant_left(const SessionId& session, const ParticipantId& participant) {
  Room* room = find(session);
  if (!room) return;
  for (auto at = room->links.begin(); at != room->links.end();) {
    if (at->second.participant != participant) {
      ++at;
      continue;
    }
    room->machine->connection_closed(at->first, runtime::now());
    at->second.connection->send(signalling::closing("The participant has left the session."));
    at->second.connection->close();
    at = room->links.erase(at);
  }
  pump(*room);
}

asio::awaitable<Result<ServicesHub::Room*>> ServicesHub::room_of(SessionId session) {
  if (directory_.worker_of(session) != nullptr) {
    Room* room = co_await find_or_create(session);
    if (directory_.worker_of(session) != nullptr) co_return room;
    drop_empty(session);
  }
  co_return fail(ErrorCode::not_found, "Nobody is in that session.");
}

asio::awaitable<Result<services::RecordingSnapshot>> ServicesHub::state(SessionId session) {
  const auto room = co_await room_of(std::move(session));
  if (!room) co_return tl::unexpected(room.error());
  auto snapshot = (*room)->machine->snapshot(runtime::now());
  if (!snapshot.error) snapshot.error = (*room)->machine->refusal();
  co_return snapshot;
}

asio::awaitable<Result<void>> ServicesHub::request_recording(SessionId session, bool on, std::string identity) {
  const auto room = co_await room_of(std::move(session));
  if (!room) co_return tl::unexpected(room.error());
  (*room)->machine->request_recording(on, identity, runtime::now());
  pump(**room);
  co_return Result<void>{};
}

asio::awaitable<Result<services::Marker>> ServicesHub::add_marker(SessionId session, std::string label, std::string identity) {
  const auto room = co_await room_of(std::move(session));
  if (!room) co_return tl::unexpected(room.error());
  auto marker = (*room)->machine->add_marker(label, identity, runtime::now());
  pump(**room);
  co_return marker;
}

void ServicesHub::limit_reached(const SessionId& session, services::ReachedLimit limit) {
  Room* room = find(session);
  if (!room) return;
  room->machine->limit_reached(std::move(limit), runtime::now());
  pump(*room);
}

void ServicesHub::limit_reached(const services::ReachedLimit& limit) {
  for (const auto& [id, room] : rooms_)
    if (is_recording(id)) limit_reached(id, limit);
}

void ServicesHub::session_removed(const SessionId& session) {
  Room* room = find(session);
  if (!room) return;
  for (auto& [number, link] : room->links) link.connection->close();
  add(gone_drops_, room->machine->drops());
  rooms_.erase(session);
}

void ServicesHub::close_all(const std::string& reason) {
  for (auto& [id, room] : rooms_) {
    for (auto& [number, link] : room->links) {
      link.connection->send(signalling::closing(reason));
      link.connection->close();
    }
    room->links.clear();
    room->timer->cancel();
  }
}

// --- the machine -----------------------------------------------------------------------------------------------------------

void ServicesHub::pump(Room& room) {
  while (auto output = room.machine->poll_output()) carry_out(room, *output);
  set_timer(room);
}

void ServicesHub::carry_out(Room& room, services::ServerOutput& output) {
  std::visit(Overloaded{
                 [&](services::SendText& o) {
                   const auto link = room.links.find(o.connection);
                   if (link != room.links.end()) link->second.connection->send(std::move(o.text));
                 },
                 [&](services::CloseConnection& o) {
                   const auto link = room.links.find(o.connection);
                   if (link == room.links.end()) return;
                   link->second.connection->close();
                   room.links.erase(link);
                 },
                 [&](services::StartRecording& o) {
                   MediaWorker* worker = directory_.worker_of(room.session);
                   if (!worker || ending_) {
                     Error why = ending_ ? Error{ErrorCode::invalid_state, "The server is going down."} : Error{ErrorCode::not_found, "The session is over."};
                     return room.machine->recording_refused(o.id, std::move(why), runtime::now());
                   }
                   const auto revision = room.machine->snapshot(runtime::now()).revision;
                   recordings_.start(room.session, o, revision, *worker);
                 },
                 [&](services::StopRecording& o) { recordings_.stop(o.id, o.goes_on); },
                 [&](services::ForgetRecording& o) { asio::co_spawn(control_, forget(room.session, o.id), asio::detached); },
                 [&](services::AddMarker& o) { recordings_.add_marker(o.id, std::move(o.label), std::move(o.by), o.at); },
             },
             output);
}

void ServicesHub::set_timer(Room& room) {
  const Time next = room.machine->next_timeout();
  if (next == room.timer_at) return;
  room.timer_at = next;
  if (next == Time::max()) {
    room.timer->cancel();
    return;
  }
  room.timer->expires_at(asio::steady_timer::time_point(
      std::chrono::duration_cast<asio::steady_timer::duration>(next.time_since_epoch())));
  room.timer->async_wait([this, session = room.session, machine = room.machine.get()](boost::system::error_code error) {
    Room* still = find(session);
    if (error || !still || still->machine.get() != machine) return;
    still->timer_at = Time::max();
    still->machine->handle_timeout(runtime::now());
    pump(*still);
  });
}

bool ServicesHub::is_recording(const SessionId& session) const { return recordings_.is_running(session); }

void ServicesHub::stop_recording(const SessionId& session) {
  Room* room = find(session);
  if (!room) return;
  room->machine->request_recording(false, "", runtime::now());
  pump(*room);
}

void ServicesHub::interrupt_all_recordings() {
  ending_ = true;
  for (const auto& [id, room] : rooms_) {
    if (!is_recording(id)) continue;
    room->machine->interrupt_recording(runtime::now());
    pump(*room);
  }
}

Counters<services::ServerDrop> ServicesHub::protocol_drops() const {
  Counters<services::ServerDrop> sum = gone_drops_;
  for (const auto& [id, room] : rooms_) add(sum, room->machine->drops());
  return sum;
}

}  // namespace amphi::server
