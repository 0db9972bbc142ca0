// A subscriber that makes the server work at the cost of others, beside a well-behaved one: in virtual time.
#include "peer/receive_stream.h"
#include "peer/retransmission.h"
#include "rtp/rtcp.h"
#include "sfu/test_greedy_room.h"

namespace amphi::sfu {
namespace {

TEST(Greedy, a_nack_that_names_a_packet_hundreds_of_times_gets_it_once) {
  GreedyRoom room;
  const Bytes nack = room.full_nack();
  EXPECT_GT(nack.size(), 1000u);
  room.send_rtcp(nack);
  room.run(100ms);
  EXPECT_EQ(room.greedy.packets(room.rtx()), 17u);
  EXPECT_GT(room.dropped(peer::Drop::duplicate_nack), 1000u - 17 - 1);
  EXPECT_EQ(room.dropped(peer::Drop::nack_too_many), 270u * 17 - 1024);
}

TEST(Greedy, a_packet_asked_for_all_the_time_goes_once_in_a_round_trip) {
  GreedyRoom room;
  const Bytes nack = room.full_nack(1);
  for (int i = 0; i < 100; ++i) {  // every ms; the round trip is 20 ms
    room.send_rtcp(nack);
    room.run(1ms);
  }
  room.run(100ms);
  EXPECT_LE(room.greedy.packets(room.rtx()), 17u * 6);
  EXPECT_GE(room.greedy.packets(room.rtx()), 17u * 4);
  EXPECT_GT(room.dropped(peer::Drop::nack_too_soon), 1000u);
}

TEST(Greedy, retransmissions_stay_within_a_share_of_what_the_subscriber_is_sent_and_others_lose_nothing) {
  GreedyRoom room;
  const std::size_t before = room.good.subscribing.received.size();
  const std::size_t first = room.greedy.bytes(room.ssrc());
  for (int i = 0; i < 500; ++i) {  // 10 s of 25 kB/s, asked for again as fast as it can be
    room.stream(room.camera, room.line, 101 + i, 1);
    room.send_rtcp(room.full_nack(60));
  }
  room.run(500ms);
  EXPECT_EQ(room.good.subscribing.received.size() - before, 500u);
  const std::size_t sent = room.greedy.bytes(room.ssrc()) - first;
  EXPECT_LT(room.greedy.bytes(room.rtx()), sent * 6 / 10 + 2 * peer::RetransmissionBudget::kLeastBurst);
  EXPECT_GT(room.dropped(peer::Drop::nack_over_budget), 0u);
}

TEST(Greedy, half_a_second_lost_at_once_comes_back_whole) {
  GreedyRoom room;
  room.network.set_conditions(kServer, room.good.subscribing.address, {.delay = 10ms, .partitioned = true});
  room.stream(room.camera, room.line, 101, 25);
  room.network.set_conditions(kServer, room.good.subscribing.address, {.delay = 10ms});
  room.stream(room.camera, room.line, 126, 25);
  room.run(500ms);
  EXPECT_EQ(room.good.subscribing.received.size(), 150u);
  EXPECT_EQ(room.dropped(peer::Drop::nack_over_budget), 0u);
}

TEST(Greedy, numbers_that_were_never_sent_are_counted_and_cost_nothing) {
  GreedyRoom room;
  room.send_rtcp([&] {
    Bytes packet;
    rtp::append_rtcp(packet, rtp::Nack{1, room.ssrc(), {std::uint16_t(room.greedy.newest(room.ssrc()) + 1000)}});
    rtp::append_rtcp(packet, rtp::Nack{1, 12345, {1, 2, 3}});
    return packet;
  }());
  room.run(100ms);
  EXPECT_EQ(room.greedy.packets(room.rtx()), 0u);
  EXPECT_EQ(room.dropped(peer::Drop::nack_unknown), 4u);
}

/// A FIR with as many entries as fit a datagram, or a PLI.
Bytes keyframe_requests(std::uint32_t ssrc, bool fir) {
  Bytes packet;
  if (!fir) rtp::append_rtcp(packet, rtp::PictureLoss{1, ssrc});
  for (int i = 0; fir && i < 50; ++i) rtp::append_rtcp(packet, rtp::FullIntraRequest{1, ssrc, std::uint8_t(i)});
  return packet;
}

TEST(Greedy, keyframes_that_one_subscriber_asks_for_are_bounded_and_another_gets_its_own_at_once) {
  for (const bool fir : {false, true}) {
    SCOPED_TRACE(fir ? "FIR" : "PLI");
    GreedyRoom room;
    const auto asked = [&] { return room.camera.publishing.count<peer::KeyframeRequested>(); };
    const std::size_t before = asked();
    for (int i = 0; i < 1000; ++i) {  // 20 s
      room.send_rtcp(keyframe_requests(room.ssrc(), fir));
      room.run(20ms);
    }
    EXPECT_LE(asked() - before, 5u + 20 / 2 + 1);
    EXPECT_GE(asked() - before, 10u) << "they are delayed, not refused";
    EXPECT_GT(room.server.session->stats().keyframes_throttled, 900u);
    const std::size_t then = asked();
    room.good.subscribing.peer.request_keyframe(0, room.world.now());
    room.good.subscribing.drain(room.network, room.world.now());
    room.run(peer::ReceiveStream::kKeyframeInterval + 50ms);
    EXPECT_GT(asked(), then);
  }
}

TEST(Greedy, a_keyframe_asked_for_too_often_follows_when_it_may) {
  GreedyRoom room;
  for (int i = 0; i < 20; ++i) {
    room.send_rtcp(keyframe_requests(room.ssrc(), false));
    room.run(400ms / 20 * 20);
  }
  const std::size_t before = room.camera.publishing.count<peer::KeyframeRequested>();
  room.send_rtcp(keyframe_requests(room.ssrc(), false));
  room.run(3s);
  EXPECT_GE(room.camera.publishing.count<peer::KeyframeRequested>(), before + 1);
}

/// Transport feedback whose run-length chunks claim 8,191 packets in 24 bytes, as often as it fits a datagram.
Bytes feedback_flood() {
  Bytes packet;
  for (int i = 0; i < 45; ++i)
    for (int b : {0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0x1f, 0xff, 0, 0, 0, i, 0x1f, 0xff, 0, 0}) packet.push_back(std::byte(b));
  return packet;
}

TEST(Greedy, rtcp_that_costs_too_much_work_is_dropped_before_it_is_decrypted) {
  GreedyRoom room;
  const std::size_t before = room.good.subscribing.received.size();
  for (int i = 0; i < 100; ++i) {
    for (int k = 0; k < 4; ++k) room.send_rtcp(feedback_flood());
    room.stream(room.camera, room.line, 101 + i, 1);
  }
  room.run(100ms);
  EXPECT_EQ(room.good.subscribing.received.size() - before, 100u);
  // 2.4 s of 20,000 items a second and as many at once; each datagram holds 8,192.
  EXPECT_GT(room.dropped(peer::Drop::rtcp_over_budget), 390u);
  room.run(3s);
  const std::size_t again = room.greedy.packets(room.rtx());
  room.send_rtcp(room.full_nack(1));
  room.run(100ms);
  EXPECT_GT(room.greedy.packets(room.rtx()), again) << "a while later it is heard again";
}

std::size_t times_told(GreedyRoom& room, const ParticipantId& who, const std::string& word) {
  std::size_t times = 0;
  for (const auto& event : room.server.events)
    if (const auto* limit = std::get_if<LimitReached>(&event)) times += limit->participant == who && limit->what.find(word) != std::string::npos;
  return times;
}

TEST(Greedy, a_participant_that_sends_more_than_it_may_loses_its_own_media_before_decryption_and_is_told_once_a_second) {
  GreedyRoom room;
  auto& flood = room.join("flood", true, false);
  const auto flooding = room.publish(flood, testing::vp8_codec(), "flood");
  room.run(1s);
  const std::size_t before = room.good.subscribing.received.size();
  const Bytes large(1150, std::byte{0x10});
  rtp::Seq seq = 1;
  std::uint64_t sent = 0;
  const Time begun = room.world.now();
  for (int i = 0; i < 100; ++i) {
    for (int k = 0; k < 1000; ++k, ++seq, sent += large.size()) flood.publishing.send(flooding, seq, static_cast<rtp::WireTimestamp>(i * 900), large, room.world.now());
    flood.publishing.drain(room.network, room.world.now());
    room.stream(room.camera, room.line, 101 + i, 1);
  }
  room.run(100ms);
  const double seconds = std::chrono::duration<double>(room.world.now() - begun).count();
  ASSERT_GT(static_cast<double>(sent) * 8 / seconds, 200e6) << "a flood";
  EXPECT_EQ(room.good.subscribing.received.size() - before, 100u) << "nobody else loses a packet";
  EXPECT_GT(room.dropped(peer::Drop::ingress_over_budget), 0u);
  const double bits = static_cast<double>(room.server.session->stats().bytes_in) * 8;
  EXPECT_GT(bits, 90e6 * seconds) << "its budget is used";
  EXPECT_LT(bits, 101e6 * (seconds + 0.25)) << "and no more";
  const std::size_t told = times_told(room, flood.id, "more than a participant may");
  EXPECT_GE(told, 1u);
  EXPECT_LE(told, 30u);
  EXPECT_EQ(times_told(room, room.camera.id, ""), 0u);
}

TEST(Greedy, each_limit_of_media_that_a_participant_reaches_is_told_by_its_name) {
  GreedyRoom room;
  for (int i = 0; i < 20; ++i) room.send_rtcp(keyframe_requests(room.ssrc(), false)), room.run(400ms);
  EXPECT_GE(times_told(room, room.id, "keyframes"), 1u);
  for (int i = 0; i < 100; ++i) room.send_rtcp(feedback_flood());
  room.run(2s);
  EXPECT_GE(times_told(room, room.id, "RTCP"), 1u);
  EXPECT_EQ(times_told(room, room.good.id, ""), 0u);
  EXPECT_EQ(times_told(room, room.camera.id, ""), 0u);
}

TEST(Greedy, sender_reports_of_a_publisher_reach_subscribers_ten_times_a_second_at_most) {
  GreedyRoom room;
  const std::size_t before = room.good.subscribing.count<peer::SenderReported>();
  for (int i = 0; i < 1000; ++i) {
    room.camera.publishing.peer.send_sender_report(room.line, rtp::NtpTime{(std::uint64_t(i + 1) << 32) / 1000}, std::uint32_t(i) * 90, room.world.now());
    room.camera.publishing.drain(room.network, room.world.now());
    room.run(1ms);
  }
  EXPECT_LE(room.good.subscribing.count<peer::SenderReported>() - before, 11u);
  EXPECT_GE(room.good.subscribing.count<peer::SenderReported>() - before, 9u);
  EXPECT_GT(room.dropped(peer::Drop::report_too_soon), 900u);
}

}  // namespace
}  // namespace amphi::sfu
