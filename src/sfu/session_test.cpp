// A session over an emulated network, in virtual time: participants publish and subscribe through a real router, with real
// peers at both ends.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "sfu/router.h"
#include "testing/peer/peer_node.h"

namespace amphi::sfu {
namespace {

using testing::CollectingBatch;
using testing::Network;
using testing::PeerNode;
using testing::World;

const Address kServer = Address::v4(10, 0, 0, 1, 443);
const SessionId kSession("ses_1");

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
    auto answer = server.session->publish_offer(client.id, client.publishing.peer.create_offer(world.now()), client.declared, world.now());
    ASSERT_TRUE(answer) << answer.error().message;
    ASSERT_TRUE(client.publishing.peer.accept_answer(answer->sdp, world.now()));
    signal();
  }
  /// Answers all offers, as signalling would.
  void signal() {
    for (bool more = true; more;) {
      more = false;
      server.drain(network, world.now());
      for (; handled < server.events.size(); ++handled) {
        const auto* offer_event = std::get_if<SubscribeOffer>(&server.events[handled]);
        if (!offer_event) continue;
        for (auto& client : clients) {
          if (client->id != offer_event->participant || !client->answers) continue;
          ++client->offers;
          auto answer = client->subscribing.peer.accept_offer(offer_event->sdp, world.now());
          ASSERT_TRUE(answer) << answer.error().message;
          ASSERT_TRUE(server.session->subscribe_answer(client->id, offer_event->offer_id, *answer, world.now()));
          more = true;
        }
      }
      for (auto& client : clients) {
        client->publishing.drain(network, world.now());
        client->subscribing.drain(network, world.now());
      }
    }
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

TEST(Session, everybody_gets_everybody_elses_feeds_and_nobody_their_own) {
  Room room;
  auto& a = room.join("a");
  auto& b = room.join("b");
  auto& c = room.join("c", false);
  const auto line = room.publish(a, testing::vp8_codec(), "camera");
  room.publish(b, testing::opus_codec(), "voice");
  room.run(1s);
  room.stream(a, line, 1, 50);
  room.run(500ms);
  EXPECT_EQ(count<FeedAdded>(room.server.events), 2u);
  EXPECT_EQ(b.subscribing.received.size(), 50u);
  EXPECT_EQ(c.subscribing.received.size(), 50u);
  EXPECT_TRUE(a.subscribing.received.empty());
  EXPECT_EQ(a.subscribing.peer.lines().size(), 1u) << "b's voice";
  EXPECT_EQ(c.subscribing.peer.lines().size(), 2u);
}

TEST(Session, a_late_subscriber_starts_with_a_keyframe_that_was_asked_for) {
  Room room;
  auto& a = room.join("a");
  const auto line = room.publish(a, testing::vp8_codec(), "camera");
  room.run(500ms);
  room.stream(a, line, 1, 20);
  auto& late = room.join("late", false);
  room.stream(a, line, 21, 100);
  room.run(200ms);
  ASSERT_FALSE(late.subscribing.received.empty());
  EXPECT_EQ(late.subscribing.received.front().payload[1], std::byte{0x10}) << "a keyframe";
  EXPECT_GT(late.subscribing.received.size(), 60u);
}

TEST(Session, what_a_subscriber_lost_comes_from_the_history) {
  Room room(5);
  auto& a = room.join("a");
  auto& b = room.join("b", false);
  const auto line = room.publish(a, testing::vp8_codec(), "camera");
  room.run(1s);
  room.network.set_conditions(kServer, b.subscribing.address, {.delay = 10ms, .loss = 0.2});
  room.stream(a, line, 1, 300);
  room.run(1s);
  std::set<rtp::Seq> distinct;
  for (const auto& packet : b.subscribing.received) distinct.insert(packet.seq);
  EXPECT_GE(distinct.size(), 298u);
  EXPECT_GT(room.server.session->stats().retransmitted, 30u);
  EXPECT_EQ(a.publishing.peer.line_stats(line).nacked, 0u) << "the publisher's link is clean and is left alone";
}

TEST(Session, a_subscriber_that_was_away_for_forty_thousand_packets_gets_pictures_again) {
  Room room;
  auto& a = room.join("a");
  auto& b = room.join("b", false);
  const auto line = room.publish(a, testing::vp8_codec(), "camera");
  room.run(1s);
  room.stream(a, line, 1, 50);
  room.network.partition(b.subscribing.address, true);
  room.stream(a, line, 51, 20);  // sent into the void while consent lasts: b will ask for these numbers
  room.run(40s);
  constexpr std::uint8_t kWhileAway = 0xee;
  for (rtp::Seq seq = 71; seq <= 40'050; ++seq) {
    a.publishing.send(line, seq, static_cast<rtp::WireTimestamp>(seq * 1800), Room::vp8(false, kWhileAway), room.world.now());
    a.publishing.drain(room.network, room.world.now());
    if (seq % 100 == 0) room.run(20ms);
  }
  room.network.partition(b.subscribing.address, false);
  ASSERT_TRUE(room.server.session->restart_subscribe(b.id, true, room.world.now()));
  room.run(5s);
  const std::size_t before = b.subscribing.received.size();
  room.stream(a, line, 40'051, 60);
  room.run(1s);
  EXPECT_GE(b.subscribing.received.size(), before + 55);
  const auto& first = b.subscribing.received[before];
  EXPECT_EQ(first.payload[1], std::byte{0x10}) << "it goes on with a keyframe";
  EXPECT_GT(room.server.session->stats().nack_misses, 0u);
  for (std::size_t i = before; i < b.subscribing.received.size(); ++i)
    EXPECT_NE(b.subscribing.received[i].payload.back(), std::byte{kWhileAway}) << "another packet's payload under an old number";
}

TEST(Session, feeds_of_one_who_leaves_are_gone_for_all) {
  Room room;
  auto& a = room.join("a");
  auto& b = room.join("b");
  room.publish(a, testing::vp8_codec(), "camera");
  room.publish(a, testing::opus_codec(), "voice");
  room.run(1s);
  room.leave(a);
  room.run(1s);
  EXPECT_EQ(count<FeedRemoved>(room.server.events), 2u);
  EXPECT_TRUE(room.server.session->feeds().empty());
  for (const auto& line : b.subscribing.peer.lines()) EXPECT_FALSE(line.active);
}

TEST(Session, a_feed_can_be_withdrawn_and_another_added) {
  Room room;
  auto& a = room.join("a");
  auto& b = room.join("b");
  const auto first = room.publish(a, testing::vp8_codec(), "one");
  room.run(1s);
  a.publishing.peer.close_line(first);
  const auto second = room.publish(a, testing::vp8_codec(), "two");
  room.run(1s);
  room.stream(a, second, 1, 20);
  room.run(200ms);
  ASSERT_EQ(room.server.session->feeds().size(), 1u);
  EXPECT_EQ(room.server.session->feeds()[0].label, "two");
  EXPECT_EQ(b.subscribing.received.size(), 20u);
}

TEST(Session, the_last_of_six_hundred_feeds_that_came_and_went_has_media_as_the_first) {
  Room room;
  auto& a = room.join("a");
  auto& b = room.join("b", false);
  const auto stays = room.publish(a, testing::vp8_codec(), "stays");
  room.run(1s);
  room.stream(a, stays, 1, 5);
  for (int i = 0; i < 600; ++i) {
    SCOPED_TRACE("feed " + std::to_string(i));
    const auto line = room.publish(a, testing::vp8_codec(), "comes and goes");
    const std::size_t before = b.subscribing.received.size();
    room.stream(a, line, 1 + i * 1000, 3);
    room.run(20ms);
    ASSERT_EQ(b.subscribing.received.size(), before + 3);
    room.withdraw(a, line);
  }
  EXPECT_LE(a.publishing.peer.lines().size(), 3u);
  EXPECT_LE(b.subscribing.peer.lines().size(), 3u);
  EXPECT_LT(a.publishing.peer.create_offer(room.world.now()).size(), 4000u);
  const std::size_t before = b.subscribing.received.size();
  room.stream(a, stays, 6, 20);
  room.run(200ms);
  EXPECT_EQ(b.subscribing.received.size(), before + 20) << "and the one that stayed has lost nothing";
}

TEST(Session, feeds_that_come_and_go_while_an_offer_is_unanswered_cost_it_nothing) {
  Room room;
  auto& a = room.join("a");
  auto& slow = room.join("slow", false);
  const auto first = room.publish(a, testing::vp8_codec(), "first");
  slow.answers = false;
  room.withdraw(a, room.publish(a, testing::vp8_codec(), "the one that is offered"));
  for (int i = 0; i < 100; ++i) room.withdraw(a, room.publish(a, testing::vp8_codec(), "not even offered"));
  const auto last = room.publish(a, testing::vp8_codec(), "last");
  slow.answers = true;
  ASSERT_TRUE(room.server.session->restart_subscribe(slow.id, false, room.world.now()));
  room.run(1s);
  EXPECT_LE(slow.subscribing.peer.lines().size(), 3u);
  room.stream(a, first, 1, 10);
  room.stream(a, last, 1, 10);
  room.run(200ms);
  EXPECT_EQ(slow.subscribing.received.size(), 20u);
}

TEST(Session, grants_and_limits_are_kept) {
  Room room;
  auto& a = room.join("a", false, true);
  a.publishing.peer.add_line({"", testing::vp8_codec(), "s", "t"});
  const std::string offer = a.publishing.peer.create_offer(room.world.now());
  EXPECT_EQ(room.server.session->publish_offer(a.id, offer, {}, room.world.now()).error().code, ErrorCode::forbidden);
  auto& b = room.join("b");
  const std::vector<FeedDeclaration> many(5, {"0", rtp::Kind::video, "x"});
  EXPECT_EQ(room.server.session->publish_offer(b.id, offer, many, room.world.now()).error().code, ErrorCode::limit_exceeded);
  EXPECT_EQ(room.server.session->publish_offer(ParticipantId("nobody"), offer, {}, room.world.now()).error().code, ErrorCode::not_found);
  EXPECT_FALSE(room.server.session->subscribe_answer(b.id, 7, offer, room.world.now()));
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(room.server.session->add_participant(ParticipantId("p" + std::to_string(i)), "p", true, true, room.world.now()));
  EXPECT_EQ(room.server.session->add_participant(ParticipantId("one too many"), "p", true, true, room.world.now()).error().code, ErrorCode::limit_exceeded);
  EXPECT_TRUE(room.server.session->feeds().empty()) << "refused offers leave no trace";
}

struct CountingTap : Tap {
  void feed_added(const FeedInfo& feed, Time) override { ++added[feed.id.value]; }
  void feed_removed(const FeedId& feed, Time) override { ++removed[feed.value]; }
  void packet(const FeedId& feed, const peer::ReceivedRtp&, Time) override { ++packets[feed.value]; }
  void sender_report(const FeedId&, rtp::NtpTime, rtp::WireTimestamp, Time) override { ++reports; }
  std::map<std::string, int> added, removed, packets;
  int reports = 0;
};

TEST(Session, the_tap_sees_every_feed_with_or_without_subscribers) {
  Room room;
  auto& a = room.join("a");
  const auto line = room.publish(a, testing::vp8_codec(), "camera");
  CountingTap tap;
  room.server.session->set_tap(&tap, room.world.now());
  room.run(500ms);
  room.stream(a, line, 1, 30);
  a.publishing.peer.send_sender_report(line, {1}, 1, room.world.now());
  a.publishing.drain(room.network, room.world.now());
  room.run(200ms);
  ASSERT_EQ(tap.added.size(), 1u);
  EXPECT_EQ(tap.packets.begin()->second, 30);
  EXPECT_EQ(tap.reports, 1);
  CountingTap later;
  room.server.session->set_tap(&later, room.world.now());
  EXPECT_EQ(later.reports, 1) << "who comes later hears the last report at once";
  room.server.session->set_tap(&tap, room.world.now());
  room.leave(a);
  EXPECT_EQ(tap.removed.size(), 1u);
  room.server.session->set_tap(nullptr, room.world.now());
}

TEST(Router, strangers_and_noise_are_counted_and_reach_nobody) {
  Room room;
  room.join("a");
  SeededRandom random(3);
  for (int i = 0; i < 5000; ++i) {
    Bytes noise(random.below(100) + 1);
    random.fill(noise);
    room.server.handle_input({Address::v4(203, 0, 113, 9, 99), kServer, noise}, room.world.now());
  }
  EXPECT_GT(room.server.router.drops()[RouterDrop::unknown_address], 100u);
  EXPECT_GT(room.server.router.drops()[RouterDrop::unknown_kind], 100u);
  EXPECT_EQ(room.server.session->stats().packets_in, 0u);
}

}  // namespace
}  // namespace amphi::sfu
