// Packets through a session: one decryption in, per subscriber one header and one encryption out, in one call stack.
#include <algorithm>
#include <utility>

#include "rtp/keyframe.h"
#include "sfu/session_impl.h"

namespace amphi::sfu {

void Session::handle_input(peer::Peer& peer, const Datagram& in, SendBatch& batch, Time now) {
  const auto found = impl_->owners.find(&peer);
  if (found == impl_->owners.end()) return;
  const PeerOwner owner = found->second;
  // STUN has a limit of its own, and is heard whatever else the participant sends.
  const bool stun = !in.data.empty() && in.data[0] < std::byte{4};  // RFC 7983 7
  if (!stun && !owner.participant->ingress.take(now, static_cast<double>(in.data.size()))) {
    ++owner.participant->over_ingress;
    return impl_->drops_of_gone.add(peer::Drop::ingress_over_budget);
  }
  // An RTP packet gives no outputs; what it makes due comes with the deadline.
  if (const auto packet = peer.handle_input(in, now)) return impl_->receive(owner, *packet, batch, now);
  while (const auto held = peer.take_held(now)) impl_->receive(owner, *held, batch, now);
  impl_->drain(peer, owner, batch, now);
  if (impl_->outputs_pending) impl_->drain_all(batch, now);
}

void Session::Impl::receive(PeerOwner owner, const peer::ReceivedRtp& packet, SendBatch& batch, Time now) {
  if (owner.which != Which::publishing) return;
  if (Feed* feed = feed_of(*owner.participant, packet, now)) forward(*feed, packet, batch, now);
}

Feed* Session::Impl::feed_of(Participant& owner, const peer::ReceivedRtp& packet, Time now) {
  if (packet.line >= owner.feeds.size()) return nullptr;
  Feed* feed = owner.feeds[packet.line].get();
  if (!feed || packet.header.payload_type == feed->payload_type) return feed;
  return change_codec(owner, packet, now);
}

void Session::Impl::forward(Feed& feed, const peer::ReceivedRtp& packet, SendBatch& batch, Time now) {
  if (feed.info.muted) {
    ++stats.muted;
    return;
  }
  if (packet.payload.empty()) {  // nothing for a subscriber, but whoever counts numbers must not take it for lost
    if (tap) tap->packet(feed.info.id, packet, now);
    return;
  }
  ++stats.packets_in;
  stats.bytes_in += packet.payload.size();
  if (!feed.inserter) {
    spread(feed, packet, batch, now);
  } else {
    peer::ReceivedRtp moved = packet;
    const auto place = feed.inserter->place(packet.seq, packet.header.timestamp, packet.payload);
    moved.seq = place.seq;
    if (place.insert_before) {
      peer::ReceivedRtp sets = moved;
      sets.seq = moved.seq - 1;
      sets.header.marker = false;
      sets.payload = feed.inserter->payload();
      spread(feed, sets, batch, now);
    }
    spread(feed, moved, batch, now);
  }
  if (tap) tap->packet(feed.info.id, packet, now);
}

/// One packet to every subscriber that can use it.
void Session::Impl::spread(Feed& feed, const peer::ReceivedRtp& packet, SendBatch& batch, Time now) {
  feed.history.insert(packet.seq, packet.header, packet.payload, now);
  const bool video = feed.info.codec.kind() == rtp::Kind::video;
  if (std::exchange(feed.generation, packet.generation) != packet.generation && video)
    for (Subscription& subscription : feed.subscriptions) subscription.wait_for_keyframe();
  bool keyframe_known = false, keyframe = false;
  for (Subscription& subscription : feed.subscriptions) {
    if (!subscription.participant->subscribing->connected() || !subscription.participant->subscribing->pair()) continue;
    rtp::Seq seq = subscription.renumbered(packet.seq, video);
    if (seq < subscription.since) continue;  // older than what its number now stands for
    if (!subscription.started) {
      if (!keyframe_known) keyframe = rtp::starts_keyframe(packet.codec, packet.payload);
      keyframe_known = true;
      if (!keyframe) continue;
      seq = subscription.closed_up(packet.seq);
    }
    if (!subscription.participant->subscribing->send_rtp(subscription.line, seq, packet.header, packet.payload, batch, now))
      continue;  // not negotiated yet: a video still waits for its keyframe
    subscription.started = true;
    subscription.last = std::max(subscription.last.value_or(seq), seq);
    ++stats.packets_out;
    stats.bytes_out += packet.payload.size();
  }
}

void Session::Impl::drain(peer::Peer& peer, PeerOwner owner, SendBatch& batch, Time now) {
  while (auto output = peer.poll_output()) {
    if (auto* transmit = std::get_if<Transmit>(&*output)) batch.send(*transmit);
    else on_event(owner, peer, std::get<peer::Event>(*output), batch, now);
  }
}

void Session::Impl::drain_all(SendBatch& batch, Time now) {
  do {
    outputs_pending = false;
    for (const auto& [peer, owner] : owners) drain(*peer, owner, batch, now);
  } while (outputs_pending);
}

void Session::Impl::on_subscriber_connected(Participant& participant, Time now) {
  if (!participant.subscribing->connected()) return;
  for (const auto& subscribed : participant.subscribed) {
    if (!subscribed.feed || subscribed.feed->info.codec.kind() != rtp::Kind::video) continue;
    for (auto& subscription : subscribed.feed->subscriptions)
      if (subscription.participant == &participant && !subscription.started) want_keyframe(*subscribed.feed, subscription, now);
  }
}

void Session::Impl::want_keyframe(Feed& feed, Subscription& subscription, Time now) {
  if (subscription.keyframes.take(now)) {
    subscription.keyframe_waits = false;
    feed.owner->publishing->request_keyframe(feed.line, now);
    outputs_pending = true;
    return;
  }
  keyframes_due = std::min(keyframes_due, subscription.keyframes.available_at());
  subscription.keyframe_waits = true;
  ++stats.keyframes_throttled;
  ++subscription.participant->keyframes_throttled;
}

void Session::Impl::request_waiting_keyframes(Time now) {
  keyframes_due = Time::max();
  for (const auto& participant : participants)
    for (const auto& feed : participant->feeds) {
      if (!feed) continue;
      for (Subscription& subscription : feed->subscriptions) {
        if (!subscription.keyframe_waits) continue;
        if (subscription.keyframes.available_at() <= now) want_keyframe(*feed, subscription, now);
        else keyframes_due = std::min(keyframes_due, subscription.keyframes.available_at());
      }
    }
}

void Session::Impl::resend(Participant& participant, peer::Peer& peer, const peer::PacketsRequested& requested, SendBatch& batch, Time now) {
  Feed* feed = requested.line < participant.subscribed.size() ? participant.subscribed[requested.line].feed : nullptr;
  if (!feed) return;
  const auto subscription = std::find_if(feed->subscriptions.begin(), feed->subscriptions.end(),
                                         [&](const Subscription& s) { return s.participant == &participant; });
  if (subscription == feed->subscriptions.end()) return;
  for (const rtp::Seq seq : requested.lost) {
    const auto entry = seq < subscription->since ? std::nullopt : feed->history.find(seq - subscription->offset);
    if (!entry) ++stats.nack_misses;
    else if (peer.retransmit(requested.line, seq, entry->header, entry->payload, batch, now)) ++stats.retransmitted;
  }
}

void Session::Impl::forward_report(Participant& participant, const peer::SenderReported& report, Time now) {
  Feed* feed = report.line < participant.feeds.size() ? participant.feeds[report.line].get() : nullptr;
  if (!feed) return;
  // A subscriber has no arrivals to check a contradiction by; the recorder has.
  for (const auto& subscription : feed->subscriptions)
    if (!report.contradicts) subscription.participant->subscribing->send_sender_report(subscription.line, report.ntp, report.rtp_timestamp, now);
  feed->reported = {report.ntp, report.rtp_timestamp};
  feed->reported_at = report.contradicts ? std::nullopt : std::optional(now);
  if (tap && !feed->info.muted) tap->sender_report(feed->info.id, report.ntp, report.rtp_timestamp, now);
  outputs_pending = true;
}

void Session::Impl::on_event(PeerOwner owner, peer::Peer& peer, const peer::Event& event, SendBatch& batch, Time now) {
  Participant& participant = *owner.participant;
  if (std::holds_alternative<peer::Connected>(event)) {
    if (owner.which == Which::subscribing) {
      on_subscriber_connected(participant, now);
    } else {  // whoever waited for this publisher's pictures asks now
      for (const auto& feed : participant.feeds)
        if (feed && feed->info.codec.kind() == rtp::Kind::video) peer.request_keyframe(feed->line, now);
      outputs_pending = true;
    }
    events.push_back(TransportConnected{participant.id, owner.which});
  } else if (std::holds_alternative<peer::Disconnected>(event)) {
    events.push_back(TransportDisconnected{participant.id, owner.which});
  } else if (const auto* failed = std::get_if<peer::Failed>(&event)) {
    events.push_back(TransportFailed{participant.id, owner.which, failed->error});
  } else if (const auto* keyframe = std::get_if<peer::KeyframeRequested>(&event)) {
    if (owner.which != Which::subscribing || keyframe->line >= participant.subscribed.size()) return;
    if (Feed* feed = participant.subscribed[keyframe->line].feed)
      for (auto& subscription : feed->subscriptions)
        if (subscription.participant == &participant) want_keyframe(*feed, subscription, now);
  } else if (const auto* requested = std::get_if<peer::PacketsRequested>(&event)) {
    if (owner.which == Which::subscribing) resend(participant, peer, *requested, batch, now);
  } else if (const auto* compete = std::get_if<peer::SourcesCompete>(&event)) {
    if (owner.which != Which::publishing || compete->line >= participant.feeds.size() || !participant.feeds[compete->line]) return;
    events.push_back(SourcesCompete{participant.feeds[compete->line]->info.id, participant.id, compete->selected, compete->refused});
  } else if (const auto* dropped = std::get_if<peer::PacketsDropped>(&event)) {
    if (owner.which != Which::publishing || dropped->line >= participant.feeds.size()) return;
    const Feed* feed = participant.feeds[dropped->line].get();
    if (tap && feed && !feed->info.muted) tap->packets_dropped(feed->info.id, dropped->not_selected, dropped->repeated, now);
  } else if (const auto* report = std::get_if<peer::SenderReported>(&event)) {
    if (owner.which == Which::publishing) forward_report(participant, *report, now);
  }
}

void Session::request_keyframe(const FeedId& id, Time now) {
  if (Feed* feed = impl_->find_feed(id); feed && feed->owner->publishing) feed->owner->publishing->request_keyframe(feed->line, now);
}

void Session::handle_timeout(SendBatch& batch, Time now) {
  for (const auto& [peer, owner] : impl_->owners)
    if (peer->next_timeout() <= now) {
      peer->handle_timeout(now);
      while (const auto held = peer->take_held(now)) impl_->receive(owner, *held, batch, now);
      impl_->drain(*peer, owner, batch, now);
    }
  if (impl_->limits_due <= now) impl_->tell_limits(now);
  if (impl_->keyframes_due <= now) impl_->request_waiting_keyframes(now);
  if (impl_->outputs_pending) impl_->drain_all(batch, now);
  for (auto& peer : impl_->closing) {
    while (auto output = peer->poll_output())
      if (auto* transmit = std::get_if<Transmit>(&*output)) batch.send(*transmit);
    impl_->removed.push_back(std::move(peer));
  }
  impl_->closing.clear();
}

}  // namespace amphi::sfu
