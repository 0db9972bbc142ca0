// Membership and negotiation of a session.
#include "sfu/session.h"

#include <algorithm>

#include "base/digest.h"
#include "peer/formats.h"
#include "sfu/session_impl.h"

namespace amphi::sfu {
namespace {

constexpr Duration kCodecChangeInterval = 1s;  // a sender that alternates must not keep everybody negotiating

const FeedDeclaration* declaration_of(const std::vector<FeedDeclaration>& declared, const std::string& mid) {
  const auto found = std::find_if(declared.begin(), declared.end(), [&](const auto& d) { return d.mid == mid; });
  return found == declared.end() ? nullptr : &*found;
}

std::optional<Error> declaration_error(const std::vector<FeedDeclaration>& declared, const peer::LineInfo& line) {
  const FeedDeclaration* declaration = declaration_of(declared, line.mid);
  if (!declaration) return Error{ErrorCode::invalid_argument, "no entry of `feeds` names this m-line"};
  if (declaration->kind != line.kind)
    return Error{ErrorCode::invalid_argument, "`feeds` says " + std::string(text(declaration->kind)) + ", the m-line is " + std::string(text(line.kind))};
  return std::nullopt;
}

/// What an offer refuses: lines that are not taken, and entries of `feeds` that name no m-line.
std::vector<RefusedFeed> refusals(const std::vector<peer::LineInfo>& lines, const std::vector<FeedDeclaration>& declared) {
  std::vector<RefusedFeed> refused;
  for (const auto& line : lines)
    if (line.refused) refused.push_back({line.mid, *line.refused});
  for (const auto& declaration : declared) {
    const bool known = std::any_of(lines.begin(), lines.end(), [&](const auto& line) { return line.mid == declaration.mid; });
    if (!known) refused.push_back({declaration.mid, {ErrorCode::not_found, "the offer has no m-line with this mid"}});
  }
  return refused;
}

/// The codec that a feed goes on with after another offer; nullptr: the line has it no more.
const peer::LineCodec* codec_that_goes_on(const peer::LineInfo& line, const Feed& feed) {
  const peer::LineCodec* same_name = nullptr;
  for (const auto& codec : line.codecs) {
    if (codec.codec.name != feed.info.codec.name) continue;
    if (codec.payload_type == feed.payload_type) return &codec;
    if (!same_name) same_name = &codec;
  }
  return same_name;
}

/// The same feed has the same id whenever it is published: after it was stopped for a while, in another codec, and at a server that was
/// started anew (which knows the participant's id, and nothing else). Globally unique, as the participant's is.
FeedId feed_id(const ParticipantId& owner, const std::string& mid, const std::string& label) {
  const auto digest = sha256(as_bytes(owner.value + "\n" + mid + "\n" + label));
  return FeedId("fd_" + to_hex(digest).substr(0, 24));
}

}  // namespace

Session::Session(SessionConfig config, Random& random) : impl_(std::make_unique<Impl>(std::move(config), random)) {}
Session::~Session() = default;

const SessionId& Session::id() const { return impl_->config.id; }

Participant* Session::Impl::find(const ParticipantId& id) {
  for (auto& participant : participants)
    if (participant->id == id) return participant.get();
  return nullptr;
}

Feed* Session::Impl::find_feed(const FeedId& id) {
  for (auto& participant : participants)
    for (auto& feed : participant->feeds)
      if (feed && feed->info.id == id) return feed.get();
  return nullptr;
}

std::unique_ptr<peer::Peer> Session::Impl::make_peer(Participant& participant, Which which) {
  peer::Config peer_config;
  peer_config.end = peer::End::server;
  peer_config.local = config.local;
  peer_config.candidates = config.candidates;
  peer_config.certificate = config.certificate;
  peer_config.cname = participant.id.value;
  auto peer = std::make_unique<peer::Peer>(std::move(peer_config), random);
  owners[peer.get()] = {&participant, which};
  return peer;
}

Result<void> Session::add_participant(const ParticipantId& id, const std::string& identity, bool may_publish,
                                      bool may_subscribe, Time now) {
  if (impl_->find(id)) return fail(ErrorCode::invalid_argument, "this participant is in the session already");
  if (impl_->participants.size() >= impl_->config.limits.participants)
    return fail(ErrorCode::limit_exceeded,
                "the session is full: " + std::to_string(impl_->config.limits.participants) + " participants");
  auto added = std::make_unique<Participant>(impl_->config.limits.participant_bits_per_second);
  Participant& participant = *added;
  participant.id = id;
  participant.identity = identity;
  impl_->participants.push_back(std::move(added));
  if (may_publish) participant.publishing = impl_->make_peer(participant, Which::publishing);
  if (may_subscribe) {
    participant.subscribing = impl_->make_peer(participant, Which::subscribing);
    for (auto& other : impl_->participants)
      for (auto& feed : other->feeds)
        if (feed && other.get() != &participant) impl_->subscribe(participant, *feed);
    impl_->offer_if_needed(participant, now);
  }
  return {};
}

void Session::remove_participant(const ParticipantId& id, Time now) {
  Participant* participant = impl_->find(id);
  if (!participant) return;
  for (std::size_t line = 0; line < participant->feeds.size(); ++line)
    if (participant->feeds[line]) impl_->remove_feed(*participant, line, now);
  for (auto& subscribed : participant->subscribed)
    if (subscribed.feed)
      std::erase_if(subscribed.feed->subscriptions, [&](const Subscription& s) { return s.participant == participant; });
  impl_->release(std::move(participant->publishing), now);
  impl_->release(std::move(participant->subscribing), now);
  std::erase_if(impl_->participants, [&](const auto& p) { return p.get() == participant; });
}

void Session::Impl::release(std::unique_ptr<peer::Peer> peer, Time now) {
  if (!peer) return;
  peer->close(now);
  owners.erase(peer.get());
  drops_of_gone += peer->drops();
  ice_drops_of_gone += peer->ice_drops();
  closing.push_back(std::move(peer));
}

Result<PublishAnswer> Session::publish_offer(const ParticipantId& id, std::string_view sdp,
                                             const std::vector<FeedDeclaration>& declared, Time now) {
  Participant* participant = impl_->find(id);
  if (!participant) return fail(ErrorCode::not_found, "no such participant in the session");
  if (!participant->publishing) return fail(ErrorCode::forbidden, "the token has no `publish` grant");
  const std::size_t most = impl_->config.limits.feeds_per_participant;
  peer::OfferTerms terms;
  terms.most_active = most;
  terms.refuse = [&](const peer::LineInfo& line) { return declaration_error(declared, line); };
  auto answer = participant->publishing->accept_offer(sdp, now, terms);
  if (!answer) return tl::unexpected(answer.error());

  PublishAnswer result{std::move(*answer), {}, {}};
  const auto lines = participant->publishing->lines();
  participant->feeds.resize(lines.size());
  for (const auto& line : lines) {
    auto& feed = participant->feeds[line.line];
    if (feed) {
      const peer::LineCodec* goes_on = line.active ? codec_that_goes_on(line, *feed) : nullptr;
      if (goes_on) feed->payload_type = goes_on->payload_type;
      else impl_->remove_feed(*participant, line.line, now);
    }
    if (line.active && !feed) impl_->add_feed(*participant, line, line.codecs.front(), declaration_of(declared, line.mid)->label, now);
    if (feed) result.feeds.push_back({line.mid, feed->info.id});
  }
  result.refused = refusals(lines, declared);
  for (auto& other : impl_->participants) impl_->offer_if_needed(*other, now);
  return result;
}

Feed* Session::Impl::change_codec(Participant& owner, const peer::ReceivedRtp& packet, Time now) {
  const Feed& feed = *owner.feeds[packet.line];
  // A retransmission or padding says nothing about the codec that the sender uses from now on.
  const bool may_change = !packet.recovered && !packet.payload.empty() &&
                          (!feed.codec_changed || now - *feed.codec_changed >= kCodecChangeInterval);
  if (!may_change) {
    drops_of_gone.add(peer::Drop::codec_change);
    ++owner.codec_changes;
    return nullptr;
  }
  const peer::LineInfo line = owner.publishing->lines()[packet.line];
  const auto codec = std::find_if(line.codecs.begin(), line.codecs.end(), [&](const auto& c) { return c.payload_type == packet.header.payload_type; });
  if (codec == line.codecs.end()) return nullptr;  // the peer gives only what was negotiated
  const std::string label = feed.info.label;
  remove_feed(owner, packet.line, now, true);
  add_feed(owner, line, *codec, label, now);
  for (auto& other : participants) offer_if_needed(*other, now);
  Feed& changed = *owner.feeds[packet.line];
  changed.codec_changed = now;
  return &changed;
}

void Session::Impl::add_feed(Participant& owner, const peer::LineInfo& line, const peer::LineCodec& codec, const std::string& label, Time now) {
  auto feed = std::make_unique<Feed>();
  feed->info = {feed_id(owner.id, line.mid, label), owner.id, owner.identity, label, codec.codec};
  if (codec.codec.name == rtp::CodecName::h264) {
    const auto sets = rtp::parse_sprop(codec.codec.fmtp);
    if (sets.refused) ++stats.parameter_sets_ignored;
    if (!sets.empty()) feed->inserter = std::make_unique<ParameterSetInserter>(sets);
    if (feed->inserter && !feed->inserter->is_needed()) feed->inserter.reset();
  }
  feed->owner = &owner;
  feed->line = line.line;
  feed->payload_type = codec.payload_type;
  feed->info.muted = muted.contains(Muted(feed->info));
  Feed& added = *feed;
  owner.feeds[line.line] = std::move(feed);
  events.push_back(FeedAdded{added.info});
  if (tap) tap->feed_added(added.info, now);
  for (auto& other : participants)
    if (other.get() != &owner) subscribe(*other, added);
}

void Session::Impl::remove_feed(Participant& owner, peer::Line line, Time now, bool may_return) {
  Feed& feed = *owner.feeds[line];
  for (const auto& subscription : feed.subscriptions) {
    Participant& subscriber = *subscription.participant;
    subscriber.subscribing->close_line(subscription.line);
    subscriber.subscribed[subscription.line].feed = nullptr;
    subscriber.offer_needed = true;
  }
  if (tap) tap->feed_removed(feed.info.id, now);
  events.push_back(FeedRemoved{feed.info.id, owner.id, may_return});
  const auto subscriptions = std::move(feed.subscriptions);
  owner.feeds[line].reset();
  for (const auto& subscription : subscriptions) offer_if_needed(*subscription.participant, now);
}

void Session::Impl::subscribe(Participant& subscriber, Feed& feed) {
  if (!subscriber.subscribing) return;
  const peer::Line line = subscriber.subscribing->add_line({"", feed.info.codec, feed.info.participant.value, feed.info.id.value});
  subscriber.subscribed.resize(std::max(subscriber.subscribed.size(), line + 1));
  subscriber.subscribed[line].feed = &feed;
  Subscription& subscription = feed.subscriptions.emplace_back();
  subscription.participant = &subscriber;
  subscription.line = line;
  subscription.started = feed.info.codec.kind() == rtp::Kind::audio;
  subscriber.offer_needed = true;
}

void Session::Impl::offer_if_needed(Participant& participant, Time now) {
  if (!participant.subscribing || !participant.offer_needed || participant.offer_outstanding) return;
  participant.offer_needed = false;
  participant.offer_outstanding = true;
  ++participant.offer_id;
  participant.offer_sdp = participant.subscribing->create_offer(now);
  emit_offer(participant);
}

void Session::Impl::drop_declined(Participant& subscriber) {
  for (const auto& line : subscriber.subscribing->lines()) {
    if (!line.declined || line.line >= subscriber.subscribed.size() || !subscriber.subscribed[line.line].feed) continue;
    Feed& feed = *subscriber.subscribed[line.line].feed;
    std::erase_if(feed.subscriptions, [&](const Subscription& s) { return s.participant == &subscriber; });
    subscriber.subscribed[line.line].feed = nullptr;
    subscriber.subscribing->close_line(line.line);
    events.push_back(FeedUnsupported{subscriber.id, feed.info.id,
                                     {ErrorCode::unsupported, "this client's answer does not take " + peer::describe(feed.info.codec)}});
  }
}

void Session::Impl::emit_offer(Participant& participant) {
  SubscribeOffer offer{participant.id, participant.offer_id, participant.offer_sdp, {}};
  const auto lines = participant.subscribing->lines();
  for (std::size_t line = 0; line < participant.subscribed.size(); ++line)
    if (const Feed* feed = participant.subscribed[line].feed) offer.feeds.push_back({lines[line].mid, feed->info.id});
  events.push_back(std::move(offer));
}

Result<void> Session::subscribe_answer(const ParticipantId& id, std::uint64_t offer_id, std::string_view sdp, Time now) {
  Participant* participant = impl_->find(id);
  if (!participant) return fail(ErrorCode::not_found, "no such participant in the session");
  if (!participant->subscribing) return fail(ErrorCode::forbidden, "the token has no `subscribe` grant");
  if (!participant->offer_outstanding || offer_id != participant->offer_id)
    return fail(ErrorCode::invalid_state, "this is no answer to the outstanding subscribeOffer " + std::to_string(participant->offer_id));
  const auto taken = participant->subscribing->accept_answer(sdp, now);
  participant->offer_outstanding = false;
  participant->offer_sdp.clear();
  if (!taken) {  // what it was about would never come, nor anything after it
    participant->offer_needed = participant->offer_needed || !participant->offered_again;
    participant->offered_again = true;
    impl_->offer_if_needed(*participant, now);
    return taken;
  }
  participant->offered_again = false;
  impl_->drop_declined(*participant);
  impl_->on_subscriber_connected(*participant, now);
  impl_->offer_if_needed(*participant, now);
  return {};
}

Result<void> Session::restart_subscribe(const ParticipantId& id, bool ice_restart, Time now) {
  Participant* participant = impl_->find(id);
  if (!participant) return fail(ErrorCode::not_found, "no such participant in the session");
  if (!participant->subscribing) return fail(ErrorCode::forbidden, "the token has no `subscribe` grant");
  if (ice_restart) {
    participant->subscribing->restart_ice(now);
    participant->offer_needed = !participant->subscribed.empty();
    participant->offer_outstanding = false;  // an answer under way names credentials of the past
    impl_->offer_if_needed(*participant, now);
  } else if (participant->offer_outstanding) {
    impl_->emit_offer(*participant);
  }
  return {};
}

std::vector<FeedInfo> Session::feeds() const {
  std::vector<FeedInfo> infos;
  for (const auto& participant : impl_->participants)
    for (const auto& feed : participant->feeds)
      if (feed) infos.push_back(feed->info);
  return infos;
}

void Session::set_tap(Tap* tap, Time now) {
  impl_->tap = tap;
  if (!tap) return;
  for (const auto& participant : impl_->participants)
    for (const auto& feed : participant->feeds) {
      if (!feed) continue;
      tap->feed_added(feed->info, now);
      // Its next report may be seconds away, and until then nobody knew what lies beside what.
      if (!feed->reported_at || now - *feed->reported_at > rtp::kReportLasts) continue;
      const auto reported = rtp::advanced(feed->reported, now - *feed->reported_at, feed->info.codec.clock_rate);
      tap->sender_report(feed->info.id, reported.ntp, reported.rtp, now);
    }
}

Result<FeedInfo> Session::mute_feed(const FeedId& id, bool muted, Time now) {
  Feed* feed = impl_->find_feed(id);
  if (!feed) return fail(ErrorCode::not_found, "There is no such feed.");
  if (feed->info.muted == muted) return feed->info;
  feed->info.muted = muted;
  if (muted) impl_->muted.insert(Muted(feed->info));
  else impl_->muted.erase(Muted(feed->info));
  const bool video = feed->info.codec.kind() == rtp::Kind::video;
  for (auto& subscription : feed->subscriptions) subscription.pause(video);
  if (impl_->tap) {
    impl_->tap->feed_removed(id, now);
    impl_->tap->feed_added(feed->info, now);
  }
  if (!muted && video) request_keyframe(id, now);
  impl_->events.push_back(FeedMuted{feed->info});
  return feed->info;
}

peer::Peer* Session::peer_by_ufrag(std::string_view ufrag) {
  for (const auto& [peer, owner] : impl_->owners)
    if (peer->local_credentials().ufrag == ufrag) return peer;
  return nullptr;
}

std::optional<Event> Session::poll_event() {
  if (impl_->events.empty()) return std::nullopt;
  Event event = std::move(impl_->events.front());
  impl_->events.pop_front();
  return event;
}

Time Session::next_timeout() const noexcept {
  Time next = impl_->closing.empty() ? impl_->keyframes_due : Time{};
  for (const auto& [peer, owner] : impl_->owners) next = std::min(next, peer->next_timeout());
  return next;
}

void Session::set_candidates(const std::vector<Address>& candidates) {
  impl_->config.candidates = candidates;
  for (const auto& [peer, owner] : impl_->owners) peer->set_candidates(candidates);
}

std::vector<std::unique_ptr<peer::Peer>> Session::take_removed_peers() { return std::exchange(impl_->removed, {}); }

SessionStats Session::stats() const {
  SessionStats stats = impl_->stats;
  stats.participants = impl_->participants.size();
  stats.feeds = feeds().size();
  return stats;
}

Counters<peer::Drop> Session::peer_drops() const {
  Counters<peer::Drop> sum = impl_->drops_of_gone;
  for (const auto& [peer, owner] : impl_->owners) sum += peer->drops();
  return sum;
}

Counters<ice::Drop> Session::ice_drops() const {
  Counters<ice::Drop> sum = impl_->ice_drops_of_gone;
  for (const auto& [peer, owner] : impl_->owners) sum += peer->ice_drops();
  return sum;
}

}  // namespace amphi::sfu
