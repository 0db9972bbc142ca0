// Where a session's media go: only to addresses that have proven that they receive them. In virtual time.
#include "sfu/test_greedy_room.h"

namespace amphi::sfu {
namespace {

const Address kVictim = Address::v4(203, 0, 113, 66, 53);

/// An address that takes no part, and what it is sent.
struct Victim : testing::Node {
  void handle_input(const Datagram& in, Time) override { bytes += in.data.size(); }
  void handle_timeout(Time) override {}
  void drain(Network&, Time) override {}
  Time next_timeout() const override { return Time::max(); }
  std::size_t bytes = 0;
};

TEST(Path, media_never_move_to_an_address_that_does_not_answer) {
  for (const bool nominates : {true, false}) {
    SCOPED_TRACE(nominates ? "with USE-CANDIDATE" : "without");
    GreedyRoom room;
    Victim victim;
    room.world.attach(kVictim, victim);
    const std::size_t before = room.greedy.packets(room.ssrc());
    std::size_t spoofed = 0;
    for (int i = 0; i < 500; ++i) {  // 10 s
      if (i % 10 == 0) spoofed += room.greedy.send_request(kVictim, nominates);
      room.greedy.drain(room.network, room.world.now());
      room.stream(room.camera, room.line, 101 + i, 1);
    }
    room.run(1s);
    EXPECT_LE(victim.bytes, 3 * spoofed);
    EXPECT_GT(victim.bytes, 0u) << "the answers";
    EXPECT_EQ(room.greedy.packets(room.ssrc()) - before, 500u) << "the media stay where they were";
  }
}

TEST(Path, a_first_address_that_does_not_answer_gets_three_times_its_bytes_at_most) {
  GreedyRoom room;
  Victim victim;
  room.world.attach(kVictim, victim);
  RawNode late(Address::v4(10, 0, 9, 10, 4001), 77);
  const ParticipantId id("late");
  ASSERT_TRUE(room.server.session->add_participant(id, "late", false, true, room.world.now()));
  room.server.drain(room.network, room.world.now());
  for (const auto& event : room.server.events)
    if (const auto* offer = std::get_if<SubscribeOffer>(&event); offer && offer->participant == id) {
      ASSERT_TRUE(room.server.session->subscribe_answer(id, offer->offer_id, late.answer(offer->sdp, room.world.now(), false), room.world.now()));
    }
  room.world.attach(late.address, late);
  std::size_t spoofed = 0;
  dtls::Transport hello(dtls::Role::client, testing::shared_certificate());
  hello.set_remote_fingerprint(testing::shared_certificate()->fingerprint(), room.world.now());
  hello.start(room.world.now());
  const Bytes client_hello = std::get<Bytes>(*hello.poll_output());
  for (int i = 0; i < 200; ++i) {
    if (i % 20 == 0) {
      spoofed += late.send_request(kVictim, true) + client_hello.size();
      late.send_from(kVictim, client_hello);
    }
    late.drain(room.network, room.world.now());
    room.stream(room.camera, room.line, 101 + i, 1);
    EXPECT_LE(victim.bytes, 3 * spoofed);
  }
  EXPECT_GT(victim.bytes, spoofed / 2) << "the answers, and as much of a handshake as fits";
}

TEST(Path, a_participant_cannot_take_anothers_address) {
  GreedyRoom room;
  const std::size_t before = room.good.subscribing.received.size();
  for (int i = 0; i < 300; ++i) {
    room.greedy.send_request(room.good.subscribing.address, i % 2 == 0);
    room.greedy.send_request(room.camera.publishing.address, i % 2 == 0);
    room.greedy.drain(room.network, room.world.now());
    room.stream(room.camera, room.line, 101 + i, 1);
  }
  room.run(500ms);
  EXPECT_EQ(room.good.subscribing.received.size() - before, 300u);
  const std::size_t asked = room.camera.publishing.count<peer::KeyframeRequested>();
  room.good.subscribing.peer.request_keyframe(0, room.world.now());
  room.good.subscribing.drain(room.network, room.world.now());
  room.run(500ms);
  EXPECT_GT(room.camera.publishing.count<peer::KeyframeRequested>(), asked) << "its feedback is still its own";
}

TEST(Path, an_address_that_a_translator_gives_to_another_participant_is_that_ones) {
  Room room;
  auto& a = room.join("a", true, false);
  auto& b = room.join("b", false);
  auto& c = room.join("c", false);
  const Address first = Address::v4(203, 0, 113, 5, 1111), second = Address::v4(203, 0, 113, 5, 2222);
  room.network.translate(b.subscribing.address, first);
  const auto line = room.publish(a, testing::vp8_codec(), "camera");
  room.run(500ms);
  room.stream(a, line, 1, 50);
  ASSERT_EQ(b.subscribing.received.size(), 50u);
  room.network.translate(b.subscribing.address, second);
  room.network.translate(c.subscribing.address, first);
  room.stream(a, line, 51, 200);  // 4 s: a consent interval is 3 s at most
  const std::size_t b_then = b.subscribing.received.size(), c_then = c.subscribing.received.size();
  room.stream(a, line, 251, 100);
  room.run(500ms);
  EXPECT_GE(b.subscribing.received.size(), b_then + 100);
  EXPECT_GE(c.subscribing.received.size(), c_then + 100);
}

TEST(Path, a_proven_address_gets_the_media_and_feedback_from_the_old_one_ends_soon) {
  GreedyRoom room;
  const Address second = Address::v4(10, 0, 9, 9, 4444);
  room.world.attach(second, room.greedy);
  room.greedy.checks = false;
  room.greedy.send_request(second, true);
  room.greedy.drain(room.network, room.world.now());
  room.run(100ms);
  const std::size_t before = room.greedy.packets(room.ssrc());
  room.stream(room.camera, room.line, 101, 20);
  EXPECT_EQ(room.greedy.packets(room.ssrc()) - before, 20u);
  const auto again = [&] { return room.greedy.packets(room.rtx()); };
  room.send_rtcp(room.full_nack(1));
  room.run(100ms);
  EXPECT_GT(again(), 0u) << "a little of the old path still counts";
  const std::size_t then = again();
  room.stream(room.camera, room.line, 121, 150);
  room.greedy.send_request(second, true);
  room.greedy.drain(room.network, room.world.now());
  room.run(2100ms);
  room.send_rtcp(room.full_nack(1));
  room.run(100ms);
  EXPECT_EQ(again(), then);
}

}  // namespace
}  // namespace amphi::sfu
