// The time line in virtual time: skewed clocks, late and jumping reports, jitter, pauses.
#include "recording/timeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace amphi::recording {
namespace {

constexpr Time kStart = Time(5000s);

/// One participant's sender: it captures on a clock of its own, and sends over a network with delay and jitter.
struct Sender {
  double skew_ppm = 0;                 // of its NTP clock against ours
  double rtp_skew_ppm = 0;             // of a stream's clock against its NTP clock
  Duration ntp_zero = 3'900'000'000s + 7ms;  // what its NTP clock says at our zero
  std::uint32_t rate = 90'000;
  std::uint32_t rtp_zero = 4'294'900'000u;
  Duration encoding{};

  Duration scaled(Duration t, double ppm) const {
    return t + Duration(static_cast<std::int64_t>(static_cast<double>(t.count()) * ppm * 1e-6));
  }
  rtp::NtpTime ntp(Duration t) const {
    const Duration at = ntp_zero + scaled(t, skew_ppm);
    const auto ns = static_cast<std::uint64_t>(at.count());
    return {(ns / 1'000'000'000) << 32 | ((ns % 1'000'000'000) << 32) / 1'000'000'000};
  }
  rtp::WireTimestamp rtp(Duration t) const {
    const double ticks = std::chrono::duration<double>(scaled(t, skew_ppm + rtp_skew_ppm)).count() * rate;
    return static_cast<rtp::WireTimestamp>(rtp_zero + static_cast<std::uint64_t>(ticks));
  }
};

struct Track {
  Sender sender;
  Duration interval;
  Duration report_every = 5s;
  FeedTimeline line;
  Duration last_error{};
};

struct Call {
  Drops drops;
  ParticipantClock clock;
  SeededRandom random{9};
  Duration jitter = 30ms;

  Track track(Sender sender, Duration interval) {
    return {sender, interval, 5s, FeedTimeline(sender.rate, kStart, Duration{0}, clock, drops), {}};
  }
  Duration delay() {
    return 20ms + Duration(static_cast<std::int64_t>(random.unit() * static_cast<double>(jitter.count())));
  }

  void frame(Track& track, Duration captured) {
    const Time arrival = kStart + captured + track.sender.encoding + delay();
    track.line.observe(track.sender.rtp(captured), arrival);
    track.last_error = track.line.place(track.sender.rtp(captured), arrival) - captured;
  }
  void report(Track& track, Duration sent) {
    track.line.handle_sender_report(track.sender.ntp(sent), track.sender.rtp(sent), kStart + sent + delay());
  }
};

double ms(Duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

}  // namespace

TEST(Timeline, a_sender_that_works_off_a_backlog_is_drawn_back_without_frames_collapsing) {
  struct Row {
    const char* what;
    Duration behind;
    Duration reported_at;
  };
  for (const Row& row : {Row{"two seconds behind, told at the first frame", 2s, 0s}, Row{"two seconds behind, told later", 2s, 1s},
                         Row{"seven hundred milliseconds behind", 700ms, 500ms}}) {
    SCOPED_TRACE(row.what);
    Call call;
    Track track = call.track({}, 33ms);
    Duration last{-1};
    for (int i = 0; i < 600; ++i) {
      const Duration captured = 33ms * i - row.behind;  // the first were captured before the recording began
      const Duration lag = std::max(row.behind - 10ms * i, Duration{0});
      const Time arrival = std::max(kStart + captured + lag + 20ms, kStart);
      if (33ms * i >= row.reported_at && i % 30 == 0)
        track.line.handle_sender_report(track.sender.ntp(100s + captured + lag), track.sender.rtp(100s + captured + lag), arrival);
      track.line.observe(track.sender.rtp(100s + captured), arrival);
      const Duration at = track.line.place(track.sender.rtp(100s + captured), arrival);
      EXPECT_GE(at, 0s);
      if (i > 0) {
        EXPECT_GE(at - last, 16ms) << "frame " << i;
      }
      last = at;
    }
    EXPECT_NEAR(static_cast<double>(to_ms(last)), static_cast<double>(to_ms(33ms * 599 - row.behind + 20ms)), 40);
  }
}

TEST(Timeline, b_frames_lie_between_their_neighbours_while_the_line_is_corrected) {
  Drops drops;
  ParticipantClock clock;
  FeedTimeline line(90'000, kStart, Duration{0}, clock, drops);
  // Two B-frames more before the second P frame: it comes earlier against its timestamp than all before, and the line follows.
  const std::vector<int> shown{0, 2, 1, 6, 4, 3, 5, 10, 8, 7, 9};
  std::vector<std::pair<int, Duration>> places;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const Time arrival = kStart + 500ms + static_cast<std::int64_t>(i) * 33ms;
    const auto timestamp = static_cast<rtp::WireTimestamp>(shown[i] * 2970);
    line.observe(timestamp, arrival);
    const bool reordered = i > 0 && shown[i] < *std::max_element(shown.begin(), shown.begin() + static_cast<std::ptrdiff_t>(i));
    places.emplace_back(shown[i], line.place(timestamp, arrival, reordered));
  }
  std::sort(places.begin(), places.end());
  for (std::size_t i = 1; i < places.size(); ++i) EXPECT_GE(places[i].second - places[i - 1].second, 16ms) << "picture " << i;
}

TEST(Timeline, audio_and_video_of_one_participant_stay_within_20_ms_for_eight_hours_at_200_ppm) {
  for (const double skew : {-200.0, 0.0, 200.0}) {
    for (const double rtp_skew : {-50.0, 50.0}) {
      Call call;
      Sender audio;
      audio.skew_ppm = skew;
      audio.rate = 48'000;
      audio.rtp_skew_ppm = rtp_skew;
      Sender video = audio;
      video.rate = 90'000;
      video.rtp_zero = 77;
      video.rtp_skew_ppm = -rtp_skew;
      video.encoding = 70ms;
      Track a = call.track(audio, 200ms), v = call.track(video, 200ms);  // sparse, so that eight hours take no time
      double worst = 0, worst_absolute = 0;
      for (Duration t = 0s; t < 8h; t += 200ms) {
        call.frame(a, t);
        call.frame(v, t);
        if (t % 5s == 1s) call.report(a, t);
        if (t % 5s == 2s) call.report(v, t);
        if (t < 6s) continue;
        worst = std::max(worst, std::abs(ms(a.last_error - v.last_error)));
        worst_absolute = std::max(worst_absolute, std::abs(ms(a.last_error)));
      }
      EXPECT_LT(worst, 20) << skew << " ppm, " << rtp_skew << " ppm";
      EXPECT_LT(worst_absolute, 60) << "delay and drift do not add up";
    }
  }
}

TEST(Timeline, two_participants_with_clocks_years_apart_share_one_line) {
  Call near, far;
  Sender other;
  other.ntp_zero = 1007ms;
  Track a = near.track({}, 33ms), b = far.track(other, 33ms);
  for (Duration t = 0s; t < 60s; t += 33ms) {
    near.frame(a, t);
    far.frame(b, t);
    if (t % (33ms * 30) == 0s) near.report(a, t), far.report(b, t);
  }
  EXPECT_LT(std::abs(ms(a.last_error - b.last_error)), 20);
}

TEST(Timeline, reports_that_come_late_mend_the_line_without_a_jump) {
  Call call;
  Sender audio, video;
  audio.rate = 48'000;
  video.encoding = 150ms;
  Track a = call.track(audio, 20ms), v = call.track(video, 40ms);
  Duration before{};
  for (Duration t = 0s; t < 30s; t += 40ms) {
    call.frame(a, t);
    call.frame(v, t);
    if (t > 10s) {
      const Duration step = v.last_error + 40ms - before;
      EXPECT_GT(step, 30ms);
      EXPECT_LT(step, 50ms);
    }
    before = v.last_error;
    if (t > 10s && t % 1s == 0s) call.report(a, t), call.report(v, t);
    if (t == 9960ms) {
      EXPECT_GT(std::abs(ms(a.last_error - v.last_error)), 60) << "without reports nobody can know";
    }
    if (t >= 20s) {
      EXPECT_LT(std::abs(ms(a.last_error - v.last_error)), 20) << to_ms(t);
    }
  }
}

TEST(Timeline, a_clock_that_is_set_while_recording_moves_nothing) {
  for (const Duration set : {Duration(3600s), Duration(-3600s), Duration(20s), Duration(-2s), Duration(2s), Duration(-200ms), Duration(200ms)}) {
    SCOPED_TRACE(to_ms(set));
    Call call;
    Track a = call.track({}, 20ms), v = call.track({}, 20ms);
    for (Duration t = 0s; t < 60s; t += 20ms) {
      if (t == 20s) a.sender.ntp_zero += set, v.sender.ntp_zero += set;
      call.frame(a, t);
      call.frame(v, t);
      if (t % 1s == 0s) call.report(a, t);
      if (t % 1s == 500ms) call.report(v, t);
      if (t > 8s) {
        EXPECT_LT(std::abs(ms(a.last_error)), 60) << to_ms(t);
        EXPECT_LT(std::abs(ms(a.last_error - v.last_error)), 20) << to_ms(t);
      }
    }
  }
}

TEST(Timeline, reports_that_are_always_late_say_as_much_as_those_in_time) {
  for (const Duration late : {500ms, 1500ms, 3000ms}) {
    SCOPED_TRACE(to_ms(late));
    Call call;
    Sender audio, video;
    audio.rate = 48'000;
    video.encoding = 150ms;
    Track a = call.track(audio, 20ms), v = call.track(video, 20ms);
    for (Duration t = 0s; t < 40s; t += 20ms) {
      call.frame(a, t);
      call.frame(v, t);
      if (t % 1s == 0s && t >= late)
        for (Track* track : {&a, &v}) track->line.handle_sender_report(track->sender.ntp(t - late), track->sender.rtp(t - late), kStart + t + 20ms);
      if (t < late + 5s) continue;
      EXPECT_LT(std::abs(ms(a.last_error - v.last_error)), 20) << to_ms(t);
      EXPECT_LT(std::abs(ms(a.last_error)), 60) << "a report says when media was made, not when it arrived";
    }
    EXPECT_EQ(call.drops[Drop::implausible_report], 0u);
  }
}

TEST(Timeline, media_that_slip_against_their_clock_are_drawn_back_once_the_other_feed_tells_that_nobody_set_it) {
  for (const Duration slip : {150ms, 700ms}) {  // a device that stood still for so long, and whose media time did too
    SCOPED_TRACE(to_ms(slip));
    Call call;
    Sender audio, video;
    audio.rate = 48'000;
    Track a = call.track(audio, 20ms), v = call.track(video, 20ms);
    Duration lost{};
    for (Duration t = 0s; t < 60s; t += 20ms) {
      if (t == 20s) lost = slip;
      const Time arrival = kStart + t + call.delay();
      a.line.observe(a.sender.rtp(t - lost), arrival);
      a.last_error = a.line.place(a.sender.rtp(t - lost), arrival) - t;
      call.frame(v, t);
      if (t % 2s == 0s) a.line.handle_sender_report(a.sender.ntp(t), a.sender.rtp(t - lost), kStart + t + call.delay());
      if (t % 2s == 1s) call.report(v, t);
      if (t > 8s && (t < 20s || t > 34s)) {
        EXPECT_LT(std::abs(ms(a.last_error - v.last_error)), 20) << to_ms(t);
      }
    }
  }
}

TEST(Timeline, two_feeds_of_one_participant_that_go_by_clocks_years_apart_stay_where_they_arrive) {
  Call call;
  Sender other;
  other.ntp_zero = 1007ms;
  Track a = call.track({}, 20ms), v = call.track(other, 20ms);
  for (Duration t = 0s; t < 60s; t += 20ms) {
    call.frame(a, t);
    call.frame(v, t);
    if (t % 1s == 0s) call.report(a, t);
    if (t % 1s == 500ms) call.report(v, t);
    EXPECT_LT(std::abs(ms(a.last_error)), 100) << to_ms(t);
    EXPECT_LT(std::abs(ms(v.last_error)), 100) << to_ms(t);
  }
}

TEST(Timeline, reports_that_make_no_sense_are_refused) {
  Call call;
  Track v = call.track({}, 20ms);
  SeededRandom random(5);
  for (Duration t = 0s; t < 30s; t += 20ms) {
    call.frame(v, t);
    if (t % 1s == 0s) v.line.handle_sender_report({random.u64()}, random.u32(), kStart + t);
    if (t % 3s == 0s) call.report(v, t);
    EXPECT_LT(std::abs(ms(v.last_error)), 100) << to_ms(t);
  }
  EXPECT_GT(call.drops[Drop::implausible_report], 10u);
}

TEST(Timeline, follows_pauses_stalls_and_timestamps_that_begin_anew) {
  struct Row {
    const char* name;
    Duration arrives_later;  // what is captured in [10 s, 11 s)
    std::uint32_t skip;      // added to the timestamps from 20 s on
    Duration silent;         // from 20 s on, with the timestamps standing still
  };
  const Row rows[] = {
      {"nothing", 0s, 0, 0s},
      {"a network that stalls", 3s, 0, 0s},
      {"timestamps leap ahead", 0s, 900'000'000, 0s},
      {"timestamps leap back", 0s, 0u - 900'000'000u, 0s},
      {"a paused clock", 0s, 0u - 900'000u, 10s},
  };
  for (const Row& row : rows) {
    Call call;
    Track v = call.track({}, 20ms);
    Duration before = -1s;
    for (Duration t = 0s; t < 60s; t += 20ms) {
      if (t >= 20s && t < 20s + row.silent) continue;
      if (t == 20s + row.silent) v.sender.rtp_zero += row.skip;
      Time arrival = kStart + t + 30ms;
      if (t >= 10s && t < 11s) arrival = std::max(arrival, kStart + 10s + row.arrives_later);
      const Duration place = v.line.place(v.sender.rtp(t), arrival);
      EXPECT_GT(place, before) << row.name << " at " << to_ms(t);
      before = place;
      const bool settling = t >= 20s && t < 20s + row.silent + 3s;
      if (!settling) {
        EXPECT_LT(std::abs(ms(place - t)), 60) << row.name << " at " << to_ms(t);
      }
    }
  }
}

TEST(WindowedMinimum, forgets_what_is_older_than_two_windows) {
  WindowedMinimum minimum(10s);
  minimum.add(5ms, Time(0s));
  minimum.add(9ms, Time(5s));
  EXPECT_EQ(minimum.value(), 5ms);
  minimum.add(8ms, Time(11s));
  EXPECT_EQ(minimum.value(), 5ms);
  minimum.add(7ms, Time(21s));
  EXPECT_EQ(minimum.value(), 7ms);
  minimum.add(20ms, Time(60s));
  EXPECT_EQ(minimum.value(), 20ms);
}

}  // namespace amphi::recording
