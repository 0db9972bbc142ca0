#include "amphi/media_server_session.h"

#include <algorithm>
#include <thread>

#include "runtime/clock.h"
#include "session_core.h"

namespace amphi {

using sdk::SessionCore;
using Handlers = SessionCore::Handlers;

std::int64_t MediaServerSession::SessionRecordingState::totalRunningDurationMs() const {
  const std::int64_t now = std::min(runtime::now().time_since_epoch().count(), growsUntilNs_);
  return totalMs_ + std::max<std::int64_t>(0, now - asOfNs_) / 1'000'000;
}

std::shared_ptr<MediaServerSession> MediaServerSession::create(Configuration configuration) {
  std::shared_ptr<MediaServerSession> session(new MediaServerSession(std::move(configuration)));
  session->core_->attach(session);
  return session;
}

MediaServerSession::MediaServerSession(Configuration configuration) : core_(std::make_shared<SessionCore>(std::move(configuration))) {}

MediaServerSession::~MediaServerSession() {
  if (!core_->on_own_thread()) {
    core_->shutdown();
    return;
  }
  // The last reference was something of the application's that one of our own threads let go: it cannot wait for itself.
  std::thread([core = std::move(core_)] { core->shutdown(); }).detach();
}

tl::expected<void, std::error_code> MediaServerSession::connect() { return core_->connect(); }
void MediaServerSession::disconnect() { core_->disconnect(); }
bool MediaServerSession::isConnected() const { return core_->connected(); }
std::string MediaServerSession::participantId() const { return core_->participant_id(); }

void MediaServerSession::onConnected(SessionHandler h) { core_->set_handler(&Handlers::connected, std::move(h)); }
void MediaServerSession::onReconnecting(ErrorHandler h) { core_->set_handler(&Handlers::reconnecting, std::move(h)); }
void MediaServerSession::onReconnected(SessionHandler h) { core_->set_handler(&Handlers::reconnected, std::move(h)); }
void MediaServerSession::onMediaUnreachable(ErrorHandler h) { core_->set_handler(&Handlers::media_unreachable, std::move(h)); }
void MediaServerSession::onMediaReachable(SessionHandler h) { core_->set_handler(&Handlers::media_reachable, std::move(h)); }
void MediaServerSession::onDisconnected(ErrorHandler h) { core_->set_handler(&Handlers::disconnected, std::move(h)); }
void MediaServerSession::onSessionServicesConnected(SessionHandler h) { core_->set_handler(&Handlers::services_connected, std::move(h)); }
void MediaServerSession::onSessionServicesDisconnected(ErrorHandler h) {
  core_->set_handler(&Handlers::services_disconnected, std::move(h));
}
void MediaServerSession::onRecordingStateChanged(RecordingHandler h) { core_->set_handler(&Handlers::recording_changed, std::move(h)); }
void MediaServerSession::onParticipantJoined(ParticipantHandler h) { core_->set_handler(&Handlers::participant_joined, std::move(h)); }
void MediaServerSession::onParticipantLeft(ParticipantHandler h) { core_->set_handler(&Handlers::participant_left, std::move(h)); }
void MediaServerSession::onFeedAdded(FeedHandler h) { core_->set_handler(&Handlers::feed_added, std::move(h)); }
void MediaServerSession::onFeedChanged(FeedHandler h) { core_->set_handler(&Handlers::feed_changed, std::move(h)); }
void MediaServerSession::onFeedRemoved(FeedHandler h) { core_->set_handler(&Handlers::feed_removed, std::move(h)); }

bool MediaServerSession::areSessionServicesConnected() const { return core_->services_connected(); }
tl::expected<void, std::error_code> MediaServerSession::requestSessionRecording(bool on) { return core_->request_recording(on); }
tl::expected<void, std::error_code> MediaServerSession::addRecordingMarker(const std::string& label) { return core_->add_marker(label); }
void MediaServerSession::onRecordingMarkerAdded(MarkerHandler h) { core_->set_handler(&Handlers::marker_added, std::move(h)); }
MediaServerSession::SessionRecordingState MediaServerSession::sessionRecordingState() const { return core_->recording_state(); }

std::vector<MediaServerSession::Participant> MediaServerSession::participants() const { return core_->participants(); }
std::vector<FeedInfo> MediaServerSession::feeds() const { return core_->feeds(); }

std::shared_ptr<OutgoingVideoFeed> MediaServerSession::addOutgoingVideoFeed(std::string label, OutgoingVideoComponents components) {
  return std::make_shared<OutgoingVideoFeed>(core_->add_video(std::move(label), std::move(components)));
}
std::shared_ptr<OutgoingAudioFeed> MediaServerSession::setOutgoingAudioFeed(std::string label, AudioInputComponent input,
                                                                            AudioEncodingComponent encoding) {
  return std::make_shared<OutgoingAudioFeed>(core_->set_audio(std::move(label), std::move(input), encoding));
}
std::shared_ptr<IncomingVideoFeed> MediaServerSession::subscribeVideoFeed(const std::string& feedId, VideoOutputComponent output) {
  return std::make_shared<IncomingVideoFeed>(core_->subscribe_video(feedId, std::move(output)));
}
std::shared_ptr<IncomingAudioFeed> MediaServerSession::setIncomingAudioFeed(AudioOutputComponent output) {
  return std::make_shared<IncomingAudioFeed>(core_->set_incoming_audio(std::move(output)));
}

}  // namespace amphi
