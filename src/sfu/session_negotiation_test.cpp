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
  std::erase_if(a.declared, [](const auto& feed) { return feed.mid == "1" || feed.mid == "5"; });
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

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from << " is not in " << text;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(Session, undeclared_lines_and_entries_without_a_line_are_refused_each_with_its_reason) {
  Room room;
  auto& a = room.join("a");
  for (int i = 0; i < 3; ++i) a.publishing.peer.add_line({"", testing::vp8_codec(), "a", std::to_string(i)});
  const std::vector<FeedDeclaration> declared = {{"0", rtp::Kind::video, "declared"}, {"1", rtp::Kind::audio, "wrong kind"}, {"7", rtp::Kind::video, "nowhere"}};
  const auto answer = room.server.session->publish_offer(a.id, a.publishing.peer.create_offer(room.world.now()), declared, room.world.now()).value();
  ASSERT_EQ(answer.feeds.size(), 1u);
  EXPECT_EQ(answer.feeds[0].mid, "0");
  std::vector<std::string> reasons;
  for (const auto& refused : answer.refused) reasons.push_back(refused.mid + ": " + refused.error.message);
  EXPECT_EQ(reasons, (std::vector<std::string>{"1: `feeds` says audio, the m-line is video", "2: no entry of `feeds` names this m-line",
                                               "7: the offer has no m-line with this mid"}));
  ASSERT_TRUE(a.publishing.peer.accept_answer(answer.sdp, room.world.now()));
  EXPECT_FALSE(a.publishing.peer.lines()[2].active) << "answered inactive: nothing is sent for nobody";
  const std::vector<FeedDeclaration> now_declared = {{"0", rtp::Kind::video, "declared"}, {"2", rtp::Kind::video, "late"}};
  EXPECT_EQ(room.server.session->publish_offer(a.id, a.publishing.peer.create_offer(room.world.now()), now_declared, room.world.now()).value().feeds.size(), 2u);
}

TEST(Session, a_viewer_that_declines_a_codec_is_told_so_and_gets_everything_else) {
  struct Row {
    const char* what;
    bool received;              // in the offer as the viewer reads it; else in its answer
    std::string_view from, to;
  };
  const Row rows[] = {{"the m-line rejected", true, "a=rtpmap:102 H264/90000", "a=rtpmap:102 H265/90000"},
                      {"another codec under the payload type", false, "a=rtpmap:102 H264/90000", "a=rtpmap:102 H265/90000"},
                      {"packetization mode 0 only", false, "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1", "a=fmtp:102 packetization-mode=0"}};
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    Room room;
    auto& a = room.join("a");
    auto& b = room.join("b", false);
    auto& c = room.join("c", false);
    b.answers = false;
    const auto h264 = room.publish(a, testing::h264_codec(), "in the first m-line, which tags the bundle");
    const auto vp8 = room.publish(a, testing::vp8_codec(), "VP8");
    (row.received ? b.edit_received : b.edit_answer) = [&](const std::string& sdp) { return replaced(sdp, row.from, row.to); };
    b.answers = true;
    ASSERT_TRUE(room.server.session->restart_subscribe(b.id, false, room.world.now()));
    room.signal_once();
    b.edit_received = b.edit_answer = nullptr;
    room.signal();
    room.run(1s);
    std::vector<FeedUnsupported> told;
    for (const auto& event : room.server.events)
      if (const auto* unsupported = std::get_if<FeedUnsupported>(&event)) told.push_back(*unsupported);
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].participant, b.id);
    EXPECT_EQ(told[0].error.code, ErrorCode::unsupported);
    EXPECT_NE(told[0].error.message.find("H264 (profile-level-id 42e01f)"), std::string::npos) << told[0].error.message;
    room.stream(a, vp8, 1, 20);
    room.run(200ms);
    EXPECT_EQ(b.subscribing.received.size(), 20u) << "and the other feed flows";
    a.publishing.send(h264, 1, 1800, Bytes{std::byte{0x65}, std::byte{0x88}}, room.world.now());
    room.run(200ms);
    EXPECT_EQ(b.subscribing.received.size(), 20u);
    EXPECT_EQ(c.subscribing.received.size(), 21u) << "another viewer decodes H.264";

    const auto later = room.publish(a, testing::vp8_codec(), "in the place of the one that was declined");
    room.withdraw(a, h264);
    room.run(1s);
    room.stream(a, later, 1, 20);
    EXPECT_EQ(b.subscribing.received.size(), 40u) << "the end of the declined feed does not end its successor on the m-line";
  }
}

TEST(Session, an_answer_that_declines_every_line_is_taken_and_later_feeds_arrive) {
  Room room;
  auto& a = room.join("a");
  auto& b = room.join("b", false);
  b.edit_received = [](const std::string& sdp) { return replaced(sdp, "a=rtpmap:102 H264/90000", "a=rtpmap:102 H265/90000"); };
  b.edit_answer = [](const std::string& sdp) {
    EXPECT_NE(sdp.find("m=video 0 "), std::string::npos) << sdp;
    std::string out = sdp;
    for (const std::string_view name : {"a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup", "a=group"})
      if (const auto at = out.find(name); at != std::string::npos) out.erase(at, out.find("\n", at) + 1 - at);
    return out;
  };
  room.publish(a, testing::h264_codec(), "not for everybody");
  EXPECT_EQ(count<FeedUnsupported>(room.server.events), 1u);
  b.edit_answer = b.edit_received = nullptr;
  const auto vp8 = room.publish(a, testing::vp8_codec(), "for everybody");
  room.run(1s);
  room.stream(a, vp8, 1, 20);
  room.run(200ms);
  EXPECT_EQ(b.subscribing.received.size(), 20u);
  EXPECT_EQ(b.subscribing.peer.lines().size(), 1u) << "the declined m-line is used again";
}

TEST(Session, a_declined_m_line_that_is_used_again_does_not_take_over_the_bundles_transport) {
  Room room;
  auto& a = room.join("a");
  auto& b = room.join("b", false);
  std::string group;
  b.edit_received = [&](const std::string& sdp) {
    const auto at = sdp.find("a=group:BUNDLE");
    group = at == sdp.npos ? "" : sdp.substr(at, sdp.find('\r', at) - at);
    return sdp.find("H264/") == sdp.npos ? sdp : replaced(sdp, "a=rtpmap:102 H264/90000", "a=rtpmap:102 H265/90000");
  };
  room.publish(a, testing::h264_codec(), "declined");
  const auto sound = room.publish(a, testing::opus_codec(), "sound");
  EXPECT_EQ(group, "a=group:BUNDLE 1") << "the transport is negotiated on the second m-line";
  const auto vp8 = room.publish(a, testing::vp8_codec(), "in the place of the first");
  EXPECT_EQ(b.subscribing.peer.lines().size(), 2u);
  EXPECT_EQ(group, "a=group:BUNDLE 1 2") << "Firefox closes the transport when another mid becomes the first";
  room.withdraw(a, sound);
  EXPECT_EQ(group, "a=group:BUNDLE 1 2") << "its m-line only turns inactive";
  room.run(1s);
  room.stream(a, vp8, 1, 20);
  room.run(200ms);
  EXPECT_EQ(b.subscribing.received.size(), 20u);
}

TEST(Session, a_sender_that_uses_another_accepted_codec_changes_its_feed) {
  Room room;
  auto& a = room.join("a");
  auto& b = room.join("b", false);
  a.edit_offer = [](const std::string& sdp) {
    return replaced(replaced(sdp, "SAVPF 96 97", "SAVPF 102 96 97"), "a=rtpmap:96", "a=rtpmap:102 H264/90000\r\na=fmtp:102 packetization-mode=1;profile-level-id=640028\r\na=rtpmap:96");
  };
  const auto line = room.publish(a, testing::vp8_codec(), "camera");
  ASSERT_EQ(room.server.session->feeds().size(), 1u);
  const FeedId id = room.server.session->feeds()[0].id;
  EXPECT_EQ(room.server.session->feeds()[0].codec.name, rtp::CodecName::h264) << "the first common codec of the offer";
  room.run(1s);
  room.stream(a, line, 1, 20);
  room.run(200ms);
  ASSERT_EQ(room.server.session->feeds().size(), 1u);
  EXPECT_EQ(room.server.session->feeds()[0].codec.name, rtp::CodecName::vp8) << "what is sent decides";
  EXPECT_EQ(room.server.session->feeds()[0].id, id);
  EXPECT_GT(b.subscribing.received.size(), 15u) << "all from the keyframe that was asked for on";
  EXPECT_EQ(b.subscribing.peer.lines().back().codec->name, rtp::CodecName::vp8);
  room.offer(a);
  EXPECT_EQ(room.server.session->feeds()[0].codec.name, rtp::CodecName::vp8) << "a further offer does not undo it";
  EXPECT_EQ(room.server.session->peer_drops()[peer::Drop::codec_change], 0u);
}

TEST(Session, a_sender_that_alternates_between_payload_types_changes_its_feed_at_most_once_a_second) {
  Room room;
  auto& a = room.join("a");
  const rtp::Codec high{rtp::CodecName::h264, 90'000, 0, "packetization-mode=1;profile-level-id=640028"};
  const auto line = a.publishing.peer.add_line({"", high, "a", "camera"});
  a.declared.push_back({"0", rtp::Kind::video, "camera"});
  rtp::Seq next = 1;
  const auto send_as = [&](const std::string& payload_types) {
    auto answer = room.server.session->publish_offer(a.id, a.publishing.peer.create_offer(room.world.now()), a.declared, room.world.now()).value();
    ASSERT_TRUE(a.publishing.peer.accept_answer(replaced(answer.sdp, "SAVPF 102 103 104 105 106 107", "SAVPF " + payload_types), room.world.now()));
    room.run(100ms);
    room.stream(a, line, next++, 1);
    room.run(100ms);
  };
  const auto profile = [&] { return room.server.session->feeds().at(0).codec.fmtp.substr(room.server.session->feeds().at(0).codec.fmtp.find("profile-level-id=") + 17, 6); };
  const auto dropped = [&] { return room.server.session->peer_drops()[peer::Drop::codec_change]; };
  send_as("102 103");
  EXPECT_EQ(profile(), "640028");
  send_as("104 105");
  EXPECT_EQ(profile(), "640c28");
  EXPECT_EQ(dropped(), 0u);
  send_as("102 103");
  EXPECT_EQ(profile(), "640c28") << "too soon";
  EXPECT_EQ(dropped(), 1u);
  room.run(1s);
  room.stream(a, line, next++, 1);
  room.run(100ms);
  EXPECT_EQ(profile(), "640028");
  EXPECT_EQ(dropped(), 1u);
}

}  // namespace
}  // namespace amphi::sfu
