#include "session_core.h"

#include <unistd.h>

#include "error_map.h"

namespace amphi::sdk {
namespace {

tl::unexpected<std::error_code> refuse(Errc code) { return tl::unexpected<std::error_code>(make_error_code(code)); }

}  // namespace

SessionCore::SessionCore(Session::Configuration configuration)
    : configuration_(std::move(configuration)), url_(parse_session_url(configuration_.url)) {
  if (!url_) return;
  WebSocketTarget target;
  target.tls = url_->tls;
  target.host = url_->host;
  target.port = url_->port;
  target.ca_certificate_file = configuration_.caCertificateFile;
  target.user_agent = configuration_.clientName;
  target.path = url_->signalling_path();
  signalling_ = std::make_unique<SignallingLink>(
      control_.io(), target, signalling::Config{configuration_.accessToken, configuration_.clientName.substr(0, 128), configuration_.reconnect},
      [this](signalling::Output& output) { on_signalling(output); });
  target.path = url_->services_path();
  services_ = std::make_unique<ServicesLink>(control_.io(), target, configuration_.accessToken,
                                             [this](ServicesLink::Told told) { on_services(std::move(told)); });
}

SessionCore::~SessionCore() = default;

bool SessionCore::on_own_thread() const { return control_.is_current() || pipelines_->is_current(); }

tl::expected<void, std::error_code> SessionCore::connect() {
  {
    std::lock_guard lock(mutex_);
    if (phase_ != Phase::idle) return refuse(Errc::invalidState);
    if (!url_) return refuse(Errc::invalidArgument);
    if (!configuration_.caCertificateFile.empty() && access(configuration_.caCertificateFile.c_str(), R_OK) != 0)
      return refuse(Errc::invalidArgument);
    phase_ = Phase::active;
    // Under the lock: a disconnect() that sees the phase comes behind it.
    control_.post([this] { signalling_->with([](signalling::Client& c, Time now) { c.connect(now); }); });
  }
  return {};
}

void SessionCore::disconnect() {
  std::lock_guard lock(mutex_);
  if (phase_ == Phase::closed) return;
  const bool never = phase_ == Phase::idle;
  phase_ = Phase::closed;
  if (never || !url_) return control_.post([this] { end_all_feeds(); });
  control_.post([this] { signalling_->with([](signalling::Client& c, Time now) { c.leave(now); }); });
}

void SessionCore::shutdown() {
  disconnect();
  // Behind what disconnect() posted: the timers go, and with them the last reason for the loop to stay.
  control_.post([this] {
    if (!signalling_) return;
    signalling_->quiet();
    services_->quiet();
  });
  control_.finish(300ms);
  pipelines_->finish();
  transport_.reset();
  dispatcher_->stop();
}

bool SessionCore::connected() const {
  std::lock_guard lock(mutex_);
  return connected_;
}
std::string SessionCore::participant_id() const {
  std::lock_guard lock(mutex_);
  return participant_id_;
}
std::vector<MediaServerSession::Participant> SessionCore::participants() const {
  std::lock_guard lock(mutex_);
  std::vector<Session::Participant> out;
  for (const auto& [id, participant] : participants_) out.push_back(participant);
  return out;
}
std::vector<FeedInfo> SessionCore::feeds() const {
  std::lock_guard lock(mutex_);
  std::vector<FeedInfo> out;
  for (const auto& [id, feed] : feeds_) out.push_back(feed);
  return out;
}

template <class Call>
tl::expected<void, std::error_code> SessionCore::ask_services(Call call) {
  {
    std::lock_guard lock(mutex_);
    if (phase_ == Phase::closed) return refuse(Errc::invalidState);
  }
  if (!services_) return refuse(Errc::invalidState);
  if (const auto asked = call(*services_); !asked) return refuse(errc_of(asked.error().code));
  return {};
}

tl::expected<void, std::error_code> SessionCore::request_recording(bool on) {
  return ask_services([on](ServicesLink& services) { return services.request(on); });
}

tl::expected<void, std::error_code> SessionCore::add_marker(const std::string& label) {
  return ask_services([&label](ServicesLink& services) { return services.add_marker(label); });
}

MediaServerSession::SessionRecordingState SessionCore::recording_state() const {
  return to_public(services_ ? services_->state() : services::RecordingState{});
}

MediaServerSession::SessionRecordingState SessionCore::to_public(const services::RecordingState& state) {
  Session::SessionRecordingState out;
  out.on = state.on;
  out.updatePending = state.update_pending;
  out.revision = state.revision;
  out.recordingId = state.recording_id;
  out.changedBy = state.changed_by;
  out.error = to_error_code(state.error);
  if (state.error) out.errorMessage = state.error->message;
  out.waitingForMedia = state.waiting_for_media;
  out.preRollMs = state.pre_roll_ms;
  for (const auto& warning : state.warnings)
    out.warnings.push_back({warning.code, warning.message, warning.minutes_left, warning.feed_id, warning.participant_id});
  if (!out.warnings.empty()) out.warning = out.warnings.front();
  out.warningsNotListed = state.warnings_not_listed;
  for (const auto& feed : state.feeds)
    out.feeds.push_back({feed.feed_id, feed.participant_id, feed.label, feed.kind == "audio" ? FeedKind::audio : FeedKind::video, feed.recorded, feed.reason, feed.message, feed.since_ms});
  out.feedsNotListed = state.feeds_not_listed;
  out.totalMs_ = state.total_ms;
  out.asOfNs_ = state.as_of.time_since_epoch().count();
  out.growsUntilNs_ = state.grows_until.time_since_epoch().count();
  return out;
}

void SessionCore::on_signalling(signalling::Output& output) {
  if (ended_) return;
  const auto media = [this](MediaTransport::Task task) {
    if (transport_) transport_->post(std::move(task));
  };
  if (auto* joined = std::get_if<signalling::Joined>(&output)) {
    on_joined(*joined);
  } else if (auto* answer = std::get_if<signalling::PublishAnswer>(&output)) {
    media([a = std::move(*answer)](Publishing& p, Subscribing&, SendBatch&, Time now) { p.answered(a.sdp, a.feeds, a.refused, now); });
  } else if (auto* refused = std::get_if<signalling::PublishRefused>(&output)) {
    media([r = std::move(*refused)](Publishing& p, Subscribing&, SendBatch&, Time now) { p.refused(r.error, now); });
  } else if (auto* offer = std::get_if<signalling::SubscribeOffer>(&output)) {
    media([o = std::move(*offer)](Publishing&, Subscribing& s, SendBatch&, Time now) { s.offered(o, now); });
  } else if (auto* unanswered = std::get_if<signalling::SubscribeRefused>(&output)) {
    media([r = std::move(*unanswered)](Publishing&, Subscribing& s, SendBatch&, Time now) { s.refused(r.error, now); });
  } else if (auto* interrupted = std::get_if<signalling::Interrupted>(&output)) {
    on_interrupted(interrupted->why);
  } else if (std::holds_alternative<signalling::Lapsed>(output)) {
    on_lapsed();
  } else if (std::holds_alternative<signalling::Resumed>(output)) {
    on_resumed();
  } else if (auto* again = std::get_if<signalling::Rejoined>(&output)) {
    on_rejoined(*again);
  } else if (auto* come = std::get_if<signalling::ParticipantJoined>(&output)) {
    on_participant_joined(come->participant);
  } else if (auto* gone = std::get_if<signalling::ParticipantLeft>(&output)) {
    on_participant_left(gone->participant_id);
  } else if (auto* added = std::get_if<signalling::FeedAdded>(&output)) {
    on_feed_added(added->feed);
  } else if (auto* changed = std::get_if<signalling::FeedChanged>(&output)) {
    on_feed_changed(changed->feed);
  } else if (auto* removed = std::get_if<signalling::FeedRemoved>(&output)) {
    on_feed_removed(*removed);
  } else if (auto* unsupported = std::get_if<signalling::FeedUnsupported>(&output)) {
    on_feed_unsupported(unsupported->feed_id, unsupported->error);
  } else if (auto* failed = std::get_if<signalling::TransportFailed>(&output)) {
    on_transport_failed(*failed);
  } else if (auto* ended = std::get_if<signalling::Ended>(&output)) {
    on_ended(ended->error);
  }
}

void SessionCore::on_joined(const signalling::Joined& joined) {
  grants_ = {joined.grants.begin(), joined.grants.end()};
  base_ = runtime::now();
  auto transport = MediaTransport::create(signalling_->server_ip(), joined.participant_id, publishing_events(), subscribing_events());
  if (!transport) {
    signalling_->with([&](signalling::Client& c, Time now) { c.abort(transport.error(), now); });
    return;
  }
  transport_ = std::move(*transport);
  services_->session_connected(joined.participant_id, grants_.contains("record"));  // first: the handler may ask for a recording
  {
    std::lock_guard lock(mutex_);
    connected_ = true;
    participant_id_ = joined.participant_id;
  }
  deliver(&Handlers::connected);
  for (const auto& stream : std::vector(outgoing_)) publish(stream);
}

void SessionCore::on_interrupted(const Error& why) {
  if (transport_)
    transport_->post([](Publishing& p, Subscribing& s, SendBatch&, Time) {
      p.signalling_interrupted();
      s.signalling_interrupted();
    });
  deliver(&Handlers::reconnecting, to_error_code(why));
}

void SessionCore::on_lapsed() {
  std::vector<std::string> labels;
  {
    std::lock_guard lock(mutex_);
    connected_ = false;
    for (const auto& [id, info] : feeds_)
      if (info.kind == FeedKind::video) labels.push_back(info.label);
  }
  for (const auto& [feed, incoming] : incoming_video_)
    if (incoming.feed->has_run()) incoming.feed->update([](FeedStatistics& s) { s.stalled = true; });
  video_sources_.lose_all(labels);
  set_lapsed(true);
}

void SessionCore::set_lapsed(bool lapsed) {
  lapsed_ = lapsed;
  if (transport_)
    transport_->post([lapsed](Publishing& p, Subscribing& s, SendBatch&, Time) {
      p.set_lapsed(lapsed);
      s.set_lapsed(lapsed);
    });
}

void SessionCore::on_resumed() {
  if (lapsed_) {  // the server waited longer than we expected: everything is as it was
    set_lapsed(false);
    std::lock_guard lock(mutex_);
    connected_ = true;
    for (const auto& [id, info] : feeds_)
      if (info.kind == FeedKind::video) video_sources_.claim({id, info.participantIdentity, info.label});
  }
  services_->session_connected(participant_id(), grants_.contains("record"));
  if (transport_) transport_->signalling_resumed();
  deliver(&Handlers::reconnected);
}

void SessionCore::on_rejoined(const signalling::Rejoined& rejoined) {
  lapsed_ = false;
  grants_ = {rejoined.grants.begin(), rejoined.grants.end()};
  {
    std::lock_guard lock(mutex_);
    connected_ = true;
    participant_id_ = rejoined.participant_id;
  }
  unsupported_.clear();
  begin_transports_again(rejoined.participant_id);
  if (incoming_audio_feed_) incoming_audio_feed_->update([](FeedStatistics& s) { s.stalled = false; });  // until there is something to receive
  services_->session_connected(rejoined.participant_id, grants_.contains("record"));
  for (const auto& stream : std::vector(outgoing_)) publish(stream);
  deliver(&Handlers::reconnected);
}

void SessionCore::on_participant_joined(const signalling::ParticipantDescription& joined) {
  const Session::Participant participant{joined.id, joined.identity};
  {
    std::lock_guard lock(mutex_);
    participants_[participant.id] = participant;
  }
  deliver(&Handlers::participant_joined, participant);
}

void SessionCore::on_participant_left(const std::string& id) {
  Session::Participant participant{id, {}};
  {
    std::lock_guard lock(mutex_);
    if (const auto it = participants_.find(id); it != participants_.end()) {
      participant = it->second;
      participants_.erase(it);
    }
  }
  deliver(&Handlers::participant_left, participant);
}

void SessionCore::on_services(ServicesLink::Told told) {
  if (std::holds_alternative<services::ServicesConnected>(told)) {
    deliver(&Handlers::services_connected);
  } else if (const auto* lost = std::get_if<services::ServicesDisconnected>(&told)) {
    deliver(&Handlers::services_disconnected, to_error_code(lost->error));
  } else if (const auto* added = std::get_if<services::MarkerAdded>(&told)) {
    const services::Marker& marker = added->marker;
    deliver(&Handlers::marker_added, Session::RecordingMarker{marker.recording_id, marker.at_ms, marker.label, marker.by});
  } else {
    deliver(&Handlers::recording_changed, to_public(std::get<services::RecordingStateChanged>(told).state));
  }
}

void SessionCore::on_ended(const std::optional<Error>& error) {
  ended_ = true;
  {
    std::lock_guard lock(mutex_);
    phase_ = Phase::closed;
    connected_ = false;
  }
  services_->session_closed();
  end_all_feeds();
  if (transport_) transport_->close();
  deliver(&Handlers::disconnected, to_error_code(error));
  // Nothing comes after it: what the application gave its handlers to hold is let go.
  dispatcher_->post([self = shared_from_this()](const auto&) {
    Handlers released;  // destroyed after the lock is let go
    std::lock_guard lock(self->mutex_);
    std::swap(released, self->handlers_);
  });
}

}  // namespace amphi::sdk
