// Lip sync over what senders put into their reports: each row is a sender's behaviour, in virtual time. Truthful reports align sound and
// picture within 20 ms. No report makes the alignment worse than the arrivals alone do.
#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <functional>

#include "base/random.h"
#include "recording/timeline.h"

namespace amphi::recording {
namespace {

constexpr Time kStart = Time(5000s);
constexpr Duration kLength = 60s;
constexpr Duration kNow = 3'900'000'000s;  // NTP time at the start: 2023

enum Stream { audio, video };

rtp::NtpTime ntp(Duration since_1900) {
  const auto seconds = since_1900.count() / 1'000'000'000, rest = since_1900.count() % 1'000'000'000;
  return {static_cast<std::uint64_t>(seconds) << 32 | ((static_cast<std::uint64_t>(rest) << 32) / 1'000'000'000)};
}
std::uint32_t rate(Stream stream) { return stream == audio ? 48'000 : 90'000; }
/// Timestamps count from the start; so a lie about them is most plausible.
rtp::WireTimestamp ticks(Duration media, std::uint32_t clock_rate) {
  return static_cast<rtp::WireTimestamp>(media.count() / 1000 * clock_rate / 1'000'000);
}

struct Report {
  rtp::NtpTime ntp;
  rtp::WireTimestamp rtp = 0;
};

struct Behaviour {
  const char* name;
  /// Of what the sender reports at `t`, when it has sent media until `media`. Truth: ntp(kNow + t), ticks(media).
  std::function<std::optional<Report>(Stream, Duration t, Duration media)> report;
  std::optional<Duration> in_sync_from{};                   // from when on within 20 ms
  std::function<Duration(Stream, Duration t)> media{};      // media time of what is captured at `t`
  std::function<bool(Stream, Duration t)> silent{};         // nothing is captured then
  std::optional<Duration> absolute_from{};                  // from when on within 100 ms of the capture, whatever the other stream does
};

struct Placed {
  std::vector<std::pair<Duration, Duration>> frames[2];  // captured at, lies so much later
  Drops drops;
};

Placed play(const Behaviour& row, bool reports) {
  Placed placed;
  ParticipantClock clock;
  SeededRandom random(11);
  FeedTimeline lines[2]{{rate(audio), kStart, Duration{}, clock, placed.drops}, {rate(video), kStart, Duration{}, clock, placed.drops}};
  struct Waiting {
    Time at;
    rtp::WireTimestamp timestamp;
    Time arrival;
    Duration captured;
  };
  std::deque<Waiting> waiting[2];
  Time held_until[2]{};
  const auto media = [&](Stream stream, Duration t) { return row.media ? row.media(stream, t) : t; };
  const auto release = [&](Stream stream, Time now) {
    for (auto& queue = waiting[stream]; !queue.empty() && held_until[stream] <= now; queue.pop_front()) {
      const Waiting& frame = queue.front();
      placed.frames[stream].emplace_back(frame.captured, lines[stream].place(frame.timestamp, frame.arrival) - frame.captured);
    }
  };
  for (Duration t{}; t < kLength; t += 5ms) {
    for (const Stream stream : {audio, video}) {
      const Duration jitter(static_cast<std::int64_t>(random.unit() * 15e6));
      const Duration every = stream == audio ? 20ms : 40ms;
      if (t % every == 0s && !(row.silent && row.silent(stream, t))) {
        const Time arrival = kStart + t + 20ms + jitter + (stream == video ? 70ms : 0ms);
        const rtp::WireTimestamp timestamp = ticks(media(stream, t), rate(stream));
        release(stream, arrival);
        if (lines[stream].observe(timestamp, arrival)) held_until[stream] = arrival + FeedTimeline::kProbe;
        waiting[stream].push_back({arrival, timestamp, arrival, t});
        release(stream, arrival);
      }
      if (!reports || t % 1s != (stream == audio ? 5ms : 755ms)) continue;
      if (const auto report = row.report(stream, t, media(stream, t)))
        lines[stream].handle_sender_report(report->ntp, report->rtp, kStart + t + 20ms + jitter);
    }
  }
  for (const Stream stream : {audio, video}) held_until[stream] = {}, release(stream, kStart + kLength);
  return placed;
}

/// For each picture, how much later it lies than the sound that was captured nearest to it.
std::vector<std::pair<Duration, double>> apart(const Placed& placed) {
  std::vector<std::pair<Duration, double>> result;
  const auto& sounds = placed.frames[audio];
  std::size_t near = 0;
  for (const auto& [captured, late] : placed.frames[video]) {
    while (near + 1 < sounds.size() && std::chrono::abs(sounds[near + 1].first - captured) <= std::chrono::abs(sounds[near].first - captured)) ++near;
    if (std::chrono::abs(sounds[near].first - captured) > 50ms) continue;  // no sound there
    result.emplace_back(captured, std::chrono::duration<double, std::milli>(late - sounds[near].second).count());
  }
  return result;
}

std::optional<Report> truth(Stream stream, Duration t, Duration media) { return Report{ntp(kNow + t), ticks(media, rate(stream))}; }

/// Truth in the reports, but NTP time is `clock(stream, t)`.
auto with_clock(std::function<Duration(Stream, Duration)> clock) {
  return [clock](Stream stream, Duration t, Duration media) { return std::optional(Report{ntp(clock(stream, t)), ticks(media, rate(stream))}); };
}
auto set_at_20s(Duration by) {
  return with_clock([by](Stream, Duration t) { return kNow + t + (t >= 20s ? by : 0s); });
}
/// The stream's media time stands still in [20 s, 20 s + by), in which nothing is sent.
auto paused(Stream which, Duration by) {
  return [which, by](Stream stream, Duration t) { return stream == which && t >= 20s ? std::max(t - by, Duration(20s)) : t; };
}
auto silent(Stream which, Duration by) {
  return [which, by](Stream stream, Duration t) { return stream == which && t >= 20s && t < 20s + by; };
}

std::vector<Behaviour> behaviours() {
  std::vector<Behaviour> rows{
      {"no reports", [](Stream, Duration, Duration) { return std::optional<Report>(); }},
      {"true reports", truth, 8s},
      {"NTP 0", [](Stream stream, Duration, Duration media) { return std::optional(Report{{0}, ticks(media, rate(stream))}); }},
      {"an NTP time that stands still", with_clock([](Stream, Duration) { return kNow; })},
      {"NTP time counts from the sender's start", with_clock([](Stream, Duration t) { return t + 3s; }), 8s},
      {"a clock that is wrong by years", with_clock([](Stream, Duration t) { return t + 86'400s * 365 * 5; }), 8s},
      {"a clock in the year 2100", with_clock([](Stream, Duration t) { return kNow + 86'400s * 365 * 77 + t; }), 8s},
      {"NTP time wraps, as in 2036", with_clock([](Stream, Duration t) { return Duration(4'294'967'266s) + t; }), 8s},
      {"sound and picture report by clocks that are hours apart", with_clock([](Stream stream, Duration t) { return kNow + t + (stream == audio ? 2h : 0h); })},
      {"sound and picture report by clocks that are 3 s apart", with_clock([](Stream stream, Duration t) { return kNow + t + (stream == audio ? 3s : 0s); })},
      {"sound and picture report by clocks that are 3 s apart, the other way round", with_clock([](Stream stream, Duration t) { return kNow + t + (stream == video ? 3s : 0s); })},
      {"NTP time is fast by 300 ppm", with_clock([](Stream, Duration t) { return kNow + t + t * 3 / 10'000; }), 8s},
      {"NTP time is fast by 5 %", with_clock([](Stream, Duration t) { return kNow + t + t / 20; })},
      {"NTP time runs at half the rate", with_clock([](Stream, Duration t) { return kNow + t / 2; })},
      {"the first report again and again", [](Stream stream, Duration, Duration) { return truth(stream, 5ms, 5ms); }},
      {"each report three times", [](Stream stream, Duration t, Duration) { const Duration first = (t / 1s) / 3 * 3 * 1s + 5ms; return truth(stream, first, first); }},
      {"the timestamps of the other stream", [](Stream stream, Duration t, Duration) { return std::optional(Report{ntp(kNow + t), ticks(t, rate(stream == audio ? video : audio))}); }},
      {"the timestamp is always 0", [](Stream, Duration t, Duration) { return std::optional(Report{ntp(kNow + t), 0}); }},
      {"the picture's timestamps are 3 s ahead", [](Stream stream, Duration t, Duration media) { return truth(stream, t, stream == video ? media + 3s : media); }},
      {"the picture's timestamps are 3 s behind", [](Stream stream, Duration t, Duration media) { return truth(stream, t, stream == video ? media - 3s : media); }},
      {"only the sound reports", [](Stream stream, Duration t, Duration media) { return stream == audio ? truth(stream, t, media) : std::nullopt; }},
      {"reports begin 3 s before the media", truth, 12s, {}, [](Stream, Duration t) { return t < 3s; }},
      {"the microphone starts again: timestamps go back", truth, 26s, [](Stream stream, Duration t) { return stream == audio && t >= 20s ? t - 15s : t; }},
      {"the microphone starts again: timestamps leap ahead", truth, 26s, [](Stream stream, Duration t) { return stream == audio && t >= 20s ? t + 3h : t; }},
      {"the camera starts again after 4 s: timestamps go back", truth, 32s, [](Stream stream, Duration t) { return stream == video && t >= 24s ? t - 24s : t; }, silent(video, 4s)},
      {"the microphone is silent for 5 s, its timestamps go on", truth, 8s, {}, silent(audio, 5s), 8s},
  };
  for (const Duration by : {Duration(5ms), Duration(-5ms), Duration(60ms), Duration(-60ms), Duration(300ms), Duration(-300ms), Duration(2s), Duration(-2s), Duration(1h), Duration(-1h)})
    rows.push_back({"the clock is set while it sends", set_at_20s(by), 8s});
  for (const Duration by : {400ms, 700ms, 1500ms, 2000ms, 5000ms, 20'000ms}) {
    rows.push_back({"the microphone pauses, and its timestamps with it", truth, 28s, paused(audio, by), silent(audio, by), 8s});
    rows.push_back({"the microphone pauses, and its timestamps with it; no reports", [](Stream, Duration, Duration) { return std::optional<Report>(); }, {}, paused(audio, by), silent(audio, by), 8s});
    rows.push_back({"the camera pauses, and its timestamps with it", truth, 28s, paused(video, by), silent(video, by)});
  }
  return rows;
}

}  // namespace

TEST(SenderReports, align_sound_and_picture_where_they_are_true_and_are_never_worse_than_none) {
  for (const Behaviour& row : behaviours()) {
    SCOPED_TRACE(row.name);
    const Placed with = play(row, true), without = play(row, false);
    const auto reported = apart(with), arrived = apart(without);
    ASSERT_EQ(reported.size(), arrived.size());
    ASSERT_GT(reported.size(), 900u);
    double worse = 0, worst_in_sync = 0;
    Duration worse_at{}, out_at{};
    for (std::size_t i = 0; i < reported.size(); ++i) {
      const double by = std::abs(reported[i].second) - std::max(20.0, std::abs(arrived[i].second));
      if (by > worse) worse = by, worse_at = reported[i].first;
      if (row.in_sync_from && reported[i].first >= *row.in_sync_from && std::abs(reported[i].second) > worst_in_sync)
        worst_in_sync = std::abs(reported[i].second), out_at = reported[i].first;
    }
    EXPECT_LE(worse, 15) << "ms more than without reports, at " << to_ms(worse_at) << " ms";
    EXPECT_LE(worst_in_sync, 20) << "ms apart, at " << to_ms(out_at) << " ms";
    if (row.absolute_from)
      for (const auto& [captured, late] : with.frames[audio])
        if (captured >= *row.absolute_from) {
          EXPECT_NEAR(static_cast<double>(to_ms(late)), 0, 100) << "captured at " << to_ms(captured);
        }
  }
}

TEST(SenderReports, with_ntp_0_or_with_contradictions_are_counted) {
  const auto rows = behaviours();
  const auto drops = [&](std::string_view name) {
    for (const Behaviour& row : rows)
      if (row.name == name) return play(row, true).drops;
    return Drops{};
  };
  EXPECT_EQ(drops("NTP 0")[Drop::report_without_clock], 120u);
  EXPECT_EQ(drops("an NTP time that stands still")[Drop::implausible_report], 118u);
  EXPECT_EQ(drops("true reports")[Drop::implausible_report], 0u);
}

}  // namespace amphi::recording
