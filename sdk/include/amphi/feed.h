// Feeds: what a participant shares and receives. A feed starts, stops and fails on its own, and never takes the session with it.
// All methods may be called from any thread and do not block.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <system_error>

namespace amphi {

namespace sdk {
class FeedCore;
}

enum class FeedKind { audio, video };

/// A feed that another participant shares.
struct FeedInfo {
  std::string id;                   ///< globally unique
  FeedKind kind = FeedKind::video;
  std::string label;                ///< its owner's words
  std::string participantId;
  std::string participantIdentity;  ///< what people see
  std::string codec;                ///< "VP8", "H264", "opus"
  bool muted = false;               ///< an administrator has muted it: the server neither forwards nor records it
};

enum class FeedState {
  starting,  ///< waiting for the session, the server, a path for its media, or the first frame
  running,   ///< begun: media has flowed. It may pause without a change of state (`FeedStatistics::stalled`): its path is lost, or the session is away
  stopped,   ///< ended without an error: stopped here, ended by its owner, the file's end, or the session's end. Final.
  failed,    ///< ended by `error()`. Final.
};

/// What a feed has done so far; refreshed twice a second while it runs. Of a mix: of all its speakers together, the loss weighted by packets.
struct FeedStatistics {
  bool stalled = false;                     ///< the feed runs and no media flows: its path is lost (5 s without a sign of life), the session
                                            ///< is being joined anew, or the source of an incoming video feed is lost (its owner is away)
  std::uint64_t bitrate = 0;                ///< bits per second of payload, over the last interval
  std::uint64_t packets = 0;                ///< sent or received
  std::int64_t packetsLost = 0;             ///< as the receiving end counts
  double fractionLost = 0;                  ///< 0 to 1, of the last report interval
  std::uint64_t packetsRetransmitted = 0;
  std::uint64_t keyframeRequests = 0;
  std::chrono::microseconds roundTrip{};    ///< to the server, which is the same for all feeds of one direction; zero: not measured yet
  std::uint64_t frames = 0;                 ///< pictures (audio: packets) sent, or decoded
  std::uint64_t freezes = 0;                ///< incoming video: pauses longer than max(3 x mean interval, mean + 150 ms)
  std::chrono::milliseconds freezeDuration{};
  int width = 0;                            ///< pixels, of the last picture
  int height = 0;
};

/// What all feeds have in common.
class Feed {
 public:
  using StateHandler = std::function<void(FeedState state, std::error_code error)>;

  explicit Feed(std::shared_ptr<sdk::FeedCore> core);
  virtual ~Feed();  ///< Letting go of the object does not stop the feed: the session owns it.
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  /// The server's id of the feed. Outgoing: empty until the server has accepted it. Incoming audio (a mix): always empty.
  std::string id() const;
  std::string label() const;
  FeedState state() const;
  /// Why the feed failed. In `starting` and `running`: `mediaUnreachable` while no media gets through to the server, else empty.
  std::error_code error() const;
  /// Why `error()` is set, in words: the server's own where the server refused the feed (the codecs that it takes, the limit that is reached),
  /// GStreamer's where an input, codec or output failed, else `error().message()`. Empty without an error.
  std::string errorMessage() const;
  FeedStatistics statistics() const;
  /// Called on the session's callback thread at each change of state from now on, and when `mediaUnreachable` begins or ends.
  void onStateChanged(StateHandler handler);
  /// Ends the feed; it becomes `stopped`. Further calls do nothing.
  void stop();

  const std::shared_ptr<sdk::FeedCore>& core() const { return core_; }

 private:
  std::shared_ptr<sdk::FeedCore> core_;
};

class OutgoingVideoFeed final : public Feed {
 public:
  using Feed::Feed;
};
class OutgoingAudioFeed final : public Feed {
 public:
  using Feed::Feed;
};
class IncomingVideoFeed final : public Feed {
 public:
  using Feed::Feed;
};
/// The mix of everybody else, never one's own voice.
class IncomingAudioFeed final : public Feed {
 public:
  using Feed::Feed;
};

}  // namespace amphi
