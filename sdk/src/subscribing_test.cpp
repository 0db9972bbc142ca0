#include "subscribing.h"

#include <gtest/gtest.h>

#include <array>

namespace amphi::sdk {
namespace {

struct DroppingBatch final : SendBatch {
  MutableBytes slot() override { return bytes; }
  void commit(std::size_t, const Address&, const Address&) override {}
  std::array<std::byte, 2048> bytes;
};

/// A subscribing transport, the server's peer that offers to it, one feed, and what it asked for.
struct Rig {
  SeededRandom random{1};
  std::shared_ptr<const dtls::Certificate> certificate = *dtls::Certificate::generate();
  peer::Peer server{{peer::End::server, {Address::v4(127, 0, 0, 1, 1000)}, certificate, "server"}, random};
  int restarts = 0, answers = 0, falsified = 0, broken = 0;
  bool reconnects = true;
  std::string reachable;   // what was told: "-" unreachable, "+" connected
  Subscribing subscribing{{peer::End::client, {Address::v4(127, 0, 0, 1, 2000)}, certificate, "client"}, random, events()};
  std::shared_ptr<Dispatcher> dispatcher = std::make_shared<Dispatcher>();
  std::shared_ptr<FeedCore> feed = std::make_shared<FeedCore>("fd_1", "camera", dispatcher);
  Time now{1h};

  explicit Rig(bool reconnecting = true) : reconnects(reconnecting) { subscribing.attach("fd_1", "par_1", std::make_shared<RtpInlet>([] {}), feed); }
  ~Rig() { dispatcher->stop(); }
  Subscribing::Events events() {
    Subscribing::Events told;
    told.answer = [this](const std::string&, const std::string&) { ++answers; };
    told.restart = [this] { ++restarts; };
    told.codec_known = [](const std::string&, rtp::CodecName) {};
    told.falsified = [this](const Error&) { ++falsified; };
    told.reachable = [this](bool yes) { reachable += yes ? "+" : "-"; };
    if (reconnects) told.broken = [this](const Error&) { ++broken; };
    return told;
  }
  /// Until `end`, exactly from deadline to deadline; everything that is sent is lost.
  void run(Duration d) {
    const Time end = now + d;
    DroppingBatch nowhere;
    while (subscribing.next_timeout() <= end) {
      now = std::max(now, subscribing.next_timeout());
      subscribing.handle_timeout(now);
      subscribing.drain(nowhere, now);
    }
    now = end;
  }
  void offer(const std::string& sdp) {
    signalling::SubscribeOffer offer;
    offer.offer_id_text = "1";
    offer.sdp = sdp;
    for (const peer::LineInfo& line : server.lines()) offer.feeds.push_back({line.mid, "fd_1"});
    subscribing.offered(offer, now);
  }
};

TEST(Subscribing, an_offer_that_cannot_be_answered_is_asked_for_anew_and_fails_the_feeds_when_that_is_none_either) {
  Rig rig;
  rig.offer("no description");
  EXPECT_EQ(rig.restarts, 1);
  EXPECT_EQ(rig.feed->state(), FeedState::starting);
  rig.now += 1s;
  rig.offer("no description");
  EXPECT_EQ(rig.restarts, 1);
  EXPECT_EQ(rig.answers, 0);
  EXPECT_EQ(rig.feed->state(), FeedState::failed);
  EXPECT_EQ(rig.feed->error(), Errc::malformed);
  auto later = std::make_shared<FeedCore>("fd_2", "late", rig.dispatcher);
  rig.subscribing.attach("fd_2", "par_1", std::make_shared<RtpInlet>([] {}), later);
  EXPECT_EQ(later->error(), Errc::malformed);
}

TEST(Subscribing, a_refused_answer_is_treated_alike_and_one_that_came_too_late_is_nothing) {
  Rig rig;
  rig.server.add_line({"", {rtp::CodecName::vp8, 90'000, 0, ""}, "stream", "track"});
  rig.offer(rig.server.create_offer(rig.now));
  ASSERT_EQ(rig.answers, 1);
  rig.subscribing.refused({ErrorCode::invalid_state, "a newer offer is outstanding"}, rig.now);
  EXPECT_EQ(rig.restarts, 0);
  rig.subscribing.refused({ErrorCode::invalid_argument, "no"}, rig.now);
  EXPECT_EQ(rig.restarts, 1);
  rig.now += 11s;  // it held for a while
  rig.subscribing.refused({ErrorCode::invalid_argument, "no"}, rig.now);
  EXPECT_EQ(rig.restarts, 2);
  EXPECT_EQ(rig.feed->state(), FeedState::starting);
  rig.now += 1s;
  rig.subscribing.refused({ErrorCode::invalid_argument, "no"}, rig.now);
  EXPECT_EQ(rig.restarts, 2);
  EXPECT_EQ(rig.feed->error(), Errc::invalidArgument);
  EXPECT_EQ(rig.falsified, 0);
}

TEST(Subscribing, a_transport_that_does_not_connect_within_10_s_is_told_and_restarted_again_and_again) {
  Rig rig;
  rig.server.add_line({"", {rtp::CodecName::vp8, 90'000, 0, ""}, "stream", "track"});
  rig.offer(rig.server.create_offer(rig.now));
  rig.run(10s - 1ms);
  EXPECT_EQ(rig.reachable, "");
  EXPECT_EQ(rig.restarts, 0);
  rig.run(1ms);
  EXPECT_EQ(rig.reachable, "-");
  EXPECT_EQ(rig.restarts, 1) << "at once";
  rig.run(50s);
  EXPECT_EQ(rig.reachable, "-") << "once";
  EXPECT_GE(rig.restarts, 5);
  EXPECT_LE(rig.restarts, 9) << "with growing pauses up to 10 s";
  EXPECT_EQ(rig.feed->state(), FeedState::starting) << "it does not end";
}

TEST(Subscribing, a_transport_without_signalling_is_not_told_unreachable) {
  Rig rig;
  rig.server.add_line({"", {rtp::CodecName::vp8, 90'000, 0, ""}, "stream", "track"});
  rig.offer(rig.server.create_offer(rig.now));
  rig.subscribing.signalling_interrupted();
  rig.run(60s);
  EXPECT_EQ(rig.reachable, "");
  rig.subscribing.signalling_resumed(rig.now);
  rig.run(10s);
  EXPECT_EQ(rig.reachable, "-");
}

TEST(Subscribing, a_transport_that_failed_at_the_server_is_told_and_renewed_until_it_is_closed) {
  for (const bool reconnects : {true, false}) {
    Rig rig(reconnects);
    rig.server.add_line({"", {rtp::CodecName::vp8, 90'000, 0, ""}, "stream", "track"});
    rig.offer(rig.server.create_offer(rig.now));
    rig.subscribing.failed_at_server({ErrorCode::disconnected, "no consent"}, rig.now);
    rig.run(1ms);
    EXPECT_EQ(rig.restarts, 1) << "an ICE restart may revive it";
    EXPECT_EQ(rig.reachable, "");
    rig.subscribing.failed_at_server({ErrorCode::timeout, "DTLS: no answer"}, rig.now);
    rig.run(1ms);
    EXPECT_EQ(rig.feed->state(), reconnects ? FeedState::starting : FeedState::failed);
    if (!reconnects) continue;
    EXPECT_EQ(rig.reachable, "-");
    EXPECT_EQ(rig.broken, 1);
    EXPECT_EQ(rig.feed->error(), Errc::mediaUnreachable);
    rig.run(3s);
    EXPECT_EQ(rig.broken, 2) << "signalling was on its way elsewhere";
    rig.subscribing.signalling_interrupted();
    rig.run(60s);
    EXPECT_EQ(rig.broken, 2);
    EXPECT_EQ(rig.restarts, 1);
    DroppingBatch nowhere;
    rig.subscribing.close(nowhere, rig.now);
    rig.subscribing.failed_at_server({ErrorCode::timeout, "DTLS: no answer"}, rig.now);
    rig.subscribing.signalling_resumed(rig.now);
    rig.run(60s);
    EXPECT_EQ(rig.broken, 2);
  }
}

}  // namespace
}  // namespace amphi::sdk
