// A feed that sends media which cannot be recorded is told apart from one that sends nothing, while the recording runs and in its manifest.
#include <gtest/gtest.h>

#include "recording/test_camera.h"
#include "recording/verify.h"

namespace amphi::recording::test {
namespace {

/// The newest report's status of a feed.
FeedStatus status_of(const Studio& studio, const std::string& id) {
  for (auto report = studio.reports.rbegin(); report != studio.reports.rend(); ++report)
    for (const FeedStatus& status : report->second.feeds)
      if (status.feed.value == id) return status;
  return {};
}

/// Sends the payload thirty times a second; `ticks`: of the codec's clock, from one to the next.
void send(Studio& studio, const std::string& id, const Bytes& payload, Duration from, Duration to, rtp::WireTimestamp ticks = 2970) {
  int n = static_cast<int>(from / 33ms);
  for (Duration at = from; at < to; at += 33ms, ++n)
    studio.packet(id, n, static_cast<rtp::WireTimestamp>(n) * ticks, true, payload, studio.at(at));
}

Bytes nal(std::initializer_list<unsigned> bytes) {
  Bytes out;
  for (const unsigned each : bytes) out.push_back(static_cast<std::byte>(each));
  return out;
}

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

namespace {

/// How often a fault began and ended, and the words of its beginning.
struct Told {
  int changes = 0;
  std::string first, last;
};
Told told(const Studio& studio, FeedFault fault, const std::string& id = "one") {
  Told told;
  for (const auto& report : studio.reports)
    for (const FeedStatus& status : report.second.feeds) {
      if (status.feed.value != id) continue;
      const FaultStatus& now = status.of(fault);
      if (now.changed && told.changes++ == 0) told.first = now.message;
      told.last = now.message;
    }
  return told;
}

using Loses = bool (*)(int n, Duration at);

struct Lossy {
  const char* name;
  Loses loses;       // of the packets, fifty a second for 20 s
  bool garbage;      // comes with a payload that is not valid, instead of not at all
  const char* told;  // begin of the message at the end; nullptr: never told
  FeedReason reason;
};

}  // namespace

TEST(FeedFaults, a_feed_that_loses_a_part_of_its_media_is_told_with_the_share) {
  const Lossy table[] = {
      {"none", [](int, Duration) { return false; }, false, nullptr, FeedReason::recorded},
      {"2 %", [](int n, Duration) { return n % 50 == 7; }, false, nullptr, FeedReason::recorded},
      {"10 %", [](int n, Duration) { return n % 10 == 7; }, false, "camera: 10 % of its media of the last 5 s are lost", FeedReason::recorded},
      {"10 % garbage", [](int n, Duration) { return n % 10 == 7; }, true, "camera: 10 %", FeedReason::recorded},
      {"40 %", [](int n, Duration) { return n % 5 > 2; }, false, "camera: 40 %", FeedReason::recorded},
      {"40 % garbage", [](int n, Duration) { return n % 5 > 2; }, true, "camera: 40 %", FeedReason::recorded},
      {"90 %", [](int n, Duration) { return n % 10 != 0; }, false, "camera: 90 %", FeedReason::media_lost},
      {"90 % garbage", [](int n, Duration) { return n % 10 != 0; }, true, "camera: 90 %", FeedReason::media_lost},
      {"97 % garbage", [](int n, Duration) { return n % 33 != 0; }, true, "camera: 97 %", FeedReason::media_lost},
      {"first nothing, then 40 %", [](int n, Duration at) { return at > 10s && n % 5 > 2; }, false, "camera: 40 %", FeedReason::recorded},
  };
  for (const Lossy& row : table) {
    SCOPED_TRACE(row.name);
    Studio studio;
    studio.recorder.add_feed(feed("one", opus_codec()), studio.at(0ms));
    for (int n = 0; n < 1000; ++n) {
      const bool lost = n > 0 && row.loses(n, 20ms * n);
      if (!lost || row.garbage) studio.packet("one", n, static_cast<rtp::WireTimestamp>(n) * 960, true, lost ? nal({0xff, 0x3f}) : kOpus, studio.at(20ms * n));
    }
    const Told fault = told(studio, FeedFault::media_lost);
    EXPECT_EQ(fault.changes, row.told ? 1 : 0) << "told once, and until the end";
    const std::string expected = row.told ? row.told : "";
    EXPECT_EQ(fault.last.substr(0, expected.empty() ? 99 : expected.size()), expected) << fault.last;
    const FeedStatus status = status_of(studio, "one");
    EXPECT_EQ(wire_name(status.reason), wire_name(row.reason));
    if (row.reason == FeedReason::media_lost) {
      EXPECT_EQ(status.message, fault.last);
    }
  }
}

TEST(FeedFaults, lost_media_are_no_longer_told_when_none_are_lost_for_a_while) {
  struct Row {
    const char* name;
    Loses loses;
    int changes;
  };
  const Row table[] = {
      {"half of 3 s", [](int n, Duration at) { return at > 5s && at < 8s && n % 2 == 0; }, 2},
      {"most of 3 s", [](int n, Duration at) { return at > 5s && at < 8s && n % 10 != 0; }, 2},
      {"nearly all for 6 s", [](int n, Duration at) { return at > 5s && at < 11s && n % 25 != 0; }, 2},
      {"twice", [](int n, Duration at) { return ((at > 5s && at < 8s) || (at > 16s && at < 18s)) && n % 2 == 0; }, 3},
      {"around the limit", [](int n, Duration at) { return n % (at / 2s % 2 == 0 ? 14 : 30) == 3; }, 1},
      {"an outage of the network", [](int, Duration at) { return at > 5s && at < 11s; }, 0},
      {"a short outage", [](int, Duration at) { return at > 5s && at < 5500ms; }, 0},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.name);
    Studio studio;
    studio.recorder.add_feed(feed("one", opus_codec()), studio.at(0ms));
    for (int n = 0; n < 1000; ++n)
      if (!row.loses(n, 20ms * n)) studio.packet("one", n, static_cast<rtp::WireTimestamp>(n) * 960, true, kOpus, studio.at(20ms * n));
    const Told fault = told(studio, FeedFault::media_lost);
    EXPECT_EQ(fault.changes, row.changes);
    EXPECT_EQ(fault.last.empty(), row.changes % 2 == 0);
    EXPECT_EQ(status_of(studio, "one").reason, FeedReason::recorded);
  }
}

TEST(FeedFaults, a_camera_of_which_a_frame_in_two_seconds_is_recorded_loses_most_of_its_media) {
  Studio studio;
  studio.recorder.add_feed(feed("one", vp8_codec()), studio.at(0ms));
  for (int n = 0; n < 300; ++n)
    studio.packet("one", n, static_cast<rtp::WireTimestamp>(n) * 2970, true, n % 60 == 0 ? kKey : n % 2 == 1 ? nal({0x10}) : kDelta, studio.at(33ms * n));
  const FeedStatus status = status_of(studio, "one");
  EXPECT_EQ(wire_name(status.reason), "media_lost");
  EXPECT_EQ(status.message.substr(0, 9), "camera: 9") << status.message;
}

TEST(FeedFaults, what_was_lost_before_the_first_keyframe_is_not_told) {
  Studio studio;
  studio.recorder.add_feed(feed("one", vp8_codec()), studio.at(0ms));
  for (int n = 0; n < 300; ++n) studio.packet("one", n, static_cast<rtp::WireTimestamp>(n) * 2970, true, n == 45 ? kKey : kDelta, studio.at(33ms * n));
  EXPECT_EQ(told(studio, FeedFault::media_lost).changes, 0);
}

TEST(FeedFaults, sources_that_send_beside_the_selected_one_are_told_and_counted) {
  struct Row {
    const char* name;
    Duration from, to;
    int changes;
  };
  for (const Row& row : {Row{"for 10 s", 1s, 11s, 2}, Row{"to the end", 1s, 26s, 1}, Row{"stragglers of a change", 2s, 2500ms, 0}}) {
    SCOPED_TRACE(row.name);
    Studio studio;
    studio.recorder.add_feed(feed("one", opus_codec()), studio.at(0ms));
    std::uint64_t dropped = 0;
    for (int n = 0; n < 1300; ++n) {
      const Duration at = 20ms * n;
      studio.packet("one", n, static_cast<rtp::WireTimestamp>(n) * 960, true, kOpus, studio.at(at));
      if (n % 25 != 0 || at < row.from || at >= row.to) continue;
      studio.recorder.handle_dropped(FeedId("one"), Drop::not_selected_source, 15, studio.at(at));
      dropped += 15;
    }
    const Told fault = told(studio, FeedFault::sources_compete);
    EXPECT_EQ(fault.changes, row.changes);
    if (row.changes > 0) {
      EXPECT_EQ(fault.first, "camera: several sources send at the same time; only one of them is recorded");
    }
    studio.stop(26s);
    EXPECT_EQ(manifest_of(studio)["tracks"][0]["dropped"]["not_selected_source"], dropped);
    EXPECT_EQ(manifest_of(studio)["tracks"][0]["packets"], 1300);
  }
}

TEST(FeedFaults, sources_that_take_turns_and_overlap_do_not_compete) {
  for (const Duration turn : {1s, 3s, 7s})
    for (const Duration overlap : {60ms, 900ms}) {
      SCOPED_TRACE("turns of " + std::to_string(to_ms(turn)) + " ms, overlap " + std::to_string(to_ms(overlap)));
      Studio studio;
      studio.recorder.add_feed(feed("one", opus_codec()), studio.at(0ms));
      for (int n = 0; n < 2000; ++n) {
        const Duration at = 20ms * n, into = at % turn;
        studio.packet("one", n, static_cast<rtp::WireTimestamp>(n) * 960, true, kOpus, studio.at(at), static_cast<std::uint32_t>(1 + at / turn % 2));
        if (at > turn && into < overlap && into % 500ms == 0ms) studio.recorder.handle_dropped(FeedId("one"), Drop::not_selected_source, 3, studio.at(at));
      }
      EXPECT_EQ(told(studio, FeedFault::sources_compete).changes, 0);
    }
}

TEST(FeedFaults, a_feed_whose_packets_the_connection_drops_is_not_silent) {
  Studio studio;
  studio.recorder.add_feed(feed("one", opus_codec()), studio.at(0ms));
  send(studio, "one", kOpus, 0ms, 3s, 1584);
  for (Duration at = 3500ms; at <= 20s; at += 500ms) {
    studio.run_until(studio.at(at));
    studio.recorder.handle_dropped(FeedId("one"), Drop::repeated_packet, 50, studio.at(at));
  }
  const FeedStatus status = status_of(studio, "one");
  EXPECT_EQ(wire_name(status.reason), "no_valid_frame");
  studio.stop(20s);
  const auto track = manifest_of(studio)["tracks"][0];
  EXPECT_EQ(track["dropped"]["repeated_packet"], 34 * 50);
  ASSERT_EQ(track["gaps"].size(), 1u);
  EXPECT_EQ(track["gaps"][0]["reason"], "no_valid_frame");
}

TEST(FeedFaults, timestamps_that_do_not_go_by_the_arrivals_are_told) {
  struct Row {
    const char* name;
    bool audio;
    std::uint32_t ticks;  // from packet to packet, 20 ms or 33 ms apart
    bool told;
  };
  const Row table[] = {{"an audio clock", true, 960, false},         {"a constant audio timestamp", true, 0, true},
                       {"an audio clock of 16 kHz", true, 320, true}, {"an audio clock of 90 kHz", true, 1800, true},
                       {"a video clock", false, 2970, false},         {"a constant video timestamp", false, 0, true},
                       {"a video clock of 1 kHz", false, 33, true},   {"a video clock that is 5 % fast", false, 3120, false}};
  for (const Row& row : table) {
    SCOPED_TRACE(row.name);
    Studio studio;
    studio.recorder.add_feed(feed("one", row.audio ? opus_codec() : vp8_codec()), studio.at(0ms));
    const Duration interval = row.audio ? 20ms : 33ms;
    for (int n = 0; n * interval < 10s; ++n)
      studio.packet("one", n, static_cast<rtp::WireTimestamp>(n) * row.ticks, true, row.audio ? kOpus : n == 0 ? kKey : kDelta, studio.at(interval * n));
    const Told fault = told(studio, FeedFault::bad_timestamps);
    EXPECT_EQ(fault.changes, row.told ? 1 : 0);
    studio.stop(10s);
    for (const auto& gap : manifest_of(studio)["tracks"][0]["gaps"]) EXPECT_NE(gap["reason"], "silent") << gap;
  }
}

TEST(FeedFaults, pauses_and_bursts_are_no_bad_timestamps) {
  struct Row {
    const char* name;
    Duration (*arrival)(int n);      // of the n-th packet
    Duration (*timestamp)(int n);
  };
  const Row table[] = {
      {"a microphone that pauses for 2 s without its timestamps", [](int n) -> Duration { return 20ms * n + 2s * (n / 100); }, [](int n) -> Duration { return 20ms * n; }},
      {"a microphone in DTX", [](int n) -> Duration { return 400ms * n; }, [](int n) -> Duration { return 400ms * n; }},
      {"a network that stalls for 3 s", [](int n) -> Duration { return n >= 100 && n < 250 ? 5s : 20ms * n; }, [](int n) -> Duration { return 20ms * n; }},
      {"a queue that grows to 2 s and is then sent at twice the pace",
       [](int n) -> Duration { return n < 100 ? 20ms * n : n < 225 ? 2s + 36ms * (n - 100) : n < 425 ? 6'500ms + 10ms * (n - 225) : 20ms * n; },
       [](int n) -> Duration { return 20ms * n; }},
      {"a single step", [](int n) -> Duration { return 20ms * n; }, [](int n) -> Duration { return 20ms * n + (n > 200 ? 30s : 0s); }},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.name);
    Studio studio;
    studio.recorder.add_feed(feed("one", opus_codec()), studio.at(0ms));
    for (int n = 0; n < 700; ++n) studio.packet("one", n, static_cast<rtp::WireTimestamp>(row.timestamp(n) / 1us * 48 / 1000), true, kOpus, studio.at(row.arrival(n)));
    EXPECT_EQ(told(studio, FeedFault::bad_timestamps).changes, 0);
  }
}

}  // namespace amphi::recording::test
