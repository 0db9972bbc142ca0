// A feed that sends media which cannot be recorded is told apart from one that sends nothing, while the recording runs and in its manifest.
#include <gtest/gtest.h>

#include "recording/test_reports.h"
#include "recording/verify.h"

namespace amphi::recording::test {
namespace {

struct Unrecordable {
  const char* name;
  rtp::Codec codec;
  Bytes payload;
  FeedReason reason;
  const char* message;
};

}  // namespace

TEST(FeedStatus, a_muted_feed_is_told_at_once_and_until_it_is_unmuted_and_in_the_manifest_where_it_has_no_track) {
  Studio studio;
  Camera camera{studio};
  studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(0ms));
  studio.recorder.add_feed(feed("never", vp8_codec()), studio.at(0ms), true);
  camera.send(0ms, 3s);
  EXPECT_EQ(status_of(studio, "cam").reason, FeedReason::recorded);
  EXPECT_EQ(status_of(studio, "never").reason, FeedReason::muted);
  studio.recorder.remove_feed(FeedId("cam"), studio.at(3s));
  studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(3s), true);
  studio.run_until(studio.at(4100ms));
  EXPECT_EQ(status_of(studio, "cam").reason, FeedReason::muted);
  EXPECT_EQ(status_of(studio, "cam").since, 3s);
  studio.run_until(studio.at(10s));
  const std::string said = "camera: not recorded, muted by an administrator for ";
  EXPECT_EQ(status_of(studio, "cam").message.substr(0, said.size()), said);
  EXPECT_EQ(status_of(studio, "cam").since, 3s);
  studio.recorder.remove_feed(FeedId("cam"), studio.at(10s));
  studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(10s));
  camera.send(10s, 13s);
  EXPECT_EQ(status_of(studio, "cam").reason, FeedReason::recorded);
  studio.stop(14s);
  EXPECT_EQ(manifest_of(studio)["feedsWithoutMedia"][0]["reason"], "muted");
}

TEST(FeedStatus, media_that_cannot_be_recorded_are_told_with_the_reason_while_they_arrive) {
  const Unrecordable table[] = {
      {"vp8 without a keyframe", vp8_codec(), kDelta, FeedReason::no_keyframe, "camera: not recorded, no keyframe for 5 s"},
      {"h264 without a keyframe", h264_codec(), nal({0x41, 0x9a, 0, 0}), FeedReason::no_keyframe, "camera: not recorded, no keyframe for 5 s"},
      {"a keyframe without parameter sets", h264_codec(), nal({0x65, 0xb8, 0, 0}), FeedReason::missing_parameter_sets,
       "camera: not recorded, no H264 parameter sets (SPS and PPS) for 5 s"},
      {"interleaved aggregation (STAP-B)", h264_codec(), nal({25, 0, 1, 0, 2, 0x41, 0x9a}), FeedReason::unsupported_packetization,
       "camera: not recorded, unsupported H264 packetization (interleaved mode) for 5 s"},
      {"interleaved fragments (FU-B)", h264_codec(), nal({29, 0x85, 0, 1, 0}), FeedReason::unsupported_packetization,
       "camera: not recorded, unsupported H264 packetization (interleaved mode) for 5 s"},
      {"MTAP", h264_codec(), nal({26, 0, 1, 0, 2, 0, 0, 0, 0x41}), FeedReason::unsupported_packetization,
       "camera: not recorded, unsupported H264 packetization (interleaved mode) for 5 s"},
      {"an Opus packet of an impossible length", opus_codec(), nal({0xff, 0x3f}), FeedReason::malformed,
       "camera: not recorded, the payload is not valid opus for 5 s"},
  };
  for (const Unrecordable& each : table) {
    SCOPED_TRACE(each.name);
    Studio studio;
    studio.recorder.add_feed(feed("camera", each.codec), studio.at(0ms));
    studio.recorder.add_feed(feed("muted", each.codec), studio.at(0ms));
    send(studio, "camera", each.payload, 0ms, 1900ms);
    EXPECT_FALSE(loses_media(status_of(studio, "camera").reason)) << "too early to tell";
    send(studio, "camera", each.payload, 1914ms, 15'900ms);
    const FeedStatus status = status_of(studio, "camera");
    EXPECT_EQ(wire_name(status.reason), wire_name(each.reason));
    EXPECT_EQ(status.since, Duration::zero());
    EXPECT_EQ(status_of(studio, "muted").reason, FeedReason::waiting_for_media);
    std::vector<std::string> messages;
    for (const auto& report : studio.reports)
      for (const auto& one : report.second.feeds)
        if (one.feed.value == "camera") messages.push_back(one.message);
    EXPECT_LE(messages.size(), 5u) << "told once, and again every 5 s";
    std::string expected = each.message;
    expected.replace(expected.rfind(" 5 s"), 4, " 13 s");
    EXPECT_EQ(messages.back().substr(0, expected.size() - 5), expected.substr(0, expected.size() - 5));
    studio.stop(16s);
    const auto manifest = nlohmann::json::parse(studio.manifest());
    ASSERT_EQ(manifest["feedsWithoutMedia"].size(), 2u);
    EXPECT_EQ(manifest["feedsWithoutMedia"][0]["reason"], wire_name(each.reason));
    EXPECT_GT(manifest["feedsWithoutMedia"][0]["packets"], 400);
    EXPECT_FALSE(manifest["feedsWithoutMedia"][0]["dropped"].empty());
    EXPECT_EQ(manifest["feedsWithoutMedia"][1]["reason"], "waiting_for_media");
    EXPECT_EQ(manifest["feedsWithoutMedia"][1]["packets"], 0);
  }
}

TEST(FeedStatus, a_feed_that_is_recorded_and_then_cannot_be_is_told_and_told_again_when_it_recovers) {
  Studio studio;
  studio.recorder.add_feed(feed("voice", opus_codec()), studio.at(0ms));
  const Bytes bad = nal({0xff, 0x3f});
  send(studio, "voice", kOpus, 0ms, 3s, 1584);
  EXPECT_EQ(status_of(studio, "voice").reason, FeedReason::recorded);
  EXPECT_EQ(status_of(studio, "voice").message, "");
  send(studio, "voice", bad, 3003ms, 9s, 1584);
  EXPECT_EQ(status_of(studio, "voice").reason, FeedReason::malformed);
  EXPECT_NEAR(static_cast<double>(to_ms(status_of(studio, "voice").since)), 3003, 40);
  send(studio, "voice", kOpus, 9009ms, 12s, 1584);
  EXPECT_EQ(status_of(studio, "voice").reason, FeedReason::recorded);
  studio.run_until(studio.at(20s));
  EXPECT_EQ(status_of(studio, "voice").reason, FeedReason::silent);
  studio.stop(20s);
  const auto gaps = nlohmann::json::parse(studio.manifest())["tracks"][0]["gaps"];
  ASSERT_EQ(gaps.size(), 2u);
  EXPECT_EQ(gaps[0]["reason"], "malformed");
  EXPECT_NEAR(gaps[0]["fromMs"].get<double>(), 3000, 80);
  EXPECT_NEAR(gaps[0]["toMs"].get<double>(), 9009, 80);
}

TEST(FeedStatus, a_report_is_given_at_most_once_a_second_and_lists_only_feeds_that_are_there) {
  Studio studio;
  for (int i = 0; i < 200; ++i) {
    const Time now = studio.at(50ms * i);
    studio.run_until(now);
    studio.recorder.add_feed(feed("fd_" + std::to_string(i), opus_codec()), now);
    studio.packet("fd_" + std::to_string(i), 1, 0, true, kOpus, now);
    if (i > 0) studio.recorder.remove_feed(FeedId("fd_" + std::to_string(i - 1)), now);
  }
  ASSERT_LE(studio.reports.size(), 11u);
  ASSERT_GE(studio.reports.size(), 9u);
  EXPECT_LE(studio.reports.back().second.feeds.size(), 2u);
  studio.stop(10s);
  EXPECT_EQ(studio.finished->drops[Drop::refused_feed], 0u);
}

TEST(FeedStatus, a_single_late_packet_behind_the_newest_frame_is_no_loss) {
  Studio studio;
  studio.recorder.add_feed(feed("voice", opus_codec()), studio.at(0ms));
  send(studio, "voice", kOpus, 0ms, 3s, 1584);
  studio.packet("voice", 5, 5 * 2970, true, kOpus, studio.at(3010ms));  // a duplicate
  studio.run_until(studio.at(7500ms));
  for (const auto& report : studio.reports)
    for (const auto& status : report.second.feeds) EXPECT_FALSE(loses_media(status.reason));
}

TEST(FeedStatus, parameter_sets_in_the_description_make_a_feed_recordable_and_sets_in_packets_win) {
  const std::string description = "packetization-mode=1;sprop-parameter-sets=Z0LADYyNQKDLzwDwiEag,aM48gA==";
  const Bytes idr = nal({0x65, 0xb8, 1, 2}), slice = nal({0x41, 0x9a, 1, 2});
  const Bytes own_sps = nal({0x67, 0x42, 0xc0, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xbb, 0x01, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 0, 0xa0, 0xf1, 0x83, 0x24, 0x80});
  Studio studio;
  studio.recorder.add_feed(feed("described", {rtp::CodecName::h264, 90'000, 0, description}), studio.at(0ms));
  studio.recorder.add_feed(feed("lying", {rtp::CodecName::h264, 90'000, 0, "packetization-mode=1;sprop-parameter-sets=Z0I=,aM48gA=="}), studio.at(0ms));
  studio.recorder.add_feed(feed("both", {rtp::CodecName::h264, 90'000, 0, description}), studio.at(0ms));
  rtp::Seq both = 0;
  for (int n = 0; n < 150; ++n) {
    const Duration at = 33ms * n;
    const auto timestamp = static_cast<rtp::WireTimestamp>(n) * 3000;
    for (const char* id : {"described", "lying"}) studio.packet(id, n, timestamp, true, n % 30 == 0 ? idr : slice, studio.at(at));
    if (n == 0) {
      studio.packet("both", both++, timestamp, false, own_sps, studio.at(at));
      studio.packet("both", both++, timestamp, false, nal({0x68, 0xce, 0x3c, 0x80}), studio.at(at));
    }
    studio.packet("both", both++, timestamp, true, n % 30 == 0 ? idr : slice, studio.at(at));
  }
  EXPECT_EQ(status_of(studio, "described").reason, FeedReason::recorded);
  EXPECT_EQ(status_of(studio, "lying").reason, FeedReason::missing_parameter_sets);
  studio.stop(5s);
  const auto manifest = manifest_of(studio);
  ASSERT_EQ(manifest["tracks"].size(), 2u);
  for (const auto& track : manifest["tracks"]) {
    EXPECT_EQ(track["width"], track["feedId"] == "described" ? 320 : 1280) << track.dump();
    EXPECT_EQ(track["frames"], 150) << track.dump();
  }
  EXPECT_EQ(manifest["feedsWithoutMedia"][0]["dropped"]["ignored_parameter_sets"], 1);
}

}  // namespace amphi::recording::test
