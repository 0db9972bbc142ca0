// MediaServerSession: a native application's membership in a live media session, its feeds, and its session services.
//
// Threads: every method may be called from any thread, and none blocks on the network. Every callback of a session and of its
// feeds arrives on ONE thread that belongs to the session, in order, with no lock held; inside a callback any method may be called, and
// the last reference to the session may be dropped there. A callback may be set at any time and is used from the next event on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <tl/expected.hpp>
#include <vector>

#include "amphi/audio_components.h"
#include "amphi/error.h"
#include "amphi/feed.h"
#include "amphi/video_components.h"

namespace amphi {

namespace sdk {
class SessionCore;
}

class MediaServerSession : public std::enable_shared_from_this<MediaServerSession> {
 public:
  struct Configuration {
    std::string url;                   ///< the session's address: "http://host:port/s/SESSION", or https
    std::string accessToken;           ///< a JWT for this session
    std::string clientName = "amphi";  ///< name (and version) of the application, for the server's logs
    std::string caCertificateFile;     ///< PEM; empty: the system's certificate authorities
    /// True: the session is joined, and joined again after each loss, until a final cause ends it. False: `connect()` makes one attempt,
    /// and a loss that cannot be resumed within the server's window (30 s) ends the session with an error.
    bool reconnect = true;
  };

  /// The state of the session's remote recording, as a value of one moment.
  struct SessionRecordingState {
    bool on = false;             ///< the last state that the server confirmed; never what was merely asked for
    bool updatePending = false;  ///< a request was made here, and neither confirmed nor refused yet
    std::uint64_t revision = 0;  ///< grows with every change that the server makes
    std::string recordingId;     ///< of the running or the last recording; empty: none yet
    std::string changedBy;       ///< identity of whoever caused the last change; empty: the server itself
    std::error_code error;       ///< the newer: of the last request made here, or of the recording itself
    std::string errorMessage;    ///< the server's own words
    bool waitingForMedia = false;  ///< `on`, and nothing is being written: no feed yet, or all of them are silent
    std::int64_t preRollMs = 0;    ///< how much of its newest media the session keeps for a recording to begin with

    /// What threatens the running recording while there is still time to act, or costs it media at this moment.
    struct Warning {
      std::string code;     ///< "storage_slow", "storage_low", "media_dropped", "limit_exceeded", "feed_not_recorded", "media_lost",
                            ///< "sources_compete", "bad_timestamps", "picture_order"; later servers may add codes
      std::string message;  ///< the server's own words
      std::optional<std::int64_t> minutesLeft;
      std::string feedId;         ///< the feed that it is about; empty: none in particular
      std::string participantId;  ///< the participant that it is about; empty: none in particular
    };
    std::optional<Warning> warning;     ///< the first of `warnings`; empty: there is none
    std::vector<Warning> warnings;      ///< every current warning, the most urgent first
    std::uint64_t warningsNotListed = 0;  ///< further warnings that found no room in the server's message

    /// Whether one feed of the session is being recorded.
    struct Feed {
      std::string feedId;
      std::string participantId;
      std::string label;
      FeedKind kind = FeedKind::video;
      bool recorded = false;
      /// Why the feed is not recorded; empty: it is. "waiting_for_media" and "silent": nothing arrives. "muted": an administrator
      /// has muted it. "no_keyframe", "malformed",
      /// "missing_parameter_sets", "unsupported_packetization", "no_valid_frame", "limit_exceeded", "media_lost" (over half of it), and any name
      /// that a later server adds: media arrive and are lost.
      std::string reason;
      std::string message;       ///< the reason in words, with the label and the seconds so far: "endoscope: not recorded, no keyframe for 12 s"
      std::int64_t sinceMs = 0;  ///< when that began, in milliseconds on the recording's time line
    };
    std::vector<Feed> feeds;           ///< the feeds of the session while it is recorded; those that lose media come first
    std::uint64_t feedsNotListed = 0;  ///< further feeds that found no room in the server's message

    /// All finished recordings of the session plus the live part of the running one, now, in milliseconds. It grows by itself
    /// (CLOCK_MONOTONIC) for as long as the server was heard lately: query `sessionRecordingState()` for a fresh value.
    std::int64_t totalRunningDurationMs() const;

   private:
    friend class sdk::SessionCore;
    std::int64_t totalMs_ = 0;
    std::int64_t asOfNs_ = 0;        // on CLOCK_MONOTONIC
    std::int64_t growsUntilNs_ = 0;
  };

  /// A moment of a recording that somebody pointed out.
  struct RecordingMarker {
    std::string recordingId;
    std::int64_t atMs = 0;  ///< on the recording's own time line
    std::string label;
    std::string by;         ///< identity; empty: the server itself
  };

  struct Participant {
    std::string id;
    std::string identity;
  };

  using Session = std::shared_ptr<MediaServerSession>;
  using SessionHandler = std::function<void(const Session& session)>;
  using ErrorHandler = std::function<void(const Session& session, std::error_code error)>;
  using RecordingHandler = std::function<void(const Session& session, const SessionRecordingState& state)>;
  using MarkerHandler = std::function<void(const Session& session, const RecordingMarker& marker)>;
  using FeedHandler = std::function<void(const Session& session, const FeedInfo& feed)>;
  using ParticipantHandler = std::function<void(const Session& session, const Participant& participant)>;

  /// Never null. A configuration that cannot work is reported by `connect()`.
  static std::shared_ptr<MediaServerSession> create(Configuration configuration);
  /// Leaves the session if need be; no callback comes after this.
  ~MediaServerSession();
  MediaServerSession(const MediaServerSession&) = delete;
  MediaServerSession& operator=(const MediaServerSession&) = delete;

  // --- connection ----------------------------------------------------------------------------------------------------

  /// Starts to join. With `Configuration::reconnect` it goes on until `onConnected`, or `onDisconnected` for a final cause; failed attempts
  /// are told by `onReconnecting`. A session object connects once.
  /// @return `invalidArgument` (the URL or certificate file), `invalidState` (called before, or after `disconnect`).
  tl::expected<void, std::error_code> connect();
  /// Leaves gracefully. After a successful `connect()` there is exactly one `onDisconnected`, here with an empty error.
  void disconnect();
  /// Whether the server holds this participant: from `onConnected` on, and over a lost connection until the resume window has passed.
  bool isConnected() const;
  std::string participantId() const;  ///< one's own; empty before the first `onConnected`. Another one after a rejoin

  /// The first join, once.
  void onConnected(SessionHandler handler);
  /// The connection was lost, or an attempt failed, and the session goes on trying with back-off (up to 10 s). Called once for each loss, and
  /// again when the reason changes (for example `disconnected`, then `limitExceeded`: the session is full). Media goes on meanwhile for as
  /// long as the server holds the participant. Followed by `onConnected` (the first join), `onReconnected` or `onDisconnected`.
  void onReconnecting(ErrorHandler handler);
  /// The session is joined again. Within the resume window nothing has changed. Past it `participantId()` is a new one, outgoing feeds are
  /// published again, and incoming feeds continue: video when a feed with the same owner identity and label is there again (or the same
  /// label, where only one feed had it). The feeds of the others were told as removed, and are added again (before or after this event).
  void onReconnected(SessionHandler handler);
  /// The terminal event, exactly once after a successful `connect()`, for final causes: `disconnect()` and an end by the server (empty
  /// `error`: graceful), a refused token (`unauthorized`, `forbidden`), a removal by an administrator. Without `Configuration::reconnect` also
  /// a loss that could not be resumed.
  void onDisconnected(ErrorHandler handler);

  /// No media gets through to the server for 10 s, at the start or later (`error` is `mediaUnreachable`): a firewall or NAT may block its UDP
  /// port. Also told when a transport has failed for good or the server has closed it: the session is then joined anew. The SDK goes on
  /// trying; feeds carry the same error meanwhile. Told once until `onMediaReachable`.
  void onMediaUnreachable(ErrorHandler handler);
  /// Media gets through again after `onMediaUnreachable`.
  void onMediaReachable(SessionHandler handler);

  // --- session services ----------------------------------------------------------------------------------------------

  void onSessionServicesConnected(SessionHandler handler);
  /// Never fatal: the SDK reconnects for as long as the session lives. `error` is empty when graceful.
  void onSessionServicesDisconnected(ErrorHandler handler);
  bool areSessionServicesConnected() const;

  /// The only source of truth: at every confirmed change whoever caused it, once after each services (re)connect, and when a
  /// pending request resolves.
  void onRecordingStateChanged(RecordingHandler handler);
  /// Asks the server to start or to stop recording. The outcome arrives in `onRecordingStateChanged`.
  /// @return `disconnected` (services are not connected), `forbidden` (no `record` grant), `invalidState` (the session is closed),
  /// `unsupported` (this server does not record), `limitExceeded` (64 requests are unanswered).
  tl::expected<void, std::error_code> requestSessionRecording(bool on);
  SessionRecordingState sessionRecordingState() const;

  /// Marks the present moment on the running recording's time line, for everybody and for the manifest. A refusal that only the
  /// server can know arrives as the error in `onRecordingStateChanged`.
  /// @param label 1 to 200 characters, none of them a control character.
  /// @return `invalidArgument` (the label), `invalidState` (nothing is recorded, session closed), else as requestSessionRecording.
  tl::expected<void, std::error_code> addRecordingMarker(const std::string& label);
  /// Each marker once, in order, whoever added it; after a (re)connect also those of the running recording so far (the last 100).
  void onRecordingMarkerAdded(MarkerHandler handler);

  // --- others in the session -----------------------------------------------------------------------------------------

  void onParticipantJoined(ParticipantHandler handler);
  void onParticipantLeft(ParticipantHandler handler);
  /// Also called, after `onConnected`, for each feed that was there before.
  void onFeedAdded(FeedHandler handler);
  /// An administrator has muted the feed, or no longer: see FeedInfo::muted. Told of this participant's own feeds too.
  void onFeedChanged(FeedHandler handler);
  /// The feed has ended, or its owner is lost. A subscription to the feed is `stopped` in the first case, and waits in the second.
  void onFeedRemoved(FeedHandler handler);
  std::vector<Participant> participants() const;
  /// The feeds of all others.
  std::vector<FeedInfo> feeds() const;

  // --- feeds: may be added before connecting and at any time while connected. Never null; what goes wrong is the feed's state

  std::shared_ptr<OutgoingVideoFeed> addOutgoingVideoFeed(std::string label, OutgoingVideoComponents components);
  /// The one outgoing audio feed; a further call replaces it.
  std::shared_ptr<OutgoingAudioFeed> setOutgoingAudioFeed(std::string label, AudioInputComponent input,
                                                          AudioEncodingComponent encoding = {});
  /// Receives one video feed of another participant until its owner ends it. A lost source is waited for, without a limit, and the feed is
  /// `stalled` until then. After a rejoin of this session see `onReconnected`. An owner that is lost (`onFeedRemoved`, `onParticipantLeft`)
  /// and joins again is followed by its identity and the feed's label, also as another participant; the feed's id follows the source.
  /// A further subscription to the same feed ends the former one (`stopped`).
  std::shared_ptr<IncomingVideoFeed> subscribeVideoFeed(const std::string& feedId, VideoOutputComponent output);
  /// The mix of everybody else's audio; a further call replaces it.
  std::shared_ptr<IncomingAudioFeed> setIncomingAudioFeed(AudioOutputComponent output);

 private:
  explicit MediaServerSession(Configuration configuration);
  std::shared_ptr<sdk::SessionCore> core_;
};

}  // namespace amphi
