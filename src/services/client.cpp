// The rules in detail, which this file and the web client share: protocol/scenarios/services/README.md.
#include "services/client.h"

#include <algorithm>
#include <deque>

#include "services/back_off.h"
#include "services/duration_line.h"
#include "services/messages.h"

namespace amphi::services {
namespace {

constexpr Duration kOpenWithin = 10s;      // from OpenConnection to its answer
constexpr Duration kWelcomeWithin = 10s;   // from the open connection to `welcome`
constexpr Duration kSilence = 10s;
constexpr Duration kPingEvery = 3s;
constexpr Duration kAnswerWithin = 15s;    // from a request to giving it up
constexpr std::size_t kMaxPending = 64;

struct Pending {
  std::uint64_t number = 0;              // in the order in which requests are made, from 1
  std::string id;
  std::variant<bool, std::string> what;  // on or off; a marker's label
  Time give_up_at{};
};

}  // namespace

std::string_view counter_name(ClientDrop drop) {
  switch (drop) {
    case ClientDrop::malformed: return "malformed";
    case ClientDrop::unknown_type: return "unknown_type";
    case ClientDrop::stale_revision: return "stale_revision";
    case ClientDrop::unexpected: return "unexpected";
    case ClientDrop::count_: break;
  }
  return "unknown";
}

std::int64_t RecordingState::total_running_duration_ms(Time now) const {
  return DurationLine{total_ms, as_of, grows_until}.at(now);
}

struct Client::Impl {
  enum class Stage { idle, waiting, opening, greeting, connected };

  Impl(ClientConfig c, Random& r) : config(std::move(c)), random(r), back_off(r) {}

  ClientConfig config;
  Random& random;
  BackOff back_off;
  Counters<ClientDrop> drops;
  std::deque<ClientOutput> outputs;

  // The connection.
  Stage stage = Stage::idle;
  bool closed = false;  // idle again, not still
  Time deadline{};          // waiting: open again; opening, greeting: give up
  Time heard_at{};
  Time ping_at{};
  std::optional<Error> fatal;  // the server said why it will close
  bool recording_offered = false;
  bool snapshot_due = false;   // the next state is the connection's first
  Duration heartbeat = 1s;

  // The recording.
  RecordingSnapshot confirmed;
  DurationLine duration;
  std::deque<Pending> pending;  // in the order they were made, so also of their deadlines
  std::string answered_by_state;  // its response, still to come, says nothing new
  std::uint64_t requests_made = 0;
  std::uint64_t newest_resolved = 0;   // number of the newest resolved request; `request_error` is its outcome
  std::optional<Error> request_error;
  std::string marked_recording;     // whose markers were heard last, and up to which
  std::uint64_t marker_index = 0;

  void send(const Message& message) { outputs.push_back(ClientSendText{encode(message)}); }
  bool serves_recording() const { return stage == Stage::connected && recording_offered; }
  bool has_connection() const { return stage == Stage::greeting || stage == Stage::connected; }

  // ---- the connection ----

  void open(Time now) {
    stage = Stage::opening;
    deadline = now + kOpenWithin;
    outputs.push_back(OpenConnection{});
  }

  /// The connection is over, for whatever reason: reported when it had been useful, and tried again.
  void lost(std::optional<Error> error, Time now) {
    const bool was_connected = stage == Stage::connected;
    stage = Stage::waiting;
    deadline = now + back_off.next();
    if (was_connected) outputs.push_back(ServicesDisconnected{std::move(error)});
  }

  void close_and_retry(std::optional<Error> error, Time now) {
    outputs.push_back(ClientCloseConnection{});
    lost(std::move(error), now);
  }

  /// We end it ourselves, without a fault.
  void close_gracefully() {
    if (stage == Stage::opening || has_connection()) outputs.push_back(ClientCloseConnection{});
    if (stage == Stage::connected) outputs.push_back(ServicesDisconnected{});
    stage = Stage::idle;
  }

  Time connection_deadline() const {
    switch (stage) {
      case Stage::idle: return Time::max();
      case Stage::waiting:
      case Stage::opening:
      case Stage::greeting: return deadline;
      case Stage::connected: return heard_at + kSilence;
    }
    return Time::max();
  }

  void handle_connection_deadline(Time now) {
    switch (stage) {
      case Stage::idle: return;
      case Stage::waiting: return open(now);
      case Stage::opening: return close_and_retry(std::nullopt, now);
      case Stage::greeting:
      case Stage::connected: {
        Error silence{ErrorCode::timeout, "Nothing was heard from the session services for 10 s."};
        return close_and_retry(fatal ? std::move(*fatal) : std::move(silence), now);
      }
    }
  }

  // ---- the recording ----

  RecordingState state() const {
    RecordingState s;
    s.on = confirmed.on;
    s.update_pending = std::any_of(pending.begin(), pending.end(), [](const Pending& p) { return std::holds_alternative<bool>(p.what); });
    s.waiting_for_media = confirmed.waiting_for_media;
    s.pre_roll_ms = confirmed.pre_roll_ms;
    s.warnings = confirmed.warnings;
    s.warnings_not_listed = confirmed.warnings_not_listed;
    s.feeds = confirmed.feeds;
    s.feeds_not_listed = confirmed.feeds_not_listed;
    s.revision = confirmed.revision;
    s.recording_id = confirmed.recording_id;
    s.changed_by = confirmed.changed_by;
    s.error = request_error ? request_error : confirmed.error;
    s.total_ms = duration.total_ms;
    s.as_of = duration.as_of;
    s.grows_until = duration.grows_until;
    return s;
  }

  void send_request(const Pending& request) {
    if (const auto* on = std::get_if<bool>(&request.what)) return send(RecordingRequest{request.id, *on});
    send(MarkerAdd{request.id, std::get<std::string>(request.what)});
  }

  void report_state() { outputs.push_back(RecordingStateChanged{state()}); }

  bool is_marker(const std::string& id) const {
    return std::any_of(pending.begin(), pending.end(), [&](const Pending& p) { return p.id == id && !std::holds_alternative<bool>(p.what); });
  }

  /// False: no such request is pending.
  bool resolve(const std::string& id, std::optional<Error> error) {
    for (auto it = pending.begin(); it != pending.end(); ++it) {
      if (it->id != id) continue;
      note_outcome(it->number, std::move(error));
      pending.erase(it);
      return true;
    }
    return false;
  }

  /// The outcome of an older request never replaces that of a newer request, in whichever order they resolve.
  void note_outcome(std::uint64_t number, std::optional<Error> error) {
    if (number < newest_resolved) return;
    newest_resolved = number;
    request_error = std::move(error);
  }

  /// Draws the duration line through a total that the server stated just now.
  void hear_total(std::int64_t total_ms, Time now) {
    if (confirmed.on) return duration.hear(total_ms, confirmed.phase == Phase::recording, heartbeat, now);
    duration.confirm(total_ms, now);
  }

  Result<void> may_request() const;
  void request(std::variant<bool, std::string> what, Time now);

  void give_up_old_requests(Time now) {
    if (pending.empty() || pending.front().give_up_at > now) return;
    while (!pending.empty() && pending.front().give_up_at <= now) {
      note_outcome(pending.front().number, Error{ErrorCode::timeout, "The server did not answer the request within 15 s."});
      pending.pop_front();
    }
    report_state();
  }

  // ---- messages ----

  void unexpected() { drops.add(ClientDrop::unexpected); }

  void handle(const Welcome& welcome, Time) {
    if (stage != Stage::greeting) return unexpected();
    stage = Stage::connected;
    back_off.succeeded();
    heartbeat = welcome.heartbeat;
    snapshot_due = true;
    recording_offered = false;
    for (const std::string& service : welcome.services) recording_offered |= service == kRecordingService;
    outputs.push_back(ServicesConnected{});
    if (!recording_offered) return;
    for (const Pending& request : pending) send_request(request);
  }

  void handle(const RecordingStateMessage& message, Time now) {
    if (!serves_recording()) return unexpected();
    if (!snapshot_due && message.snapshot.revision <= confirmed.revision) return drops.add(ClientDrop::stale_revision);
    snapshot_due = false;
    // Something has happened to the recording since. The same revision, told again after a reconnect, is no news.
    if (message.snapshot.error && message.snapshot.revision != confirmed.revision) request_error.reset();
    confirmed = message.snapshot;
    hear_total(confirmed.total_ms, now);
    if (!message.request_id.empty() && resolve(message.request_id, std::nullopt)) answered_by_state = message.request_id;
    report_state();
  }

  void handle(const RecordingResponse& response, Time) {
    if (!serves_recording()) return unexpected();
    const bool of_marker = is_marker(response.request_id);
    if (!resolve(response.request_id, response.error)) {
      if (response.request_id != answered_by_state) return unexpected();
      return answered_by_state.clear();
    }
    if (response.error || !of_marker) report_state();  // a marker that was taken is told by itself
  }

  void handle(const MarkerMessage& message, Time) {
    if (!serves_recording()) return unexpected();
    const Marker& marker = message.marker;
    // After a reconnect the server tells those of the running recording again.
    if (marker.recording_id == marked_recording && marker.index <= marker_index) return;
    marked_recording = marker.recording_id;
    marker_index = marker.index;
    outputs.push_back(MarkerAdded{marker});
  }

  void handle(const Beat& beat, Time now) {
    if (!serves_recording()) return unexpected();
    if (snapshot_due || beat.revision != confirmed.revision) return;
    hear_total(beat.total_ms, now);
  }

  void handle(const Closing&, Time now) { close_and_retry(std::nullopt, now); }
  void handle(const ErrorMessage& message, Time) {
    if (message.fatal) fatal = message.error;
  }
  void handle(const Pong&, Time) {}
  void handle(const Hello&, Time) { unexpected(); }
  void handle(const RecordingRequest&, Time) { unexpected(); }
  void handle(const MarkerAdd&, Time) { unexpected(); }
  void handle(const Ping&, Time) { unexpected(); }
};

Client::Client(ClientConfig config, Random& random) : impl_(std::make_unique<Impl>(std::move(config), random)) {}
Client::~Client() = default;

void Client::session_connected(std::string participant_id, Time now) {
  if (impl_->stage != Impl::Stage::idle && impl_->config.participant_id == participant_id) {
    if (impl_->stage == Impl::Stage::waiting) impl_->open(now);  // the server is there: that much is known
    return;
  }
  impl_->close_gracefully();
  impl_->config.participant_id = std::move(participant_id);
  impl_->closed = false;
  impl_->open(now);
}

void Client::session_closed(Time) {
  impl_->closed = true;
  if (!impl_->pending.empty()) {
    impl_->note_outcome(impl_->pending.back().number, Error{ErrorCode::disconnected, "The session was closed before the server answered."});
    impl_->pending.clear();
    impl_->report_state();
  }
  impl_->close_gracefully();
}

void Client::set_token(std::string token) { impl_->config.token = std::move(token); }

void Client::connection_opened(Time now) {
  if (impl_->stage != Impl::Stage::opening) return impl_->unexpected();
  impl_->stage = Impl::Stage::greeting;
  impl_->deadline = now + kWelcomeWithin;
  impl_->heard_at = now;
  impl_->ping_at = now + kPingEvery;
  impl_->fatal.reset();
  impl_->send(Hello{impl_->config.token, impl_->config.participant_id});
}

void Client::connection_failed(Error error, Time now) { connection_closed(std::move(error), now); }

void Client::connection_closed(std::optional<Error> error, Time now) {
  if (impl_->stage != Impl::Stage::opening && !impl_->has_connection()) return impl_->unexpected();
  impl_->lost(impl_->fatal ? impl_->fatal : std::move(error), now);
}

void Client::handle_message(std::string_view text, Time now) {
  if (!impl_->has_connection()) return impl_->unexpected();
  impl_->heard_at = now;
  const Decoded decoded = decode(text);
  if (std::holds_alternative<Malformed>(decoded)) return impl_->drops.add(ClientDrop::malformed);
  if (std::holds_alternative<UnknownType>(decoded)) return impl_->drops.add(ClientDrop::unknown_type);
  std::visit([&](const auto& message) { impl_->handle(message, now); }, std::get<Message>(decoded));
}

/// What is known here and now.
Result<void> Client::Impl::may_request() const {
  if (closed) return fail(ErrorCode::invalid_state, "The session is closed.");
  if (stage == Stage::idle) return fail(ErrorCode::disconnected, "Session services are not connected.");
  if (!config.may_record) return fail(ErrorCode::forbidden, "The access token has no `record` grant.");
  if (stage != Stage::connected) return fail(ErrorCode::disconnected, "Session services are not connected.");
  if (!recording_offered) return fail(ErrorCode::unsupported, "The server offers no recording.");
  if (pending.size() >= kMaxPending) return fail(ErrorCode::limit_exceeded, "64 requests are unanswered already.");
  return {};
}

void Client::Impl::request(std::variant<bool, std::string> what, Time now) {
  request_error.reset();
  pending.push_back({++requests_made, "req_" + random.token(16), std::move(what), now + kAnswerWithin});
  send_request(pending.back());
}

Result<void> Client::request_recording(bool on, Time now) {
  if (auto may = impl_->may_request(); !may) return may;
  impl_->request(on, now);
  return {};
}

Result<void> Client::add_marker(std::string label, Time now) {
  if (!is_label(label)) return fail(ErrorCode::invalid_argument, "A marker's label has 1 to 200 characters, and no control characters or bidirectional controls.");
  if (auto may = impl_->may_request(); !may) return may;
  if (impl_->confirmed.phase != Phase::recording) return fail(ErrorCode::invalid_state, "Nothing is being recorded.");
  impl_->request(std::move(label), now);
  return {};
}

bool Client::connected() const { return impl_->stage == Impl::Stage::connected; }
RecordingState Client::state(Time) const { return impl_->state(); }

void Client::handle_timeout(Time now) {
  impl_->give_up_old_requests(now);
  if (impl_->connection_deadline() <= now) impl_->handle_connection_deadline(now);
  if (impl_->has_connection() && impl_->ping_at <= now) {
    impl_->ping_at = now + kPingEvery;
    impl_->send(Ping{});
  }
}

std::optional<ClientOutput> Client::poll_output() {
  if (impl_->outputs.empty()) return std::nullopt;
  ClientOutput output = std::move(impl_->outputs.front());
  impl_->outputs.pop_front();
  return output;
}

Time Client::next_timeout() const noexcept {
  Time next = impl_->connection_deadline();
  if (impl_->has_connection()) next = std::min(next, impl_->ping_at);
  if (!impl_->pending.empty()) next = std::min(next, impl_->pending.front().give_up_at);
  return next;
}

const Counters<ClientDrop>& Client::drops() const { return impl_->drops; }

}  // namespace amphi::services
