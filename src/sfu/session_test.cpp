// Who gets which packet in a session: over an emulated network, in virtual time.
#include <map>
#include <set>

#include "sfu/test_room.h"

namespace amphi::sfu {
namespace {

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

struct AddedAndRemoved : Tap {
  void feed_added(const FeedInfo& feed, Time) override { log += "+" + feed.label + (feed.muted ? " muted" : ""); }
  void feed_removed(const FeedId&, Time) override { log += "-"; }
  void packet(const FeedId&, const peer::ReceivedRtp&, Time) override { ++packets; }
  void sender_report(const FeedId&, rtp::NtpTime, rtp::WireTimestamp, Time) override {}
  std::string log;
  int packets = 0;
};

TEST(Session, a_muted_feed_reaches_neither_subscribers_nor_the_recording_until_it_is_heard_again) {
  Room room;
  auto& a = room.join("a");
  auto& b = room.join("b", true);
  const auto line = room.publish(a, testing::vp8_codec(), "camera");
  const auto other = room.publish(b, testing::vp8_codec(), "other");
  room.run(1s);
  AddedAndRemoved tap;
  Session& session = *room.server.session;
  session.set_tap(&tap, room.world.now());
  room.stream(a, line, 1, 20);
  room.run(200ms);
  ASSERT_EQ(b.subscribing.received.size(), 20u);
  const FeedId camera = session.feeds().at(0).id;
  EXPECT_FALSE(session.mute_feed(FeedId("fd_none"), true, room.world.now()));
  ASSERT_TRUE(session.mute_feed(camera, true, room.world.now()));
  room.stream(a, line, 21, 30);
  room.stream(b, other, 1, 10);
  room.run(200ms);
  EXPECT_EQ(b.subscribing.received.size(), 20u);
  EXPECT_EQ(a.subscribing.received.size(), 10u) << "nobody else is";
  EXPECT_EQ(tap.packets, 30);
  EXPECT_EQ(session.stats().muted, 30u);
  ASSERT_TRUE(session.mute_feed(camera, true, room.world.now())) << "again";
  EXPECT_EQ(count<FeedMuted>(room.server.events), 1u);
  session.set_tap(nullptr, room.world.now());
  session.set_tap(&tap, room.world.now());

  const auto asked = a.publishing.count<peer::KeyframeRequested>();
  ASSERT_TRUE(session.mute_feed(camera, false, room.world.now()));
  room.run(500ms);
  EXPECT_GT(a.publishing.count<peer::KeyframeRequested>(), asked);
  room.stream(a, line, 51, 20);
  room.run(200ms);
  ASSERT_EQ(b.subscribing.received.size(), 40u);
  EXPECT_EQ(b.subscribing.received[20].payload[1], std::byte{0x10}) << "a keyframe first";
  EXPECT_EQ(b.subscribing.received[20].seq, b.subscribing.received[19].seq + 1) << "the numbers close up, so that nothing is asked for again";
  EXPECT_EQ(session.stats().nack_misses + session.stats().retransmitted, 0u);
  EXPECT_EQ(tap.log, "+camera+other-+camera muted+camera muted+other-+camera");
  EXPECT_EQ(count<FeedMuted>(room.server.events), 2u);
}

TEST(Session, a_feed_that_is_published_again_is_still_muted) {
  Room room;
  auto& a = room.join("a");
  auto& b = room.join("b", false);
  auto line = room.publish(a, testing::vp8_codec(), "camera");
  room.run(1s);
  Session& session = *room.server.session;
  ASSERT_TRUE(session.mute_feed(session.feeds().at(0).id, true, room.world.now()));
  const std::string mid = a.declared[0].mid;
  a.declared.clear();
  room.offer(a);
  ASSERT_TRUE(session.feeds().empty());
  a.declared.push_back({mid, rtp::Kind::video, "camera"});
  room.offer(a);
  ASSERT_EQ(session.feeds().size(), 1u);
  EXPECT_TRUE(session.feeds()[0].muted);
  room.run(500ms);
  room.stream(a, line, 1, 20);
  room.run(200ms);
  EXPECT_TRUE(b.subscribing.received.empty());
}

TEST(Session, a_muted_feed_stays_muted_under_another_mid_and_when_its_owner_joins_anew) {
  Room room;
  auto& a = room.join("a");
  room.publish(a, testing::vp8_codec(), "camera");
  room.publish(a, testing::opus_codec(), "camera");
  room.run(1s);
  Session& session = *room.server.session;
  const auto muted = [&](rtp::Kind kind, const std::string& label) {
    const auto feeds = session.feeds();
    const auto found = std::find_if(feeds.rbegin(), feeds.rend(), [&](const FeedInfo& feed) { return feed.codec.kind() == kind && feed.label == label; });
    return found != feeds.rend() && found->muted;
  };
  const FeedId camera = session.feeds().at(0).id;
  ASSERT_TRUE(session.mute_feed(camera, true, room.world.now()));
  EXPECT_TRUE(muted(rtp::Kind::video, "camera"));
  EXPECT_FALSE(muted(rtp::Kind::audio, "camera")) << "the same label, another kind";
  room.publish(a, testing::vp8_codec(), "camera");  // on a further m-line
  ASSERT_EQ(session.feeds().size(), 3u);
  EXPECT_NE(session.feeds()[2].id, camera);
  EXPECT_TRUE(session.feeds()[2].muted);
  room.publish(a, testing::vp8_codec(), "slides");
  EXPECT_FALSE(muted(rtp::Kind::video, "slides"));
  room.leave(a);
  auto& again = room.join("a");
  room.publish(again, testing::vp8_codec(), "camera");
  ASSERT_EQ(session.feeds().size(), 1u);
  EXPECT_TRUE(session.feeds()[0].muted);
  ASSERT_TRUE(session.mute_feed(session.feeds()[0].id, false, room.world.now()));
  room.publish(again, testing::vp8_codec(), "camera");
  EXPECT_FALSE(session.feeds()[1].muted);
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

TEST(Session, grants_and_limits_are_kept) {
  Room room;
  auto& a = room.join("a", false, true);
  a.publishing.peer.add_line({"", testing::vp8_codec(), "s", "t"});
  const std::string offer = a.publishing.peer.create_offer(room.world.now());
  EXPECT_EQ(room.server.session->publish_offer(a.id, offer, {}, room.world.now()).error().code, ErrorCode::forbidden);
  auto& b = room.join("b");
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

/// What a tap was given, packet by packet.
struct Tapped final : Tap {
  void feed_added(const FeedInfo&, Time) override {}
  void feed_removed(const FeedId&, Time) override {}
  void packet(const FeedId&, const peer::ReceivedRtp& packet, Time) override { packets.emplace_back(packet.seq, packet.payload.size()); }
  void sender_report(const FeedId&, rtp::NtpTime, rtp::WireTimestamp, Time) override {}
  std::vector<std::pair<rtp::Seq, std::size_t>> packets;
};

TEST(Session, padding_is_seen_by_the_tap_and_by_no_subscriber) {
  Room room;
  auto& a = room.join("a");
  auto& b = room.join("b", false);
  const auto line = room.publish(a, testing::vp8_codec(), "camera");
  room.run(1s);
  Tapped tap;
  room.server.session->set_tap(&tap, room.world.now());
  room.stream(a, line, 1, 10);
  a.publishing.send(line, 11, 11 * 1800, {}, room.world.now());
  room.stream(a, line, 12, 10);
  room.run(200ms);
  room.server.session->set_tap(nullptr, room.world.now());
  ASSERT_EQ(tap.packets.size(), 21u) << "a number that is not there would be a loss";
  for (std::size_t i = 0; i < tap.packets.size(); ++i) {
    EXPECT_EQ(tap.packets[i].first, tap.packets[0].first + static_cast<rtp::Seq>(i));
    EXPECT_EQ(tap.packets[i].second == 0, i == 10);
  }
  ASSERT_EQ(b.subscribing.received.size(), 20u);
  for (std::size_t i = 0; i < 20; ++i)
    EXPECT_EQ(b.subscribing.received[i].seq - b.subscribing.received[0].seq, static_cast<rtp::Seq>(i < 10 ? i : i + 1)) << "each keeps the feed's number";
}

}  // namespace
}  // namespace amphi::sfu
