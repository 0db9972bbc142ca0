// The inside of a Session, shared by session.cpp (membership, negotiation) and forwarding.cpp (packets).
#pragma once

#include <array>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/token_bucket.h"
#include "rtp/history.h"
#include "rtp/reported_instant.h"
#include "sfu/parameter_sets.h"
#include "sfu/session.h"

namespace amphi::sfu {

struct Participant;

// A keyframe costs its publisher's bits, at the expense of the picture of all other subscribers.
constexpr double kKeyframesPerSecond = 0.5, kKeyframeBurst = 5;

/// One feed at one subscriber.
struct Subscription {
  Participant* participant = nullptr;
  peer::Line line = 0;
  bool started = false;   // video starts at a keyframe: nothing before it could be decoded
  rtp::Seq offset = 0;    // its own numbers minus the feed's: see renumbered()
  std::optional<rtp::Seq> last;  // the newest of its own numbers
  TokenBucket keyframes{kKeyframesPerSecond, kKeyframeBurst};
  bool keyframe_waits = false;  // asked for more often than that: the request follows when it may
  rtp::Seq since = std::numeric_limits<rtp::Seq>::min();  // from here on `offset` holds: older numbers stood for other packets

  /// After a pause that the server made: the numbers close up, and a picture waits for its keyframe.
  void pause(bool video) {
    paused = true;
    if (video) started = false;
  }
  bool paused = false;

  /// The number under which this subscriber gets a packet. After a long absence the numbers close up: SRTP's index (RFC 3711
  /// 3.3.1) does not survive a step of 2^15.
  rtp::Seq renumbered(rtp::Seq seq, bool video) {
    constexpr rtp::Seq kAway = 3000;
    if (last && (paused || seq + offset > *last + kAway)) {
      const rtp::Seq next = *last + (paused ? 1 : 2);  // 2: one is missing, and the gap shows
      offset = next - seq;
      since = next;
      if (video) started = false;
    }
    paused = false;
    return seq + offset;
  }

  /// The source of a video changed: no frame builds upon one before, and the numbers of packets that are left out close up.
  void wait_for_keyframe() {
    closes_up = closes_up || started;
    started = false;
  }
  /// The number under which it gets the packet that it starts with.
  rtp::Seq closed_up(rtp::Seq seq) {
    if (closes_up && last) {
      offset = *last + 1 - seq;
      since = *last + 1;
    }
    closes_up = false;
    return seq + offset;
  }
  bool closes_up = false;
};

struct Feed {
  FeedInfo info;
  Participant* owner = nullptr;
  peer::Line line = 0;                    // in the owner's publishing peer
  std::uint8_t payload_type = 0;          // of info.codec: another one on the line is another codec
  std::optional<Time> codec_changed;
  rtp::PacketHistory history;             // by the numbers that go to subscribers, before each one's own offset
  std::unique_ptr<ParameterSetInserter> inserter;  // nullptr: the packets hold all that a decoder needs
  std::vector<Subscription> subscriptions;
  std::uint32_t generation = 0;           // of its packets' source
  rtp::ReportedInstant reported;          // the newest report, and when it came
  std::optional<Time> reported_at;
};

struct SubscribedLine {
  Feed* feed = nullptr;                   // nullptr: the feed is gone
};

constexpr double kIngressBurst = 0.25;  // seconds of the rate, at once
constexpr std::size_t kLimits = 7;      // limits.cpp
using LimitCounts = std::array<std::uint64_t, kLimits>;

struct Participant {
  explicit Participant(double bits_per_second) : ingress(bits_per_second / 8, bits_per_second / 8 * kIngressBurst) {}
  ParticipantId id;
  std::string identity;
  TokenBucket ingress;                      // bytes that it may send us
  std::uint64_t over_ingress = 0, codec_changes = 0, keyframes_throttled = 0;  // how often it reached each of these limits
  LimitCounts limits_told{};
  std::unique_ptr<peer::Peer> publishing;   // nullptr: may not
  std::unique_ptr<peer::Peer> subscribing;
  std::vector<std::unique_ptr<Feed>> feeds;      // by publishing line; nullptr where a line is no feed
  std::vector<SubscribedLine> subscribed;        // by subscribing line
  std::uint64_t offer_id = 0;
  bool offer_outstanding = false;
  bool offer_needed = false;
  bool offered_again = false;               // after an answer that could not be taken; until one can
  std::string offer_sdp;
};

/// What the administrator mutes: feeds of an identity, also feeds that are not published now.
struct Muted {
  std::string identity;
  rtp::Kind kind;
  std::string label;
  explicit Muted(const FeedInfo& feed) : identity(feed.participant_identity), kind(feed.codec.kind()), label(feed.label) {}
  auto operator<=>(const Muted&) const = default;
};

struct PeerOwner {
  Participant* participant = nullptr;
  Which which = Which::publishing;
};

struct Session::Impl {
  Impl(SessionConfig config_in, Random& random_in) : config(std::move(config_in)), random(random_in) {}

  Participant* find(const ParticipantId& id);
  Feed* find_feed(const FeedId& id);
  std::unique_ptr<peer::Peer> make_peer(Participant& participant, Which which);
  void add_feed(Participant& owner, const peer::LineInfo& line, const peer::LineCodec& codec, const std::string& label, Time now);
  void remove_feed(Participant& owner, peer::Line line, Time now, bool may_return = false);
  void subscribe(Participant& subscriber, Feed& feed);
  void drop_declined(Participant& subscriber);
  void offer_if_needed(Participant& participant, Time now);
  void emit_offer(Participant& participant);
  void release(std::unique_ptr<peer::Peer> peer, Time now);

  // forwarding.cpp
  void receive(PeerOwner owner, const peer::ReceivedRtp& packet, SendBatch& batch, Time now);
  /// The feed of a packet; nullptr: none, or the packet is dropped.
  Feed* feed_of(Participant& owner, const peer::ReceivedRtp& packet, Time now);
  Feed* change_codec(Participant& owner, const peer::ReceivedRtp& packet, Time now);
  void spread(Feed& feed, const peer::ReceivedRtp& packet, SendBatch& batch, Time now);
  void forward(Feed& feed, const peer::ReceivedRtp& packet, SendBatch& batch, Time now);
  void drain(peer::Peer& peer, PeerOwner owner, SendBatch& batch, Time now);
  void drain_all(SendBatch& batch, Time now);
  void on_event(PeerOwner owner, peer::Peer& peer, const peer::Event& event, SendBatch& batch, Time now);
  void on_subscriber_connected(Participant& participant, Time now);
  void resend(Participant& participant, peer::Peer& peer, const peer::PacketsRequested& requested, SendBatch& batch, Time now);
  void want_keyframe(Feed& feed, Subscription& subscription, Time now);
  void request_waiting_keyframes(Time now);
  void tell_limits(Time now);
  void forward_report(Participant& participant, const peer::SenderReported& report, Time now);

  SessionConfig config;
  Random& random;
  std::vector<std::unique_ptr<Participant>> participants;
  std::unordered_map<peer::Peer*, PeerOwner> owners;
  std::vector<std::unique_ptr<peer::Peer>> closing, removed;
  std::set<Muted> muted;
  Tap* tap = nullptr;
  std::deque<Event> events;
  SessionStats stats;
  Counters<peer::Drop> drops_of_gone;
  Counters<ice::Drop> ice_drops_of_gone;
  Time limits_due{};
  Time keyframes_due = Time::max();  // when the first waiting request may go on
  bool outputs_pending = false;   // an event of one peer gave work to another
};

}  // namespace amphi::sfu
