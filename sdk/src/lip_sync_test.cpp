#include "lip_sync.h"

#include <gtest/gtest.h>

#include "freeze_meter.h"

namespace amphi::sdk {
namespace {

rtp::NtpTime ntp(Duration wall) {
  const auto ns = static_cast<std::uint64_t>(wall.count());
  return {(ns / 1'000'000'000) << 32 | ((ns % 1'000'000'000) << 32) / 1'000'000'000};
}

/// A sender whose wall clock is its own, two streams, and a network that delays each differently.
struct Rig {
  LipSync sync;
  Time now{100s};
  std::map<std::string, Duration> held;
  Rig() {
    sync.add("audio", "ann", 48'000);
    sync.add("video", "ann", 90'000);
    sync.add("other", "bob", 90'000);
  }
  void run(Duration length, Duration audio_transit, Duration video_transit) {
    const Duration wall_offset = 3'900'000'000s;  // NTP counts from 1900
    for (const Time end = now + length; now < end; now += 20ms) {
      const auto send = [&](const char* feed, Duration transit, std::int64_t rate, std::uint32_t base) {
        const Duration captured = now.time_since_epoch() - transit;
        const auto ts = static_cast<rtp::WireTimestamp>(base + captured.count() / 1'000 * rate / 1'000'000);
        sync.on_sender_report(feed, ntp(captured + wall_offset), ts);
        sync.on_packet(feed, ts, now);
      };
      send("audio", audio_transit, 48'000, 7);
      send("video", video_transit, 90'000, 4'294'900'000u);  // wraps on the way
      for (const auto& hold : sync.poll(now)) held[hold.feed] = hold.delay;
    }
  }
};

TEST(LipSync, the_earlier_stream_is_held_back_until_both_are_equally_late) {
  Rig rig;
  rig.run(5s, 20ms, 120ms);
  EXPECT_NEAR(static_cast<double>(to_ms(rig.held["audio"])), 100.0, 1.0);
  EXPECT_FALSE(rig.held.contains("video"));
}

TEST(LipSync, a_change_is_followed_and_small_changes_are_left_alone) {
  Rig rig;
  rig.run(5s, 20ms, 120ms);
  rig.held.clear();
  rig.run(10s, 22ms, 120ms);
  EXPECT_TRUE(rig.held.empty());
  rig.run(15s, 120ms, 20ms);
  EXPECT_NEAR(static_cast<double>(to_ms(rig.held["video"])), 100.0, 1.0);
  EXPECT_NEAR(static_cast<double>(to_ms(rig.held["audio"])), 0.0, 1.0);
}

TEST(LipSync, a_clock_that_is_off_by_minutes_holds_nothing) {
  Rig rig;
  rig.sync.on_sender_report("audio", ntp(1000s), 0);
  rig.sync.on_packet("audio", 0, rig.now);
  rig.sync.on_sender_report("video", ntp(2000s), 0);
  rig.sync.on_packet("video", 0, rig.now);
  EXPECT_TRUE(rig.sync.poll(rig.now).empty());
}

TEST(FreezeMeter, only_pauses_that_people_notice_are_freezes) {
  struct Row {
    Duration pause;
    std::uint64_t freezes;
  };
  for (const Row& row : {Row{33ms, 0}, Row{100ms, 0}, Row{180ms, 0}, Row{190ms, 1}, Row{2s, 1}}) {
    FreezeMeter meter;
    Time now{1s};
    for (int i = 0; i < 60; ++i) meter.on_frame(now += 33ms);
    meter.on_frame(now += row.pause);
    for (int i = 0; i < 60; ++i) meter.on_frame(now += 33ms);
    EXPECT_EQ(meter.freezes(), row.freezes) << to_ms(row.pause);
    EXPECT_EQ(meter.frozen(), row.freezes > 0 ? row.pause : Duration{});
  }
}

}  // namespace
}  // namespace amphi::sdk
