// Feeds that come and go, and offers and answers that fail: over an emulated network, in virtual time.
#include "sfu/test_room.h"

namespace amphi::sfu {
namespace {

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

TEST(Session, feeds_past_the_limit_are_refused_each_for_itself_and_those_that_go_on_have_their_places) {
  Room room;
  auto& a = room.join("a");
  auto& b = room.join("b", false);
  std::vector<peer::Line> lines;
  for (int i = 0; i < 6; ++i) {
    lines.push_back(a.publishing.peer.add_line({"", testing::vp8_codec(), "a", std::to_string(i)}));
    a.declared.push_back({std::to_string(i), rtp::Kind::video, std::to_string(i)});
  }
  const auto publish = [&] {
    auto answer = room.server.session->publish_offer(a.id, a.publishing.peer.create_offer(room.world.now()), a.declared, room.world.now()).value();
    EXPECT_TRUE(a.publishing.peer.accept_answer(answer.sdp, room.world.now()));
    room.signal();
    std::vector<std::string> refused;
    for (const auto& feed : answer.refused) {
      EXPECT_EQ(feed.error.code, ErrorCode::limit_exceeded);
      refused.push_back(feed.mid);
    }
    return refused;
  };
  EXPECT_EQ(publish(), (std::vector<std::string>{"4", "5"}));
  EXPECT_EQ(room.server.session->feeds().size(), 4u);
  EXPECT_FALSE(a.publishing.peer.lines()[4].active);
  room.run(1s);
  for (int i = 0; i < 4; ++i) room.stream(a, lines[i], 1, 5);
  EXPECT_EQ(b.subscribing.received.size(), 20u);

  a.publishing.peer.close_line(lines[1]);
  a.publishing.peer.close_line(lines[5]);
  EXPECT_TRUE(publish().empty()) << "one has gone: there is room for the fifth";
  a.publishing.peer.add_line({"", testing::vp8_codec(), "a", "in the place of the second"});
  a.declared.push_back({a.publishing.peer.lines()[lines[1]].mid, rtp::Kind::video, "late"});
  EXPECT_EQ(publish(), std::vector<std::string>{a.declared.back().mid}) << "though its line comes before others";
  for (const auto line : {lines[0], lines[2], lines[3], lines[4]}) EXPECT_TRUE(a.publishing.peer.lines()[line].active);
}

TEST(Session, an_answer_that_cannot_be_taken_ends_its_offer_and_not_the_subscribers_feeds) {
  Room room;
  auto& a = room.join("a");
  auto& b = room.join("b", false);
  b.answers = false;
  const auto first = room.publish(a, testing::vp8_codec(), "first");
  const auto offers = [&] {
    std::vector<SubscribeOffer> all;
    for (const auto& event : room.server.events)
      if (const auto* offer = std::get_if<SubscribeOffer>(&event)) all.push_back(*offer);
    return all;
  };
  const auto fail = [&] {
    EXPECT_FALSE(room.server.session->subscribe_answer(b.id, offers().back().offer_id, "nonsense", room.world.now()));
    room.signal();
  };
  ASSERT_EQ(offers().size(), 1u);
  fail();
  ASSERT_EQ(offers().size(), 2u) << "offered once more";
  EXPECT_EQ(offers().back().feeds.size(), 1u);
  fail();
  EXPECT_EQ(offers().size(), 2u) << "and no more, until something has changed";
  b.answers = true;
  const auto second = room.publish(a, testing::vp8_codec(), "second");
  room.run(1s);
  room.stream(a, first, 1, 10);
  room.stream(a, second, 1, 10);
  EXPECT_EQ(b.subscribing.received.size(), 20u);
}

}  // namespace
}  // namespace amphi::sfu
