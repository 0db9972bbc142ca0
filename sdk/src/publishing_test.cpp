#include "publishing.h"

#include <gtest/gtest.h>

namespace amphi::sdk {
namespace {

/// A publishing transport with one feed whose pipeline never starts, and the offer that it made.
struct Rig {
  SeededRandom random{1};
  std::shared_ptr<const dtls::Certificate> certificate = *dtls::Certificate::generate();
  peer::Peer server{{peer::End::server, {Address::v4(127, 0, 0, 1, 1000)}, certificate, "server"}, random};
  std::string offered;
  Publishing publishing{{peer::End::client, {Address::v4(127, 0, 0, 1, 2000)}, certificate, "client"}, random, events()};
  std::shared_ptr<Dispatcher> dispatcher = std::make_shared<Dispatcher>();
  std::shared_ptr<FeedCore> feed = std::make_shared<FeedCore>("", "camera", dispatcher);
  Time now{1h};

  Rig() { publishing.add(std::make_shared<OutgoingStream>(OutgoingStream{feed, nullptr, {rtp::CodecName::vp8, 90'000, 1, ""}, 500'000}), now); }
  ~Rig() { dispatcher->stop(); }
  Publishing::Events events() {
    Publishing::Events told;
    told.offer = [this](const std::string& sdp, const std::vector<signalling::OfferedFeed>&) { offered = sdp; };
    told.start = [](const std::shared_ptr<OutgoingStream>&) {};
    told.falsified = [](const Error&) {};
    told.reachable = [](bool) {};
    return told;
  }
  /// The server's answer to the offer, whose codec the server does not know.
  std::string answer_without_common_codec() {
    const std::string name = "VP8/90000";
    std::string foreign = offered;
    for (auto at = foreign.find(name); at != foreign.npos; at = foreign.find(name)) foreign.replace(at, name.size(), "VP7/90000");
    const auto answer = server.accept_offer(foreign, now);
    EXPECT_TRUE(answer) << answer.error().message;
    return answer.value_or("");
  }
};

TEST(Publishing, a_feed_that_the_server_refuses_fails_with_the_servers_own_words) {
  Rig rig;
  const std::string words = "the line offers VP7/90000; the server takes VP8";
  rig.publishing.answered(rig.answer_without_common_codec(), {}, {{"0", {ErrorCode::unsupported, words}}}, rig.now);
  EXPECT_EQ(rig.feed->state(), FeedState::failed);
  EXPECT_EQ(rig.feed->error(), Errc::unsupported);
  EXPECT_EQ(rig.feed->error_message(), words);
}

TEST(Publishing, a_refused_offer_fails_its_feeds_with_the_servers_own_words) {
  Rig rig;
  rig.publishing.refused({ErrorCode::limit_exceeded, "more than 10 offers a second"}, rig.now);
  EXPECT_EQ(rig.feed->error(), Errc::limitExceeded);
  EXPECT_EQ(rig.feed->error_message(), "more than 10 offers a second");
}

TEST(Publishing, a_rejected_line_without_a_reason_is_told_as_such) {
  Rig rig;
  rig.publishing.answered(rig.answer_without_common_codec(), {}, {}, rig.now);
  EXPECT_EQ(rig.feed->error(), Errc::unsupported);
  EXPECT_EQ(rig.feed->error_message(), "the server's answer rejects the m-line");
}

}  // namespace
}  // namespace amphi::sdk
