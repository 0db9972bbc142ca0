// Two halves: the connections (greeting, beats, limits, silence), and the recording, which is in one of four stages.
// Requests are acted on one after the other, in order: while a recording is starting or stopping, they wait.
#include "services/server.h"

#include <algorithm>
#include <deque>
#include <map>

#include "services/messages.h"
#include "services/request_book.h"
#include "services/token_bucket.h"

namespace amphi::services {
namespace {

constexpr Duration kHeartbeat = 1s;
constexpr Duration kSilence = 10s;
constexpr Duration kAskedFor = 15s;  // clients give a request up by then: acting on it later would surprise everybody
constexpr double kMessagesPerSecond = 20;
constexpr double kMessagesAtOnce = 40;
constexpr int kToleratedExcess = 200;
constexpr std::size_t kMarkersTold = 100;

struct Connection {
  Caller caller;
  Time heard_at{};
  TokenBucket allowance;
  int excess = 0;
};

/// nullptr: no request.
const std::string* request_id_of(const Message* message) {
  if (message == nullptr) return nullptr;
  if (const auto* request = std::get_if<RecordingRequest>(message)) return &request->request_id;
  if (const auto* request = std::get_if<MarkerAdd>(message)) return &request->request_id;
  return nullptr;
}

Error too_many() { return {ErrorCode::limit_exceeded, "Too many messages; at most 20 a second."}; }

}  // namespace

std::string_view counter_name(ServerDrop drop) {
  switch (drop) {
    case ServerDrop::malformed: return "malformed";
    case ServerDrop::unknown_type: return "unknown_type";
    case ServerDrop::unknown_connection: return "unknown_connection";
    case ServerDrop::too_large: return "too_large";
    case ServerDrop::rate_limited: return "rate_limited";
    case ServerDrop::count_: break;
  }
  return "unknown";
}

struct ServerSession::Impl {
  enum class Stage { off, starting, recording, stopping };

  Impl(SessionId s, Restored restored, Random& r) : session(std::move(s)), random(r) {
    finished_ms = stated_ms = restored.total_ms;
    confirmed.revision = restored.revision + 1;
    confirmed.recording_id = std::move(restored.last_recording_id);
  }

  SessionId session;
  Random& random;
  Counters<ServerDrop> drops;
  std::deque<ServerOutput> outputs;

  std::map<ConnectionNumber, Connection> connections;
  Time beat_at{};

  Stage stage = Stage::off;
  RecordingSnapshot confirmed;        // all but total_ms, which is computed
  RecordingId running;                // while not off
  std::optional<Warning> warning;     // of the running recording, also while it is starting
  std::int64_t finished_ms = 0;
  std::int64_t frozen_ms = 0;         // the total, while stopping
  std::int64_t stated_ms = 0;         // the most that was told to anybody: never undercut
  Time started_at{};
  RequestBook book;
  std::deque<BookedRequest*> waiting;
  BookedRequest* current = nullptr;   // what the recording is starting or stopping for; nullptr: nothing
  std::uint64_t own_requests = 0;
  std::deque<Marker> markers;         // the newest of the running recording, for who connects later
  std::uint64_t markers_added = 0;    // to the running recording

  void send(ConnectionNumber to, const Message& message) { outputs.push_back(SendText{to, encode(message)}); }

  // ---- the recording ----

  std::int64_t total_ms(Time now) const {
    std::int64_t total = finished_ms;
    if (stage == Stage::recording) total += std::max<std::int64_t>(0, to_ms(now - started_at));
    if (stage == Stage::stopping) total = frozen_ms;
    return std::max(total, stated_ms);
  }

  RecordingSnapshot snapshot(Time now) const {
    RecordingSnapshot now_so = confirmed;
    now_so.total_ms = total_ms(now);
    return now_so;
  }

  /// A change that everybody is told, and who asked for it is told that this is it.
  void change(Phase phase, const std::string& changed_by, const BookedRequest* fulfilled, Time now) {
    confirmed.phase = phase;
    confirmed.on = phase != Phase::off;
    confirmed.changed_by = changed_by;
    ++confirmed.revision;
    stated_ms = total_ms(now);
    const std::string text = encode(RecordingStateMessage{snapshot(now), {}});
    for (const auto& [number, connection] : connections) {
      if (fulfilled != nullptr && fulfilled->connection == number) {
        send(number, RecordingStateMessage{snapshot(now), fulfilled->id});
      } else {
        outputs.push_back(SendText{number, text});
      }
    }
  }

  void answer(BookedRequest& request, std::optional<Error> error, Time now) {
    request.answered_at = now;
    request.error = std::move(error);
    respond(request);
  }

  void respond(const BookedRequest& request) {
    if (connections.contains(request.connection)) {
      send(request.connection, RecordingResponse{request.id, request.error});
    }
  }

  void answer_current(std::optional<Error> error, Time now) {
    if (current != nullptr) answer(*std::exchange(current, nullptr), std::move(error), now);
  }

  void give_up_old_requests(Time now) {
    while (!waiting.empty() && now - waiting.front()->asked_at >= kAskedFor) {
      answer(*waiting.front(), Error{ErrorCode::timeout, "The request waited for too long."}, now);
      waiting.pop_front();
    }
  }

  void act_on_waiting(Time now) {
    give_up_old_requests(now);
    while (!waiting.empty() && (stage == Stage::off || stage == Stage::recording)) {
      BookedRequest& request = *waiting.front();
      waiting.pop_front();
      if (request.on == (stage == Stage::recording)) {
        answer(request, std::nullopt, now);
      } else {
        current = &request;
        request.on ? start(request) : stop(request, now);
      }
    }
  }

  void start(const BookedRequest& request) {
    stage = Stage::starting;
    warning.reset();
    running = RecordingId("rec_" + random.token(16));
    outputs.push_back(StartRecording{running, request.identity, request.continues});
  }

  /// Something about the running recording, of which nobody is the cause.
  void tell_all(Time now) {
    ++confirmed.revision;
    stated_ms = total_ms(now);
    const std::string text = encode(RecordingStateMessage{snapshot(now), {}});
    for (const auto& [number, connection] : connections) outputs.push_back(SendText{number, text});
  }

  Result<Marker> add_marker(const std::string& label, const std::string& identity, Time now) {
    if (!is_label(label)) return fail(ErrorCode::invalid_argument, "A marker's label has 1 to 200 characters, and no control characters.");
    if (stage != Stage::recording) return fail(ErrorCode::invalid_state, "Nothing is being recorded.");
    Marker marker{running.value, ++markers_added, std::max<std::int64_t>(0, to_ms(now - started_at)), label, identity};
    markers.push_back(marker);
    if (markers.size() > kMarkersTold) markers.pop_front();
    outputs.push_back(AddMarker{running, label, identity, now});
    const std::string text = encode(MarkerMessage{marker});
    for (const auto& [number, connection] : connections) outputs.push_back(SendText{number, text});
    return marker;
  }

  void stop(const BookedRequest& request, Time now) {
    frozen_ms = total_ms(now);
    stage = Stage::stopping;
    confirmed.waiting_for_media = false;
    change(Phase::stopping, request.identity, nullptr, now);
    outputs.push_back(StopRecording{running});
  }

  void add_request(BookedRequest request, Time now) {
    const ConnectionNumber from = request.connection;
    const std::string id = request.id;
    BookedRequest* booked = book.add(std::move(request));
    if (booked == nullptr) {
      if (from != 0) send(from, RecordingResponse{id, Error{ErrorCode::limit_exceeded, "Too many requests in this session."}});
      return;
    }
    waiting.push_back(booked);
    act_on_waiting(now);
  }

  void add_own_request(bool on, const std::string& identity, const RecordingId& continues, Time now) {
    BookedRequest request;
    request.id = std::to_string(++own_requests);
    request.identity = identity;
    request.on = on;
    request.continues = continues;
    request.asked_at = now;
    add_request(std::move(request), now);
  }

  // ---- the connections ----

  void end(ConnectionNumber number, const Error& error, std::string in_reply_to) {
    send(number, ErrorMessage{error, true, std::move(in_reply_to)});
    outputs.push_back(CloseConnection{number, error});
    connections.erase(number);
  }

  void refuse(ConnectionNumber number, ErrorCode code, std::string message, std::string in_reply_to) {
    send(number, ErrorMessage{{code, std::move(message)}, false, std::move(in_reply_to)});
  }

  void beat(Time now) {
    stated_ms = total_ms(now);
    const std::string text = encode(Beat{confirmed.revision, stated_ms});
    for (const auto& [number, connection] : connections) outputs.push_back(SendText{number, text});
    beat_at = std::max(beat_at + kHeartbeat, now + kHeartbeat / 2);
  }

  void close_silent(Time now) {
    std::vector<ConnectionNumber> silent;
    for (const auto& [number, connection] : connections) {
      if (now - connection.heard_at >= kSilence) silent.push_back(number);
    }
    for (const ConnectionNumber number : silent) {
      end(number, {ErrorCode::timeout, "Nothing was heard from the client for 10 s."}, {});
    }
  }

  /// False: the message is one too many, and answered.
  bool allow(ConnectionNumber number, Connection& connection, const Decoded& decoded, Time now) {
    if (connection.allowance.take(now)) return true;
    drops.add(ServerDrop::rate_limited);
    if (++connection.excess > kToleratedExcess) return end(number, too_many(), {}), false;
    const auto* message = std::get_if<Message>(&decoded);
    const auto* request = request_id_of(message);
    if (request == nullptr) return refuse(number, ErrorCode::limit_exceeded, too_many().message, {}), false;
    // One that was taken before still acts, so it must not be refused now.
    if (book.find(connection.caller.participant.value, *request) != nullptr) return true;
    return send(number, RecordingResponse{*request, too_many()}), false;
  }

  void handle(ConnectionNumber number, Connection& connection, const RecordingRequest& request, Time now) {
    const Caller& caller = connection.caller;
    if (!caller.may_record) {
      Error forbidden{ErrorCode::forbidden, "The access token has no `record` grant."};
      return send(number, RecordingResponse{request.request_id, std::move(forbidden)});
    }
    if (BookedRequest* known = book.find(caller.participant.value, request.request_id)) {
      known->connection = number;
      if (known->answered_at) respond(*known);
      return;
    }
    BookedRequest fresh{caller.participant.value, request.request_id, caller.identity, request.on, {}, number, now, {}, {}};
    add_request(std::move(fresh), now);
  }
  void handle(ConnectionNumber number, Connection& connection, const MarkerAdd& request, Time now) {
    const Caller& caller = connection.caller;
    if (!caller.may_record) {
      Error forbidden{ErrorCode::forbidden, "The access token has no `record` grant."};
      return send(number, RecordingResponse{request.request_id, std::move(forbidden)});
    }
    if (BookedRequest* known = book.find(caller.participant.value, request.request_id)) {
      known->connection = number;
      if (known->answered_at) respond(*known);
      return;
    }
    BookedRequest* booked = book.add({caller.participant.value, request.request_id, caller.identity, false, {}, number, now, {}, {}});
    if (booked == nullptr)
      return send(number, RecordingResponse{request.request_id, Error{ErrorCode::limit_exceeded, "Too many requests in this session."}});
    const auto added = add_marker(request.label, caller.identity, now);
    answer(*booked, added ? std::nullopt : std::optional(added.error()), now);
  }
  void handle(ConnectionNumber number, Connection&, const Ping&, Time) { send(number, Pong{}); }
  void handle(ConnectionNumber, Connection&, const Pong&, Time) {}
  void handle(ConnectionNumber number, Connection&, const Hello&, Time) {
    refuse(number, ErrorCode::invalid_state, "The connection was greeted already.", "hello");
  }
  template <class Other>
  void handle(ConnectionNumber number, Connection&, const Other&, Time) {
    drops.add(ServerDrop::unknown_type);
    refuse(number, ErrorCode::unsupported, "A client does not send this message.", {});
  }
};

ServerSession::ServerSession(SessionId session, Restored restored, Random& random)
    : impl_(std::make_unique<Impl>(std::move(session), std::move(restored), random)) {}
ServerSession::~ServerSession() = default;

void ServerSession::connection_opened(ConnectionNumber connection, Caller caller, Time now) {
  Impl& me = *impl_;
  if (me.connections.empty()) me.beat_at = now + kHeartbeat;
  me.connections.insert_or_assign(
      connection, Connection{std::move(caller), now, TokenBucket(kMessagesPerSecond, kMessagesAtOnce, now)});
  me.stated_ms = me.total_ms(now);
  me.send(connection, Welcome{me.session.value, {std::string(kRecordingService)}, kHeartbeat});
  me.send(connection, RecordingStateMessage{me.snapshot(now), {}});
  for (const Marker& marker : me.markers) me.send(connection, MarkerMessage{marker});
}

void ServerSession::connection_closed(ConnectionNumber connection, Time) { impl_->connections.erase(connection); }

void ServerSession::handle_message(ConnectionNumber connection, std::string_view text, Time now) {
  Impl& me = *impl_;
  const auto found = me.connections.find(connection);
  if (found == me.connections.end()) return me.drops.add(ServerDrop::unknown_connection);
  found->second.heard_at = now;
  if (text.size() > kMaxMessageSize) {
    me.drops.add(ServerDrop::too_large);
    return me.end(connection, {ErrorCode::limit_exceeded, "A message is at most 16 KiB."}, {});
  }
  const Decoded decoded = decode(text);
  if (!me.allow(connection, found->second, decoded, now)) return;
  if (const auto* malformed = std::get_if<Malformed>(&decoded)) {
    me.drops.add(ServerDrop::malformed);
    return me.refuse(connection, ErrorCode::malformed, malformed->why, malformed->type);
  }
  if (const auto* unknown = std::get_if<UnknownType>(&decoded)) {
    me.drops.add(ServerDrop::unknown_type);
    return me.refuse(connection, ErrorCode::unsupported, "Unknown message type.", unknown->type);
  }
  std::visit([&](const auto& message) { me.handle(connection, found->second, message, now); },
             std::get<Message>(decoded));
}

void ServerSession::close(std::string_view reason, Time) {
  for (const auto& [number, connection] : impl_->connections) {
    impl_->send(number, Closing{std::string(reason)});
    impl_->outputs.push_back(CloseConnection{number, Error{ErrorCode::disconnected, std::string(reason)}});
  }
  impl_->connections.clear();
}

void ServerSession::recording_started(const RecordingId& id, Time started_at, Time now) {
  Impl& me = *impl_;
  if (me.stage != Impl::Stage::starting || id != me.running) return;
  me.stage = Impl::Stage::recording;
  me.started_at = started_at;
  me.confirmed.recording_id = id.value;
  me.confirmed.error.reset();
  me.confirmed.waiting_for_media = true;
  me.confirmed.warning = me.warning;
  me.markers.clear();
  me.markers_added = 0;
  me.change(Phase::recording, me.current->identity, me.current, now);
  me.answer_current(std::nullopt, now);
  me.act_on_waiting(now);
}

void ServerSession::recording_finished(const RecordingId& id, Duration duration, std::optional<Error> error, Time now) {
  Impl& me = *impl_;
  if (me.stage == Impl::Stage::off || id != me.running) return;
  if (me.stage == Impl::Stage::starting) {
    Error never_started{ErrorCode::internal, "The recording ended before it had started."};
    return recording_refused(id, error ? std::move(*error) : std::move(never_started), now);
  }
  const bool asked_for = me.stage == Impl::Stage::stopping;
  me.stated_ms = me.total_ms(now);  // clients show this much by now, whatever the files hold
  me.finished_ms = std::max(me.finished_ms + std::max<std::int64_t>(0, to_ms(duration)), me.stated_ms);
  me.stage = Impl::Stage::off;
  me.confirmed.waiting_for_media = false;
  me.confirmed.warning.reset();
  me.markers.clear();
  me.confirmed.error = std::move(error);
  me.change(Phase::off, asked_for ? me.current->identity : std::string(), me.current, now);
  me.answer_current(std::nullopt, now);
  me.act_on_waiting(now);
}

void ServerSession::recording_refused(const RecordingId& id, Error error, Time now) {
  Impl& me = *impl_;
  if (me.stage != Impl::Stage::starting || id != me.running) return;
  me.stage = Impl::Stage::off;
  if (me.current != nullptr && !me.current->continues.empty()) {  // who comes back takes it for granted
    me.confirmed.error = error;
    me.tell_all(now);
  }
  me.answer_current(std::move(error), now);
  me.act_on_waiting(now);
}

void ServerSession::request_recording(bool on, const std::string& identity, Time now) {
  impl_->add_own_request(on, identity, {}, now);
}

void ServerSession::go_on(const RecordingId& interrupted, const std::string& identity, Time now) {
  impl_->add_own_request(true, identity, interrupted, now);
}

Result<Marker> ServerSession::add_marker(const std::string& label, const std::string& identity, Time now) {
  return impl_->add_marker(label, identity, now);
}

void ServerSession::recording_media_changed(const RecordingId& id, bool writing, Time now) {
  Impl& me = *impl_;
  if (me.stage != Impl::Stage::recording || id != me.running || me.confirmed.waiting_for_media != writing) return;
  me.confirmed.waiting_for_media = !writing;
  me.tell_all(now);
}

void ServerSession::recording_warning(const RecordingId& id, std::optional<Warning> warning, Time now) {
  Impl& me = *impl_;
  if (me.stage == Impl::Stage::off || id != me.running || me.warning == warning) return;
  me.warning = std::move(warning);
  if (me.stage == Impl::Stage::starting) return;  // told once it is on
  me.confirmed.warning = me.warning;
  me.tell_all(now);
}

void ServerSession::set_pre_roll(Duration pre_roll) { impl_->confirmed.pre_roll_ms = to_ms(pre_roll); }

void ServerSession::handle_timeout(Time now) {
  Impl& me = *impl_;
  me.give_up_old_requests(now);
  me.close_silent(now);
  if (!me.connections.empty() && me.beat_at <= now) me.beat(now);
}

std::optional<ServerOutput> ServerSession::poll_output() {
  if (impl_->outputs.empty()) return std::nullopt;
  ServerOutput output = std::move(impl_->outputs.front());
  impl_->outputs.pop_front();
  return output;
}

Time ServerSession::next_timeout() const noexcept {
  Time next = impl_->connections.empty() ? Time::max() : impl_->beat_at;
  for (const auto& [number, connection] : impl_->connections) next = std::min(next, connection.heard_at + kSilence);
  if (!impl_->waiting.empty()) next = std::min(next, impl_->waiting.front()->asked_at + kAskedFor);
  return next;
}

RecordingSnapshot ServerSession::snapshot(Time now) const { return impl_->snapshot(now); }
std::size_t ServerSession::connection_count() const { return impl_->connections.size(); }
const Counters<ServerDrop>& ServerSession::drops() const { return impl_->drops; }

}  // namespace amphi::services
