// Lip sync over what senders put into their reports: each row is a sender's behaviour, in virtual time. Truthful reports align sound and
// picture within 20 ms. No report makes the alignment worse than the arrivals alone do.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>

#include "base/random.h"
#include "recording/timeline.h"

namespace amphi::recording {
namespace {

constexpr Time kStart = Time(5000s);
constexpr Duration kLength = 60s;
constexpr Duration kNow = 3'900'000'000s + 7ms;  // NTP time at the start: 2023

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
  std::optional<Duration> steady_from{};                    // from when on reports or not, the streams stay within 20 ms of how they arrive
  std::function<Duration(Stream, Duration t)> late{};       // by which the network delays what is sent at `t`
  Duration jitter = 15ms;
  Duration report_every = 1s;
  std::vector<std::pair<Duration, Duration>> unless{};      // from, to: exempt from both, while nothing can be known yet
};

struct Placed {
  std::vector<std::pair<Duration, Duration>> frames[2];  // captured at, lies so much later
  Drops drops;
};

struct Event {
  Time arrival;
  Stream stream;
  Duration captured;
  rtp::WireTimestamp timestamp = 0;
  std::optional<Report> report{};
};

/// Everything that arrives, in the order of its arrival. A stream's packets keep their order.
std::vector<Event> events(const Behaviour& row, bool reports) {
  std::vector<Event> result;
  SeededRandom random(11);
  Time newest[2]{};
  for (Duration t{}; t < kLength; t += 5ms) {
    for (const Stream stream : {audio, video}) {
      const Duration media = row.media ? row.media(stream, t) : t;
      const Duration jitter(static_cast<std::int64_t>(random.unit() * static_cast<double>(row.jitter.count())));
      const Time sent = kStart + t + 20ms + jitter + (row.late ? row.late(stream, t) : 0s);
      const Duration every = stream == audio ? 20ms : 40ms;
      if (t % every == 0s && !(row.silent && row.silent(stream, t))) {
        newest[stream] = std::max(newest[stream], sent + (stream == video ? 70ms : 0ms));
        result.push_back({newest[stream], stream, t, ticks(media, rate(stream))});
      }
      if (!reports || t % row.report_every != (stream == audio ? 5ms : 755ms)) continue;
      if (const auto report = row.report(stream, t, media)) result.push_back({sent, stream, t, 0, report});
    }
  }
  std::stable_sort(result.begin(), result.end(), [](const Event& a, const Event& b) { return a.arrival < b.arrival; });
  return result;
}

Placed play(const Behaviour& row, bool reports) {
  Placed placed;
  ParticipantClock clock;
  FeedTimeline lines[2]{{rate(audio), kStart, Duration{}, clock, placed.drops}, {rate(video), kStart, Duration{}, clock, placed.drops}};
  std::deque<Event> waiting[2];
  Time held_until[2]{};
  const auto release = [&](Stream stream, Time now) {
    for (auto& queue = waiting[stream]; !queue.empty() && held_until[stream] <= now; queue.pop_front()) {
      const Event& frame = queue.front();
      placed.frames[stream].emplace_back(frame.captured, lines[stream].place(frame.timestamp, frame.arrival) - frame.captured);
    }
  };
  for (const Event& event : events(row, reports)) {
    FeedTimeline& line = lines[event.stream];
    if (event.report) {
      line.handle_sender_report(event.report->ntp, event.report->rtp, event.arrival);
      continue;
    }
    release(event.stream, event.arrival);
    if (line.observe(event.timestamp, event.arrival)) held_until[event.stream] = event.arrival + FeedTimeline::kProbe;
    waiting[event.stream].push_back(event);
    release(event.stream, event.arrival);
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

/// NTP time of one stream, or of both, is set by `by` at 20 s; back at `back`.
std::vector<Behaviour> clock_steps() {
  std::vector<Behaviour> rows;
  for (const Duration by : {50ms, 100ms, 300ms, 1000ms, 1500ms, 5000ms, 10'000ms, -50ms, -100ms, -300ms, -1000ms, -1500ms, -5000ms, -10'000ms}) {
    for (const Stream which : {audio, video}) {
      const auto step = [=](Duration back) {
        return with_clock([=](Stream stream, Duration t) { return kNow + t + (stream == which && t >= 20s && t < back ? by : 0s); });
      };
      rows.push_back({which == audio ? "only the sound's clock is set" : "only the picture's clock is set", step(kLength), 8s});
      rows.push_back({"one clock is set, and back", step(25s), 8s});
      rows.push_back({"one clock is set, and back at the next report", step(21s), 8s});
      Behaviour rare{"one clock is set, reports every 5 s", step(kLength), 16s};
      rare.report_every = 5s;
      rows.push_back(rare);
      rows.push_back({"one clock is set 2 s before the other", with_clock([=](Stream stream, Duration t) { return kNow + t + (t >= (stream == which ? 20s : 22s) ? by : 0s); }), 8s});
    }
    rows.push_back({"the clock of both is set, and back", with_clock([=](Stream, Duration t) { return kNow + t + (t >= 20s && t < 30s ? by : 0s); }), 8s});
    rows.push_back({"the clock of both is set every 7 s", with_clock([=](Stream, Duration t) { return kNow + t + t / 7s * by; }), 8s});
  }
  return rows;
}

std::vector<Behaviour> clock_drifts() {
  std::vector<Behaviour> rows;
  for (const int ppm : {100, 300, 1000, 2000, 5000, 10'000, -100, -300, -1000, -2000, -5000, -10'000}) {
    const Duration from = std::abs(ppm) < 10'000 ? 8s : 45s;
    for (const Stream which : {audio, video})
      rows.push_back({"NTP time of one stream drifts", with_clock([=](Stream stream, Duration t) { return kNow + t + (stream == which ? t * ppm / 1'000'000 : 0s); }), from});
    rows.push_back({"NTP time of both drifts", with_clock([=](Stream, Duration t) { return kNow + t + t * ppm / 1'000'000; }), from});
  }
  return rows;
}

/// Timestamps step, arrivals do not.
std::vector<Behaviour> timestamp_steps() {
  std::vector<Behaviour> rows;
  for (const Duration by : {60ms, 200ms, 500ms, 900ms, 1500ms, 7000ms, 25'200'000ms, -60ms, -200ms, -500ms, -900ms, -1500ms, -7000ms, -25'200'000ms}) {
    for (const Stream which : {audio, video}) {
      const auto stepped = [=](Stream stream, Duration t) { return stream == which && t >= 20s ? t + by : t; };
      const auto twice = [=](Stream stream, Duration t) { return stream == which && t >= 20s && t < 23s ? t + by : t; };
      for (const Duration every : {1s, 5s}) {
        Behaviour row{which == audio ? "the sound's timestamps step" : "the picture's timestamps step", truth, every == 1s ? 8s : 16s, stepped, {}, 8s, 8s};
        row.report_every = every;
        rows.push_back(row);
      }
      rows.push_back({"timestamps step, and back", truth, 8s, twice, {}, 8s, 8s});
    }
  }
  return rows;
}

/// The device pauses, and its timestamps stand still.
std::vector<Behaviour> short_pauses() {
  std::vector<Behaviour> rows;
  for (const Duration by : {40ms, 60ms, 100ms, 160ms, 240ms}) {
    for (const Stream which : {audio, video}) {
      if (which == video && by < 60ms) continue;  // shorter than two pictures
      for (const Duration every : {2s, 4s, 100s}) {
        const auto paused = [=](Duration t) { return t < 10s ? 0 : (t - 10s) / every + 1; };
        const auto silent_now = [=](Stream stream, Duration t) { return stream == which && t >= 10s && (t - 10s) % every < by; };
        const auto media = [=](Stream stream, Duration t) {
          if (stream != which || t < 10s) return t;
          return t - by * paused(t) + (silent_now(stream, t) ? by - (t - 10s) % every : 0s);
        };
        for (const Duration reported : {1s, 5s}) {
          Behaviour row{which == audio ? "the microphone pauses shortly" : "the camera pauses shortly", truth, reported == 1s ? 8s : 16s, media, silent_now, 8s, 8s};
          row.report_every = reported;
          for (Duration t = 10s; t < kLength; t += every) row.unless.emplace_back(t - 100ms, t + by + 400ms);
          rows.push_back(row);
        }
      }
    }
  }
  return rows;
}

/// The network delays, the sender does nothing wrong.
std::vector<Behaviour> stalls() {
  std::vector<Behaviour> rows;
  for (const Duration by : {100ms, 300ms, 600ms, 1500ms, 4000ms}) {
    const auto burst = [=](Duration t) { return t >= 20s && t < 20s + by ? 20s + by - t : 0s; };
    rows.push_back({"the network stalls, and a burst follows", truth, 8s, {}, {}, 8s, 8s, [=](Stream, Duration t) { return burst(t); }});
    rows.push_back({"the network stalls every 5 s", truth, 8s, {}, {}, 8s, 8s, [=](Stream, Duration t) { return t < 10s ? 0s : burst(20s + t % 5s); }});
    rows.push_back({"only the sound stalls", truth, 8s, {}, {}, 8s, 8s, [=](Stream stream, Duration t) { return stream == audio ? burst(t) : 0s; }});
    rows.push_back({"only the picture stalls", truth, 8s, {}, {}, 8s, 8s, [=](Stream stream, Duration t) { return stream == video ? burst(t) : 0s; }});
  }
  Behaviour jitter{"arrivals jitter by 100 ms", truth, 8s, {}, {}, 8s};
  jitter.jitter = 100ms;
  jitter.unless = {{0s, 2s}};
  rows.push_back(jitter);
  return rows;
}

/// A queue or another path delays one stream for good, or no longer: true reports mend the line.
std::vector<Behaviour> delay_changes() {
  std::vector<Behaviour> rows;
  for (const Duration by : {60ms, 100ms, 160ms, 240ms, 400ms, 900ms}) {
    for (const Stream which : {audio, video}) {
      for (const Duration skipped : {0ms, 200ms, 500ms}) {
        const auto queued = [=](Stream stream, Duration t) { return stream == which && t >= 10s && t < 30s ? by : 0s; };
        const auto no_frames = [=](Stream stream, Duration t) { return stream == which && t >= 30s - skipped && t < 30s; };
        for (const Duration every : {1s, 5s}) {
          Behaviour row{which == audio ? "the sound is delayed for 20 s" : "the picture is delayed for 20 s", truth, 8s, {}, no_frames, {}, {}, queued};
          row.report_every = every;
          row.unless = {{0s, every == 1s ? 8s : 16s}, {10s - 100ms, 10s + by + every + 6s}, {30s - skipped - 100ms, 30s + by + every + 6s}};
          rows.push_back(row);
        }
      }
    }
    for (const Duration every : {1s, 5s}) {
      Behaviour row{"another path delays both streams", truth, every == 1s ? 8s : 16s, {}, {}, {}, every == 1s ? 8s : 16s, [=](Stream, Duration t) { return t >= 20s ? by : 0s; }};
      row.report_every = every;
      if (by > 200ms) row.unless = {{20s, 22s + every}};  // mended at half speed, and the picture is captured 70 ms before it arrives
      rows.push_back(row);
    }
  }
  return rows;
}

/// Timestamps that say nothing about the time.
std::vector<Behaviour> useless_timestamps() {
  std::vector<Behaviour> rows;
  for (const Stream which : {audio, video}) {
    for (const double rate_of : {0.0, 1.0 / 90, 1.0 / 6, 1.0 / 3, 0.5, 44.1 / 48, 48 / 44.1, 2.0, 3.0, 6.0}) {
      const auto media = [=](Stream stream, Duration t) { return stream == which ? Duration(static_cast<std::int64_t>(static_cast<double>(t.count()) * rate_of)) : t; };
      Behaviour row{rate_of == 0 ? "the timestamp never changes" : "the clock rate is wrong", truth, {}, media};
      row.absolute_from = row.steady_from = 4s;
      row.unless = {{0s, 4s}};
      rows.push_back(row);
    }
  }
  return rows;
}

void expect_in_sync(const Behaviour& row) {
  SCOPED_TRACE(row.name);
  const Placed with = play(row, true), without = play(row, false);
  const auto reported = apart(with), arrived = apart(without);
  ASSERT_EQ(reported.size(), arrived.size());
  ASSERT_GT(reported.size(), 900u);
  double worse = 0, worst_in_sync = 0, least_steady = 0;
  Duration worse_at{}, out_at{}, unsteady_at{};
  for (std::size_t i = 0; i < reported.size(); ++i) {
    const Duration at = reported[i].first;
    if (std::any_of(row.unless.begin(), row.unless.end(), [&](const auto& span) { return at >= span.first && at < span.second; })) continue;
    const double by = std::abs(reported[i].second) - std::max(row.steady_from ? 70.0 : 20.0, std::abs(arrived[i].second));
    if (by > worse) worse = by, worse_at = at;
    if (row.in_sync_from && at >= *row.in_sync_from && std::abs(reported[i].second) > worst_in_sync) worst_in_sync = std::abs(reported[i].second), out_at = at;
    if (!row.steady_from || at < *row.steady_from) continue;
    const double unsteady = std::abs(arrived[i].second - 70);
    if (unsteady > least_steady) least_steady = unsteady, unsteady_at = at;
  }
  EXPECT_LE(worse, 15) << "ms more than without reports, at " << to_ms(worse_at) << " ms";
  EXPECT_LE(worst_in_sync, 20) << "ms apart, at " << to_ms(out_at) << " ms";
  EXPECT_LE(least_steady, 20) << "ms from how the streams arrive, without reports, at " << to_ms(unsteady_at) << " ms";
  if (!row.absolute_from) return;
  double worst = 0;
  Duration worst_at{};
  for (const auto& [captured, late] : with.frames[audio])
    if (captured >= *row.absolute_from && std::abs(static_cast<double>(to_ms(late))) > worst) worst = std::abs(static_cast<double>(to_ms(late))), worst_at = captured;
  EXPECT_LE(worst, 100) << "from the capture, at " << to_ms(worst_at);
}

void expect_in_sync(const std::vector<Behaviour>& rows) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    SCOPED_TRACE(i);
    expect_in_sync(rows[i]);
  }
}

}  // namespace

TEST(SenderReports, align_sound_and_picture_where_they_are_true_and_are_never_worse_than_none) { expect_in_sync(behaviours()); }

TEST(SenderReports, of_a_clock_that_is_set_for_one_stream_or_both_move_nothing) { expect_in_sync(clock_steps()); }

TEST(SenderReports, of_a_clock_that_drifts_for_one_stream_or_both_move_nothing) { expect_in_sync(clock_drifts()); }

TEST(SenderReports, or_none_keep_streams_together_when_timestamps_step) { expect_in_sync(timestamp_steps()); }

TEST(SenderReports, or_none_keep_streams_together_when_a_device_pauses_shortly) { expect_in_sync(short_pauses()); }

TEST(SenderReports, or_none_keep_streams_together_when_the_network_stalls) { expect_in_sync(stalls()); }

TEST(SenderReports, mend_the_line_when_the_delay_of_one_stream_changes) { expect_in_sync(delay_changes()); }

TEST(SenderReports, or_none_keep_streams_together_when_timestamps_are_useless) { expect_in_sync(useless_timestamps()); }

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
