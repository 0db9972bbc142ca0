// The connections: greeting, beats, limits, silence. What they say about the recording is recording_control's.
#include "services/server.h"

#include <algorithm>
#include <vector>

#include "services/audience.h"
#include "services/recording_control.h"

namespace amphi::services {
namespace {

constexpr Duration kHeartbeat = 1s;
constexpr Duration kSilence = 10s;
constexpr double kMessagesPerSecond = 20;
constexpr double kMessagesAtOnce = 40;
constexpr int kToleratedExcess = 200;
constexpr std::ptrdiff_t kConnectionsOfOne = 4;  // a client has one; those before it may not be known to be dead yet

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
    case ServerDrop::limit_not_told: return "limit_not_told";
    case ServerDrop::count_: break;
  }
  return "unknown";
}

struct ServerSession::Impl {
  Impl(SessionId s, Restored restored, Random& random) : session(std::move(s)), recording(std::move(restored), random, audience) {}

  SessionId session;
  Counters<ServerDrop> drops;
  Audience audience;
  RecordingControl recording;
  Time beat_at{};

  void tell_limit(ReachedLimit limit, Time now) {
    if (!recording.limit_reached(std::move(limit), now)) drops.add(ServerDrop::limit_not_told);
  }
  /// Those that connections of this session were refused for.
  void tell_limits(Time now) {
    for (ReachedLimit& limit : std::exchange(audience.reached_limits, {})) tell_limit(std::move(limit), now);
  }

  void end(ConnectionNumber number, const Error& error, std::string in_reply_to) {
    audience.send(number, ErrorMessage{error, true, std::move(in_reply_to)});
    audience.outputs.push_back(CloseConnection{number, error});
    audience.connections.erase(number);
  }

  void refuse(ConnectionNumber number, ErrorCode code, std::string message, std::string in_reply_to) {
    audience.send(number, ErrorMessage{{code, std::move(message)}, false, std::move(in_reply_to)});
  }

  void end_oldest_of(const ParticipantId& participant) {
    const auto is_theirs = [&](const auto& entry) { return entry.second.caller.participant == participant; };
    auto& connections = audience.connections;
    if (std::count_if(connections.begin(), connections.end(), is_theirs) < kConnectionsOfOne) return;
    const auto oldest = std::find_if(connections.begin(), connections.end(), is_theirs);  // numbers grow
    end(oldest->first, {ErrorCode::limit_exceeded, "This participant has opened more services connections."}, {});
  }

  void beat(Time now) {
    audience.tell_all(recording.beat(now));
    beat_at = std::max(beat_at + kHeartbeat, now + kHeartbeat / 2);
  }

  void close_silent(Time now) {
    std::vector<ConnectionNumber> silent;
    for (const auto& [number, connection] : audience.connections) {
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
    if (recording.is_known(connection.caller.participant, *request)) return true;
    return audience.send(number, RecordingResponse{*request, too_many()}), false;
  }

  void take(ConnectionNumber connection, std::string_view text, Time now) {
    const auto found = audience.connections.find(connection);
    if (found == audience.connections.end()) return drops.add(ServerDrop::unknown_connection);
    found->second.heard_at = now;
    if (text.size() > kMaxMessageSize) {
      drops.add(ServerDrop::too_large);
      return end(connection, {ErrorCode::limit_exceeded, "A message is at most 16 KiB."}, {});
    }
    const Decoded decoded = decode(text);
    if (!allow(connection, found->second, decoded, now)) return;
    if (const auto* malformed = std::get_if<Malformed>(&decoded)) {
      drops.add(ServerDrop::malformed);
      return refuse(connection, ErrorCode::malformed, malformed->why, malformed->type);
    }
    if (const auto* unknown = std::get_if<UnknownType>(&decoded)) {
      drops.add(ServerDrop::unknown_type);
      return refuse(connection, ErrorCode::unsupported, "Unknown message type.", unknown->type);
    }
    std::visit([&](const auto& message) { handle(connection, found->second, message, now); }, std::get<Message>(decoded));
  }

  void handle(ConnectionNumber number, const Connection& from, const RecordingRequest& request, Time now) { recording.handle(number, from.caller, request, now); }
  void handle(ConnectionNumber number, const Connection& from, const MarkerAdd& request, Time now) { recording.handle(number, from.caller, request, now); }
  void handle(ConnectionNumber number, const Connection&, const Ping&, Time) { audience.send(number, Pong{}); }
  void handle(ConnectionNumber, const Connection&, const Pong&, Time) {}
  void handle(ConnectionNumber number, const Connection&, const Hello&, Time) {
    refuse(number, ErrorCode::invalid_state, "The connection was greeted already.", "hello");
  }
  template <class Other>
  void handle(ConnectionNumber number, const Connection&, const Other&, Time) {
    drops.add(ServerDrop::unknown_type);
    refuse(number, ErrorCode::unsupported, "A client does not send this message.", {});
  }
};

ServerSession::ServerSession(SessionId session, Restored restored, Random& random)
    : impl_(std::make_unique<Impl>(std::move(session), std::move(restored), random)) {}
ServerSession::~ServerSession() = default;

void ServerSession::connection_opened(ConnectionNumber connection, Caller caller, Time now) {
  Impl& me = *impl_;
  me.end_oldest_of(caller.participant);
  if (me.audience.connections.empty()) me.beat_at = now + kHeartbeat;
  me.audience.connections.insert_or_assign(
      connection, Connection{std::move(caller), now, TokenBucket(kMessagesPerSecond, kMessagesAtOnce, now)});
  me.audience.send(connection, Welcome{me.session.value, {std::string(kRecordingService)}, kHeartbeat});
  me.recording.tell(connection, now);
  me.tell_limits(now);
}

void ServerSession::connection_closed(ConnectionNumber connection, Time) { impl_->audience.connections.erase(connection); }

void ServerSession::handle_message(ConnectionNumber connection, std::string_view text, Time now) {
  impl_->take(connection, text, now);
  impl_->tell_limits(now);
}

void ServerSession::close(std::string_view reason, Time) {
  Audience& audience = impl_->audience;
  for (const auto& [number, connection] : audience.connections) {
    audience.send(number, Closing{std::string(reason)});
    audience.outputs.push_back(CloseConnection{number, Error{ErrorCode::disconnected, std::string(reason)}});
  }
  audience.connections.clear();
}

void ServerSession::recording_started(const RecordingId& id, Time started_at, Time now) { impl_->recording.started(id, started_at, now); }
void ServerSession::recording_finished(const RecordingId& id, Duration duration, std::optional<Error> error, Time now) {
  impl_->recording.finished(id, duration, std::move(error), now);
}
void ServerSession::recording_refused(const RecordingId& id, Error error, Time now) { impl_->recording.refused(id, std::move(error), now); }
void ServerSession::request_recording(bool on, const std::string& identity, Time now) { impl_->recording.request(on, identity, {}, now); }
void ServerSession::recording_forgotten(const RecordingId& id, const std::optional<Error>& error, Time now) { impl_->recording.forgotten(id, error, now); }
void ServerSession::interrupt_recording(Time now) { impl_->recording.interrupt(now); }
void ServerSession::go_on(const RecordingId& interrupted, const std::string& identity, Time now) {
  impl_->recording.request(true, identity, interrupted, now);
}
Result<Marker> ServerSession::add_marker(const std::string& label, const std::string& identity, Time now) {
  auto added = impl_->recording.add_marker(label, identity, now);
  if (!added && added.error().code == ErrorCode::limit_exceeded) impl_->tell_limit({identity, added.error().message, {}}, now);
  return added;
}
void ServerSession::recording_media_changed(const RecordingId& id, bool writing, Time now) { impl_->recording.media_changed(id, writing, now); }
void ServerSession::recording_warnings(const RecordingId& id, std::vector<Warning> warnings, Time now) { impl_->recording.warn(id, std::move(warnings), now); }
void ServerSession::recording_feeds(const RecordingId& id, std::vector<FeedState> feeds, std::vector<Warning> warnings, Time now) {
  impl_->recording.feeds_changed(id, std::move(feeds), std::move(warnings), now);
}
void ServerSession::limit_reached(ReachedLimit limit, Time now) { impl_->tell_limit(std::move(limit), now); }
void ServerSession::set_pre_roll(Duration pre_roll) { impl_->recording.set_pre_roll(pre_roll); }

void ServerSession::handle_timeout(Time now) {
  Impl& me = *impl_;
  me.recording.handle_timeout(now);
  me.close_silent(now);
  if (!me.audience.connections.empty() && me.beat_at <= now) me.beat(now);
}

std::optional<ServerOutput> ServerSession::poll_output() {
  auto& outputs = impl_->audience.outputs;
  if (outputs.empty()) return std::nullopt;
  ServerOutput output = std::move(outputs.front());
  outputs.pop_front();
  return output;
}

Time ServerSession::next_timeout() const noexcept {
  const Impl& me = *impl_;
  Time next = me.recording.next_timeout();
  if (!me.audience.connections.empty()) next = std::min(next, me.beat_at);
  for (const auto& [number, connection] : me.audience.connections) next = std::min(next, connection.heard_at + kSilence);
  return next;
}

RecordingSnapshot ServerSession::snapshot(Time now) const { return impl_->recording.snapshot(now); }
const std::optional<Error>& ServerSession::refusal() const { return impl_->recording.refusal(); }
std::size_t ServerSession::connection_count() const { return impl_->audience.connections.size(); }
const Counters<ServerDrop>& ServerSession::drops() const { return impl_->drops; }

}  // namespace amphi::services
