// The session itself, behind MediaServerSession: joins its threads and machines.
//
// Threads: control (Asio) runs the links and decides; media runs the transports; pipelines starts and stops GStreamer; callback delivers.
// Public methods: any thread. Methods named on_* and the maps below: control. What the public methods read is under `mutex_`, which is
// never held while anything else is called but post(). Lifetime: shutdown() ends all threads; after it nothing here runs any more, so tasks may hold `this`.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "amphi/media_server_session.h"
#include "control_thread.h"
#include "dispatcher.h"
#include "feed_core.h"
#include "incoming_audio.h"
#include "incoming_video.h"
#include "media_transport.h"
#include "services_link.h"
#include "session_url.h"
#include "signalling_link.h"
#include "video_sources.h"

namespace amphi::sdk {

class SessionCore : public std::enable_shared_from_this<SessionCore> {
 public:
  using Session = MediaServerSession;

  explicit SessionCore(Session::Configuration configuration);
  ~SessionCore();

  void attach(std::weak_ptr<Session> session) { dispatcher_->attach(std::move(session)); }
  tl::expected<void, std::error_code> connect();
  void disconnect();
  /// Ends everything; blocks for as long as a goodbye takes to leave the machine (at most 300 ms).
  void shutdown();
  bool on_own_thread() const;

  bool connected() const;
  std::string participant_id() const;
  std::vector<Session::Participant> participants() const;
  std::vector<FeedInfo> feeds() const;

  bool services_connected() const { return services_ != nullptr && services_->connected(); }
  tl::expected<void, std::error_code> request_recording(bool on);
  tl::expected<void, std::error_code> add_marker(const std::string& label);
  Session::SessionRecordingState recording_state() const;

  std::shared_ptr<FeedCore> add_video(std::string label, OutgoingVideoComponents components);
  std::shared_ptr<FeedCore> set_audio(std::string label, AudioInputComponent input, AudioEncodingComponent encoding);
  std::shared_ptr<FeedCore> subscribe_video(const std::string& feed_id, VideoOutputComponent output);
  std::shared_ptr<FeedCore> set_incoming_audio(AudioOutputComponent output);

  struct Handlers {
    Session::SessionHandler connected, reconnected, media_reachable, services_connected;
    Session::ErrorHandler disconnected, reconnecting, media_unreachable, services_disconnected;
    Session::RecordingHandler recording_changed;
    Session::MarkerHandler marker_added;
    Session::FeedHandler feed_added, feed_changed, feed_removed;
    Session::ParticipantHandler participant_joined, participant_left;
  };
  template <class Handler>
  void set_handler(Handler Handlers::* which, Handler handler) {
    std::lock_guard lock(mutex_);
    (handlers_.*which).swap(handler);  // the old one is destroyed after the lock is let go
  }

 private:
  enum class Phase { idle, active, closed };

  // session_core.cpp
  template <class Call>
  tl::expected<void, std::error_code> ask_services(Call call);
  static Session::SessionRecordingState to_public(const services::RecordingState& state);
  /// Calls the handler that is set by the time its turn comes.
  template <class Handler, class... Args>
  void deliver(Handler Handlers::* which, Args... args) {
    dispatcher_->post([self = shared_from_this(), which, args...](const std::shared_ptr<Session>& session) {
      Handler handler;
      {
        std::lock_guard lock(self->mutex_);
        handler = self->handlers_.*which;
      }
      if (handler) handler(session, args...);
    });
  }
  void on_signalling(signalling::Output& output);
  void on_joined(const signalling::Joined& joined);
  void on_interrupted(const Error& why);
  void on_lapsed();
  void set_lapsed(bool lapsed);
  void on_resumed();
  void on_rejoined(const signalling::Rejoined& rejoined);
  void on_participant_joined(const signalling::ParticipantDescription& joined);
  void on_participant_left(const std::string& id);
  void on_services(ServicesLink::Told told);
  void on_ended(const std::optional<Error>& error);

  // session_feeds.cpp
  std::shared_ptr<FeedCore> new_feed(std::string id, std::string label) const;
  void add_outgoing(std::shared_ptr<OutgoingStream> stream);
  OutgoingPipeline::Events outgoing_events(const std::shared_ptr<FeedCore>& feed);
  void remove_outgoing(const FeedCore* feed);
  void publish(const std::shared_ptr<OutgoingStream>& stream);
  void attach_video(const FeedCore* feed, const FeedInfo& source);
  void detach_video(const FeedCore* feed, const std::string& shown);
  /// A video feed appeared: the subscription that waits for it continues with it.
  void restore_video(const FeedInfo& appeared);
  void remove_incoming_video(const FeedCore* feed);
  void attach_audio(const std::string& feed_id);
  void detach_audio(const std::string& feed_id);
  void remove_incoming_audio(const FeedCore* feed);
  void on_feed_added(const signalling::FeedDescription& feed);
  FeedInfo info_of(const signalling::FeedDescription& described) const;  // with the mutex held
  void on_feed_changed(const signalling::FeedDescription& described);
  void on_feed_removed(const signalling::FeedRemoved& removed);
  /// Its owner was lost: it waits until the owner publishes it again.
  void wait_for_source(const FeedCore* feed);
  void on_feed_unsupported(const std::string& feed_id, const Error& error);
  void on_codec_known(const std::string& feed_id, rtp::CodecName codec);
  void end_all_feeds();
  std::optional<FeedInfo> feed_info(const std::string& feed_id) const;
  void keyframe_wanted(const FeedCore* feed);

  // session_media.cpp
  Publishing::Events publishing_events();
  Subscribing::Events subscribing_events();
  /// Posts what a transport told to control. What the transports before a rejoin told is dropped.
  void from_media(std::function<void()> task);
  void begin_transports_again(const std::string& cname);
  void on_reachable(bool& unreachable, bool reachable);
  std::function<void(Error)> broken_event();
  void on_transport_failed(const signalling::TransportFailed& failed);

  const Session::Configuration configuration_;
  const Result<SessionUrl> url_;
  const std::shared_ptr<Dispatcher> dispatcher_ = std::make_shared<Dispatcher>();
  const std::shared_ptr<TaskThread> pipelines_ = std::make_shared<TaskThread>("amphi-pipelines");
  const std::shared_ptr<FileStarts> files_ = std::make_shared<FileStarts>();

  mutable std::mutex mutex_;
  Phase phase_ = Phase::idle;
  bool connected_ = false;
  std::string participant_id_;
  std::map<std::string, Session::Participant> participants_;
  std::map<std::string, FeedInfo> feeds_;
  Handlers handlers_;

  struct IncomingVideo {
    std::shared_ptr<FeedCore> feed;
    std::shared_ptr<IncomingVideoPipeline> pipeline;
  };
  std::set<std::string> grants_;
  bool ended_ = false;
  bool lapsed_ = false;                                      // the server removed the participant, and it has not joined anew yet
  int beginning_ = 0;                                        // rejoins whose transports have not begun again yet
  bool publishing_unreachable_ = false, subscribing_unreachable_ = false;
  bool told_unreachable_ = false;
  Time base_{};                                              // running time zero of everything received
  std::vector<std::shared_ptr<OutgoingStream>> outgoing_;
  std::map<const FeedCore*, IncomingVideo> incoming_video_;
  VideoSources video_sources_;                               // which feed each of them shows
  std::map<std::string, Error> unsupported_;                 // feeds that the client's answers cannot take, and why
  std::shared_ptr<FeedCore> incoming_audio_feed_;
  std::shared_ptr<IncomingAudioPipeline> incoming_audio_;
  std::map<std::string, std::shared_ptr<RtpInlet>> audio_inlets_;   // by feed id

  mutable std::mutex audio_mutex_;
  std::shared_ptr<FeedCore> outgoing_audio_feed_;            // the newest, under audio_mutex_

  std::unique_ptr<MediaTransport> transport_;                // from the first join until shutdown
  std::unique_ptr<SignallingLink> signalling_;
  std::unique_ptr<ServicesLink> services_;
  ControlThread control_;                                    // last: its tasks use all of the above
};

}  // namespace amphi::sdk
