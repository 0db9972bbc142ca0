// A media session: participants, their feeds, and who gets which packet. Each participant has one publishing peer (they offer)
// and one subscribing peer (we offer, again when feeds come and go). Signalling comes in as calls and goes out as events;
// JSON and sockets are the server's. Thread: the media worker to which the session is pinned.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/counters.h"
#include "base/ids.h"
#include "base/net.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "peer/peer.h"
#include "sfu/tap.h"

namespace amphi::sfu {

struct Limits {
  std::size_t participants = 100;
  std::size_t feeds_per_participant = 16;
  double participant_bits_per_second = 100e6;  // of datagrams with media, RTCP or DTLS
};

struct SessionConfig {
  SessionId id;
  std::vector<Address> local;                              // the worker's sockets
  std::vector<Address> candidates;                         // as what clients are told of them; empty: as they are
  std::shared_ptr<const dtls::Certificate> certificate;
  Limits limits;
};

struct FeedDeclaration {       // what publishOffer says of an m-line
  std::string mid;
  rtp::Kind kind = rtp::Kind::video;
  std::string label;
};
struct PublishedFeed {
  std::string mid;
  FeedId id;
};
struct RefusedFeed {
  std::string mid;
  Error error;
};
struct PublishAnswer {
  std::string sdp;
  std::vector<PublishedFeed> feeds;
  std::vector<RefusedFeed> refused;   // each for itself: m-lines that are not taken, entries of `feeds` that name none
};

enum class Which { publishing, subscribing };

struct FeedAdded { FeedInfo feed; };
/// `may_return`: added again under this id (in another codec).
struct FeedRemoved { FeedId feed; ParticipantId participant; bool may_return = false; };
struct FeedMuted { FeedInfo feed; };   // or no longer
struct SubscribeOffer {
  ParticipantId participant;
  std::uint64_t offer_id = 0;
  std::string sdp;
  std::vector<PublishedFeed> feeds;   // active lines only
};
/// The subscriber's answer takes none of the feed's codecs: it does not get this feed.
struct FeedUnsupported { ParticipantId participant; FeedId feed; Error error; };
struct TransportConnected { ParticipantId participant; Which which; };
struct TransportDisconnected { ParticipantId participant; Which which; };
struct TransportFailed { ParticipantId participant; Which which; Error error; };
/// Several sources (ssrc) send on the feed's m-line at the same time. One is forwarded and recorded; told once for each selected source.
struct SourcesCompete { FeedId feed; ParticipantId participant; std::uint32_t selected, refused; };
/// A participant has reached a limit in the last second; `participant` empty: nobody in particular. `what`: in words, the same each time.
struct LimitReached { ParticipantId participant; std::string what; };
using Event = std::variant<FeedAdded, FeedRemoved, FeedMuted, SubscribeOffer, FeedUnsupported, TransportConnected, TransportDisconnected, TransportFailed,
                           SourcesCompete, LimitReached>;

struct SessionStats {
  std::size_t participants = 0, feeds = 0;
  std::uint64_t packets_in = 0, packets_out = 0, bytes_in = 0, bytes_out = 0, retransmitted = 0, nack_misses = 0, muted = 0;
  std::uint64_t parameter_sets_ignored = 0;  // offers whose `sprop-parameter-sets` cannot be used
  std::uint64_t keyframes_throttled = 0;  // keyframe requests of subscribers that ask too often; each follows later
};

class Session {
 public:
  Session(SessionConfig config, Random& random);
  ~Session();

  const SessionId& id() const;
  /// Errors: limit_exceeded, invalid_argument (already there).
  Result<void> add_participant(const ParticipantId& participant, const std::string& identity, bool may_publish,
                               bool may_subscribe, Time now);
  void remove_participant(const ParticipantId& participant, Time now);
  /// A failed offer changes nothing. An m-line that cannot be taken, is not declared or is past the limit is refused alone;
  /// feeds that are there already have their places. Errors: malformed, forbidden (no publish grant), not_found.
  Result<PublishAnswer> publish_offer(const ParticipantId& participant, std::string_view sdp,
                                      const std::vector<FeedDeclaration>& feeds, Time now);
  /// An answer may decline any of the feeds (FeedUnsupported). One that cannot be taken ends its offer: another is made at once, but if that one's answer fails too, only when something
  /// has changed. Errors: malformed, not_found, invalid_state (not the outstanding offer).
  Result<void> subscribe_answer(const ParticipantId& participant, std::uint64_t offer_id, std::string_view sdp, Time now);
  /// A changed network: the next SubscribeOffer restarts ICE. Also gives an outstanding, unanswered offer again (after a resume).
  Result<void> restart_subscribe(const ParticipantId& participant, bool ice_restart, Time now);

  /// A muted feed is forwarded to nobody and gives the tap no media. Each feed that its owner's identity publishes later under the same kind
  /// and label is muted too, until one of them is unmuted. Errors: not_found.
  Result<FeedInfo> mute_feed(const FeedId& feed, bool muted, Time now);
  /// Asks the feed's publisher (throttled). Unknown feed: ignored.
  void request_keyframe(const FeedId& feed, Time now);
  std::vector<FeedInfo> feeds() const;
  /// nullptr: none. On setting, the current feeds and what they last reported are told at once. `tap` outlives its use.
  void set_tap(Tap* tap, Time now);
  /// The candidates of all descriptions from now on (SessionConfig::candidates).
  void set_candidates(const std::vector<Address>& candidates);

  /// The peer whose local ufrag this is; for the router's demultiplexing.
  peer::Peer* peer_by_ufrag(std::string_view ufrag);
  /// A datagram for one of this session's peers (the router found it). Subscribers' packets go into `batch` at once.
  void handle_input(peer::Peer& peer, const Datagram& in, SendBatch& batch, Time now);
  void handle_timeout(SendBatch& batch, Time now);
  std::optional<Event> poll_event();
  Time next_timeout() const noexcept;
  SessionStats stats() const;
  /// Peers that are gone and whose last datagrams are sent: the router forgets their addresses, and lets them go.
  std::vector<std::unique_ptr<peer::Peer>> take_removed_peers();
  /// Adds up the drops of all peers, living and gone.
  Counters<peer::Drop> peer_drops() const;
  Counters<ice::Drop> ice_drops() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace amphi::sfu
