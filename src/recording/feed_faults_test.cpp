// Faults of a feed that is recorded are told while they last, and of no feed that is ordinary.
#include <gtest/gtest.h>

#include "recording/test_reports.h"

namespace amphi::recording::test {
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
    const auto manifest = manifest_of(studio);
    for (const auto& gap : manifest["tracks"][0]["gaps"]) EXPECT_NE(gap["reason"], "silent") << gap;
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

TEST(FeedFaults, ordinary_feeds_have_none) {
  struct Row {
    const char* name;
    bool audio;
    Duration (*sent)(int n);   // the n-th packet; its timestamp is the time when it was sent
    Duration (*delay)(int n);  // until it arrives
  };
  const auto at_once = [](int) -> Duration { return 0ms; };
  const auto voice = [](int n) -> Duration { return 20ms * n; };
  const auto film = [](int n) -> Duration { return 33ms * n; };
  const auto retransmitted = [](int n) -> Duration { return n % 20 == 7 ? 90ms : 0ms; };
  const Row table[] = {
      {"a microphone, 5 % retransmitted", true, voice, retransmitted},
      {"a camera, 5 % retransmitted", false, film, retransmitted},
      {"a camera over a network with jitter", false, film, [](int n) -> Duration { return 7ms * (n * 37 % 11); }},
      {"a slide each 3 s", false, [](int n) -> Duration { return 3s * n; }, at_once},
      {"a slide each second", false, [](int n) -> Duration { return 1s * n + 3ms * (n % 7); }, at_once},
      {"a microphone in DTX", true, [](int n) -> Duration { return 400ms * n; }, at_once},
      {"a microphone that speaks every other second", true, [](int n) -> Duration { return n / 53 * 2s + (n % 53 < 50 ? 20ms * (n % 53) : 1s + 400ms * (n % 53 - 50)); }, at_once},
      {"a shared screen that stands still after 3 s", false, [](int n) -> Duration { return n < 90 ? 33ms * n : 2970ms + (1s + 3ms * (n % 7)) * (n - 89); }, at_once},
      {"frames in pairs, as a slow encoder gives them", false, [](int n) -> Duration { return 66ms * (n / 2) + 33ms * (n % 2); }, [](int n) -> Duration { return n % 2 == 0 ? 33ms : 0ms; }},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.name);
    std::vector<std::pair<Duration, int>> arrivals;
    for (int n = 0; row.sent(n) < 60s; ++n) arrivals.emplace_back(row.sent(n) + row.delay(n), n);
    std::sort(arrivals.begin(), arrivals.end());
    Studio studio;
    studio.recorder.add_feed(feed("one", row.audio ? opus_codec() : vp8_codec()), studio.at(0ms));
    for (const auto& [at, n] : arrivals) {
      const auto timestamp = static_cast<rtp::WireTimestamp>(row.sent(n) / 1us * (row.audio ? 48 : 90) / 1000);
      studio.packet("one", n, timestamp, true, row.audio ? kOpus : n == 0 ? kKey : kDelta, studio.at(at));
    }
    for (const auto& report : studio.reports)
      for (const FeedStatus& status : report.second.feeds) {
        EXPECT_FALSE(loses_media(status.reason)) << wire_name(status.reason);
        for (const FaultStatus& fault : status.faults) EXPECT_EQ(fault.message, "");
      }
    studio.stop(60s);
    EXPECT_EQ(manifest_of(studio)["tracks"][0]["gaps"].size(), 0u) << manifest_of(studio)["tracks"][0]["gaps"];
  }
}

}  // namespace amphi::recording::test
