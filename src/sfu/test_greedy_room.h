// A session with a publisher of one camera, a well-behaved subscriber, and one that obeys no rule; for its tests. Thread: the test's.
#pragma once

#include "sfu/test_room.h"
#include "testing/peer/raw_node.h"

namespace amphi::sfu {

using testing::RawNode;

struct GreedyRoom : Room {
  explicit GreedyRoom(testing::Conditions conditions = {.delay = 10ms})
      : Room(1, conditions), camera(join("camera", true, false)), good(join("good", false)), greedy(Address::v4(10, 0, 9, 9, 4000), 99) {
    world.attach(greedy.address, greedy);
    EXPECT_TRUE(server.session->add_participant(id, "greedy", false, true, world.now()));
    line = publish(camera, testing::vp8_codec(), "camera");
    for (const auto& event : server.events)
      if (const auto* offer = std::get_if<SubscribeOffer>(&event); offer && offer->participant == id) {
        EXPECT_TRUE(server.session->subscribe_answer(id, offer->offer_id, greedy.answer(offer->sdp, world.now()), world.now()));
      }
    signal();
    run(500ms);
    EXPECT_TRUE(greedy.connected());
    stream(camera, line, 1, 100);
  }
  std::uint32_t ssrc() const { return greedy.lines.at(0).ssrc; }
  std::uint32_t rtx() const { return greedy.lines.at(0).rtx_ssrc; }
  std::uint64_t dropped(peer::Drop drop) const { return server.session->peer_drops()[drop]; }
  /// As many NACK entries as fit a datagram, all for the newest packets.
  Bytes full_nack(std::size_t entries = 270) {
    Bytes packet;
    const auto put16 = [&](std::size_t v) {
      packet.push_back(std::byte(v >> 8));
      packet.push_back(std::byte(v));
    };
    put16(0x8100 | 205);
    put16(2 + entries);
    put16(0);
    put16(1);
    put16(ssrc() >> 16);
    put16(ssrc() & 0xffff);
    for (std::size_t i = 0; i < entries; ++i) {
      put16(std::uint16_t(greedy.newest(ssrc()) - 16));
      put16(0xffff);
    }
    return packet;
  }
  void send_rtcp(ByteView plain) {
    greedy.send_rtcp(plain);
    greedy.drain(network, world.now());
  }

  ParticipantId id{"greedy"};
  ClientPair& camera;
  ClientPair& good;
  RawNode greedy;
  peer::Line line = 0;
};

}  // namespace amphi::sfu
