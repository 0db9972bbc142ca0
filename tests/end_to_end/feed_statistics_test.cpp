// What a feed says of itself is so: of a mix with several speakers, and on a path that loses packets.
#include <gtest/gtest.h>

#include "faults.h"
#include "server_process.h"
#include "session_probe.h"

namespace amphi::end_to_end {
namespace {

struct Room {
  std::unique_ptr<SessionProbe> enter(const std::string& who) {
    auto probe = std::make_unique<SessionProbe>(server.session_url("theatre"), server.token("theatre", who));
    EXPECT_TRUE(probe->connect()) << server.log();
    return probe;
  }
  ServerProcess server;
};

TEST(FeedStatistics, of_the_mix_are_those_of_all_speakers_together) {
  Room room;
  const auto listener = room.enter("listener"), surgeon = room.enter("surgeon"), student = room.enter("student");
  const auto mix = (*listener)->setIncomingAudioFeed(AudioOutputComponentNull{});
  const auto one = (*surgeon)->setOutgoingAudioFeed("one", AudioInputComponentTone{});
  const auto other = (*student)->setOutgoingAudioFeed("other", AudioInputComponentTone{});
  const auto all_of_both = [&] {
    const FeedStatistics a = one->statistics(), b = other->statistics(), heard = mix->statistics();
    return a.packets > 100 && b.packets > 100 && static_cast<double>(heard.packets) > 0.8 * static_cast<double>(a.packets + b.packets) &&
           static_cast<double>(heard.bitrate) > 0.8 * static_cast<double>(a.bitrate + b.bitrate);
  };
  EXPECT_TRUE(listener->wait(all_of_both, 15s)) << "sent " << one->statistics().packets << " and " << other->statistics().packets << ", heard "
                                                << mix->statistics().packets;
  const std::uint64_t before = mix->statistics().packets;
  other->stop();
  ASSERT_TRUE(listener->wait([&] { return mix->statistics().packets > before + 100; }));
  EXPECT_LT(static_cast<double>(mix->statistics().bitrate), 1.5 * static_cast<double>(one->statistics().bitrate)) << "who is gone is not counted on";
  one->stop();
  EXPECT_TRUE(listener->wait([&] { return mix->statistics().bitrate == 0; })) << "nobody speaks";
  EXPECT_GE(mix->statistics().packets, before + 100) << "what was heard stays heard";
}

TEST(FeedStatistics, of_a_mix_that_takes_the_place_of_another_begin_with_itself) {
  Room room;
  const auto listener = room.enter("listener"), surgeon = room.enter("surgeon");
  const auto mix = (*listener)->setIncomingAudioFeed(AudioOutputComponentNull{});
  const auto voice = (*surgeon)->setOutgoingAudioFeed("voice", AudioInputComponentTone{});
  ASSERT_TRUE(listener->wait([&] { return mix->statistics().packets > 300; }, 30s)) << room.server.log();
  const auto again = (*listener)->setIncomingAudioFeed(AudioOutputComponentNull{});
  ASSERT_TRUE(listener->wait([&] { return again->statistics().packets > 20; }));
  EXPECT_LT(again->statistics().packets, 200u) << "what the one before it heard is not counted again";
}

TEST(FeedStatistics, tell_at_both_ends_how_much_is_lost_and_how_long_the_way_is) {
  Room room;
  const UdpLoss loss(5);
  const auto surgeon = room.enter("surgeon"), student = room.enter("student");
  const auto sent = (*surgeon)->addOutgoingVideoFeed("camera", {VideoInputComponentTestPattern{}, {VideoCodec::vp8, 1'000'000, 640, 360, 30}});
  ASSERT_TRUE(student->wait([&] { return student->happened().feeds.size() == 1; }));
  const auto received = (*student)->subscribeVideoFeed(student->happened().feeds[0].id, VideoOutputComponentNull{});
  for (const auto& [what, feed, probe] : {std::tuple<const char*, Feed*, SessionProbe*>{"sent", sent.get(), surgeon.get()}, {"received", received.get(), student.get()}}) {
    SCOPED_TRACE(what);
    double worst = 0;
    ASSERT_TRUE(probe->wait([&, f = feed] {
      worst = std::max(worst, f->statistics().fractionLost);
      return f->statistics().packets > 600 && worst > 0;
    }, 40s)) << room.server.log();
    const FeedStatistics statistics = feed->statistics();
    const double share = static_cast<double>(statistics.packetsLost) / static_cast<double>(statistics.packets + static_cast<std::uint64_t>(statistics.packetsLost));
    EXPECT_GT(share, 0.01);
    EXPECT_LT(share, 0.15);
    EXPECT_LT(worst, 0.5);
    EXPECT_GT(statistics.packetsRetransmitted, 0u);
    EXPECT_GT(statistics.roundTrip, 0us);
    EXPECT_LT(statistics.roundTrip, 1s);
  }
}

TEST(FeedErrors, a_viewer_that_cannot_decode_a_feed_is_told_the_codec_in_words) {
  ServerProcess server;
  Relay relay(server.port());
  relay.falsify("VP8/90000", "VP7/90000");  // to the viewer only
  SessionProbe viewer("http://127.0.0.1:" + std::to_string(relay.port()) + "/s/theatre", server.token("theatre", "viewer"));
  SessionProbe camera(server.session_url("theatre"), server.token("theatre", "camera"));
  ASSERT_TRUE(viewer.connect() && camera.connect());
  const auto sent = camera->addOutgoingVideoFeed("camera", {VideoInputComponentTestPattern{}, {VideoCodec::vp8, 150'000, 320, 180, 10}});
  ASSERT_TRUE(viewer.wait([&] { return viewer.happened().feeds.size() == 1; })) << server.log();
  for (const char* when : {"subscribed before the refusal or after it", "subscribed after it"}) {
    const auto feed = viewer->subscribeVideoFeed(viewer.happened().feeds[0].id, VideoOutputComponentNull{});
    ASSERT_TRUE(viewer.wait([&] { return feed->state() == FeedState::failed; })) << when;
    EXPECT_EQ(feed->error(), Errc::unsupported) << when;
    EXPECT_NE(feed->errorMessage().find("VP8"), std::string::npos) << when << ": " << feed->errorMessage();
  }
}

}  // namespace
}  // namespace amphi::end_to_end
