// A session over an emulated network, in virtual time, for its tests: participants publish and subscribe through a real router, with real
// peers at both ends. Thread: the test's.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "sfu/router.h"
#include "testing/peer/peer_node.h"

namespace amphi::sfu {

using testing::CollectingBatch;
using testing::Network;
using testing::PeerNode;
using testing::World;

inline const Address kServer = Address::v4(10, 0, 0, 1, 443);
inline const SessionId kSession("ses_1");

/// The server: a router as a node, its session's events kept.
struct ServerNode : testing::Node {
  ServerNode() : random(77), router(random) {
    SessionConfig config;
    config.id = kSession;
    config.local = {kServer};
    config.certificate = testing::shared_certificate();
    config.limits = {.participants = 10, .feeds_per_participant = 4};
    session = router.create_session(std::move(config));
  }
  void handle_input(const Datagram& in, Time now) override { router.handle_input(in, batch, now); }
  void handle_timeout(Time now) override { router.handle_timeout(batch, now); }
  void drain(Network& network, Time now) override {
    router.drain(*session, batch, now);
    for (const auto& transmit : batch.take()) network.send(transmit, now);
    while (auto event = session->poll_event()) events.push_back(std::move(*event));
  }
  Time next_timeout() const override { return router.next_timeout(); }
  SeededRandom random;
  Router router;
  Session* session = nullptr;
  CollectingBatch batch;
  std::vector<Event> events;
};

struct ClientPair {
  ClientPair(ParticipantId id_in, std::uint8_t host, std::uint64_t seed)
      : id(std::move(id_in)), publishing(peer::End::client, Address::v4(10, 0, 1, host, 1000), seed),
        subscribing(peer::End::client, Address::v4(10, 0, 1, host, 2000), seed + 1) {}
  ParticipantId id;
  PeerNode publishing, subscribing;
  std::vector<FeedDeclaration> declared;
  std::size_t offers = 0;
  bool answers = true;
  std::function<std::string(const std::string&)> edit_offer, edit_answer, edit_received;  // as another stack would write or read them
};

/// Signalling without delay, media over the network.
struct Room {
  explicit Room(std::uint64_t seed = 1, testing::Conditions conditions = {.delay = 10ms}) : network(seed, conditions), world(network) {
    world.attach(kServer, server);
  }
  ClientPair& join(const std::string& name, bool publish = true, bool subscribe = true) {
    auto& client = *clients.emplace_back(std::make_unique<ClientPair>(ParticipantId(name), std::uint8_t(clients.size() + 2), clients.size() * 10 + 100));
    world.attach(client.publishing.address, client.publishing);
    world.attach(client.subscribing.address, client.subscribing);
    EXPECT_TRUE(server.session->add_participant(client.id, name, publish, subscribe, world.now()));
    signal();
    return client;
  }
  void leave(ClientPair& client) {
    server.session->remove_participant(client.id, world.now());
    world.detach(client.publishing);
    world.detach(client.subscribing);
    signal();
  }
  peer::Line publish(ClientPair& client, const rtp::Codec& codec, const std::string& label) {
    const peer::Line line = client.publishing.peer.add_line({"", codec, client.id.value, label});
    client.declared.push_back({client.publishing.peer.lines()[line].mid, codec.kind(), label});
    offer(client);
    return line;
  }
  void withdraw(ClientPair& client, peer::Line line) {
    std::erase_if(client.declared, [&](const auto& feed) { return feed.mid == client.publishing.peer.lines()[line].mid; });
    client.publishing.peer.close_line(line);
    offer(client);
  }
  void offer(ClientPair& client) {
    std::string sdp = client.publishing.peer.create_offer(world.now());
    if (client.edit_offer) sdp = client.edit_offer(sdp);
    auto answer = server.session->publish_offer(client.id, sdp, client.declared, world.now());
    ASSERT_TRUE(answer) << answer.error().message;
    ASSERT_TRUE(client.publishing.peer.accept_answer(answer->sdp, world.now()));
    signal();
  }
  /// Answers all offers, as signalling would.
  void signal() {
    while (signal_once()) {
    }
  }
  /// Answers the offers that are there; true: some were, and more may follow.
  bool signal_once() {
    bool more = false;
    server.drain(network, world.now());
    for (; handled < server.events.size(); ++handled) {
      const auto* offer_event = std::get_if<SubscribeOffer>(&server.events[handled]);
      if (!offer_event) continue;
      for (auto& client : clients) {
        if (client->id != offer_event->participant || !client->answers) continue;
        ++client->offers;
        auto answer = client->subscribing.peer.accept_offer(client->edit_received ? client->edit_received(offer_event->sdp) : offer_event->sdp, world.now());
        EXPECT_TRUE(answer) << answer.error().message;
        if (!answer) return false;
        if (client->edit_answer) *answer = client->edit_answer(*answer);
        const auto taken = server.session->subscribe_answer(client->id, offer_event->offer_id, *answer, world.now());
        EXPECT_TRUE(taken) << taken.error().message;
        if (!taken) return false;
        more = true;
      }
    }
    for (auto& client : clients) {
      client->publishing.drain(network, world.now());
      client->subscribing.drain(network, world.now());
    }
    return more;
  }
  void run(Duration duration) {
    const Time end = world.now() + duration;
    while (world.now() < end) {
      world.run_for(std::min<Duration>(10ms, end - world.now()));
      signal();
    }
  }
  /// VP8 payload descriptor and header: a keyframe, or not (RFC 7741 4.2, 4.3).
  static Bytes vp8(bool keyframe, std::uint8_t tag) {
    Bytes payload{std::byte{0x10}, std::byte(keyframe ? 0x10 : 0x11), std::byte{0}, std::byte{0}};
    for (int b : {0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01}) payload.push_back(std::byte(b));
    payload.resize(500, std::byte(tag));
    return payload;
  }
  /// One packet each 20 ms; a keyframe first, and where it was asked for.
  void stream(ClientPair& client, peer::Line line, rtp::Seq first, int count) {
    std::size_t answered = client.publishing.count<peer::KeyframeRequested>();
    for (int i = 0; i < count; ++i) {
      const std::size_t asked = client.publishing.count<peer::KeyframeRequested>();
      client.publishing.send(line, first + i, static_cast<rtp::WireTimestamp>((first + i) * 1800), vp8(i == 0 || asked > answered, std::uint8_t(first + i)), world.now());
      answered = asked;
      client.publishing.drain(network, world.now());
      run(20ms);
    }
  }
  Network network;
  World world;
  ServerNode server;
  std::vector<std::unique_ptr<ClientPair>> clients;
  std::size_t handled = 0;
};

template <class T>
std::size_t count(const std::vector<Event>& events) {
  std::size_t n = 0;
  for (const auto& event : events) n += std::holds_alternative<T>(event);
  return n;
}

}  // namespace amphi::sfu
