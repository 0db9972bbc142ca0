// Where a track has nothing: each such stretch is listed, with its reason, and the track's times are true around it.
#include <gtest/gtest.h>

#include "recording/recorder.h"
#include "recording/test_camera.h"
#include "recording/test_containers.h"

namespace amphi::recording::test {
namespace {

TEST(Gaps, what_was_not_received_at_the_end_is_a_gap) {
  Studio studio;
  studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(0ms));
  studio.recorder.add_feed(feed("slides", vp8_codec()), studio.at(0ms));
  Camera{studio}.send(0ms, 4s);
  Camera{studio, "slides", 4s}.send(0ms, 5s);
  studio.stop(10s);
  const auto tracks = manifest_of(studio)["tracks"];
  ASSERT_EQ(tracks.size(), 2u);
  ASSERT_EQ(tracks[0]["gaps"].size(), 1u);
  EXPECT_EQ(tracks[0]["gaps"][0]["reason"], "silent");
  EXPECT_EQ(tracks[0]["gaps"][0]["fromMs"], 3900) << "the last picture";
  EXPECT_EQ(tracks[0]["gaps"][0]["toMs"], 10'000);
  EXPECT_EQ(tracks[1]["gaps"].size(), 0u) << "it sends one picture in four seconds";
}

TEST(Gaps, an_outage_in_the_middle_of_a_track_is_a_gap_and_a_slow_sender_has_none) {
  struct Row {
    const char* name;
    bool audio;
    Duration interval;
    Duration outage;  // after 4 s
    std::size_t gaps;
  };
  for (const Row& row : {Row{"a camera", false, 33ms, 6s, 1}, Row{"a camera that hesitates", false, 33ms, 900ms, 0}, Row{"a slow picture", false, 2s, 1s, 0},
                         Row{"a slow picture that stops", false, 1s, 6s, 1}, Row{"a microphone", true, 20ms, 6s, 1},
                         Row{"a microphone in DTX, a packet each 400 ms", true, 400ms, 0s, 0}}) {
    SCOPED_TRACE(row.name);
    Studio studio;
    studio.recorder.add_feed(feed("one", row.audio ? opus_codec() : vp8_codec()), studio.at(0ms));
    Camera sender{studio, "one", row.interval, 1000, row.audio ? 48'000u : 90'000u, row.audio, 1000};
    sender.send(0ms, 4s);
    sender.send(4s + row.outage, 14s);
    studio.stop(14s);
    const auto gaps = manifest_of(studio)["tracks"][0]["gaps"];
    ASSERT_EQ(gaps.size(), row.gaps) << gaps.dump();
    if (row.gaps == 0) continue;
    EXPECT_EQ(gaps[0]["reason"], "silent");
    EXPECT_NEAR(gaps[0]["fromMs"].get<double>(), 4000, static_cast<double>(to_ms(row.interval)) + 40);
    EXPECT_NEAR(gaps[0]["toMs"].get<int>(), to_ms(4s + row.outage), 3);
  }
}

/// So many packets, each so long after the one before it.
struct Phase {
  int packets;
  Duration interval;
};
std::vector<Duration> times_of(const std::vector<Phase>& phases) {
  std::vector<Duration> times{0ms};
  for (const Phase& phase : phases)
    for (int n = 0; n < phase.packets; ++n) times.push_back(times.back() + phase.interval);
  return times;
}
/// Sends at these times; packets and timestamps go on without a hole. Ends half a second after the last.
nlohmann::json gaps_of(const std::vector<Duration>& times, bool audio) {
  Studio studio;
  studio.recorder.add_feed(feed("one", audio ? opus_codec() : vp8_codec()), studio.at(0ms));
  rtp::Seq seq = 1000;
  for (const Duration at : times) {
    const auto timestamp = static_cast<rtp::WireTimestamp>(at / 1us * (audio ? 48 : 90) / 1000);
    studio.packet("one", seq++, timestamp, true, audio ? kOpus : at == 0ms ? kKey : kDelta, studio.at(at));
  }
  studio.stop(times.back() + 500ms);
  return manifest_of(studio)["tracks"][0]["gaps"];
}

TEST(Gaps, every_outage_is_a_gap_however_often_and_regularly_outages_come) {
  struct Row {
    const char* name;
    bool audio;
    std::vector<Phase> phases;
    std::vector<Duration> outages;  // their lengths, in order
  };
  const Phase fast{60, 33ms}, voice{100, 20ms};
  const Row table[] = {
      {"a camera, and a packet each 4 s for 16 s", false, {fast, {4, 4s}, fast}, {4s, 4s, 4s, 4s}},
      {"a camera, and a packet each 4 s for 40 s", false, {fast, {10, 4s}, fast}, std::vector<Duration>(10, 4s)},
      {"a camera, and two packets each 4 s", false, {fast, {1, 4s}, {1, 33ms}, {1, 4s}, {1, 33ms}, {1, 4s}, {1, 33ms}, fast}, {4s, 4s, 4s}},
      {"a camera, 3 s and then 5 s", false, {fast, {1, 3s}, {1, 5s}, fast}, {3s, 5s}},
      {"a camera, 4 s twice, and later 7 s", false, {fast, {2, 4s}, fast, {1, 7s}, fast}, {4s, 4s, 7s}},
      {"a camera, 4 s six times apart from each other", false, {fast, {1, 4s}, fast, {1, 4s}, fast, {1, 4s}, fast, {1, 4s}, fast, {1, 4s}, fast, {1, 4s}, fast}, std::vector<Duration>(6, 4s)},
      {"a camera from its first picture on", false, {{1, 6s}, fast, {1, 3s}, fast}, {6s, 3s}},
      {"a camera with 3 s outages at its beginning", false, {{3, 3s}, fast}, {3s, 3s, 3s}},
      {"a camera up to its end", false, {fast, {1, 2s}, {1, 3s}}, {2s, 3s}},
      {"slides that become a film", false, {{6, 3s}, {150, 33ms}, {1, 5500ms}, fast}, {5500ms}},
      {"slides that become quicker slides", false, {{6, 10s}, {8, 2s}, {1, 15s}, {3, 2s}}, {15s}},
      {"slides with an outage", false, {{6, 3s}, {1, 20s}, {3, 3s}}, {20s}},
      {"slides with an outage up to their end", false, {{6, 3s}, {1, 20s}}, {20s}},
      {"a camera of a picture a second", false, {{10, 1s}, {1, 4s}, {5, 1s}}, {4s}},
      {"a microphone, and a packet each 4 s", true, {voice, {4, 4s}, voice}, {4s, 4s, 4s, 4s}},
      {"a microphone, and a packet each 1.5 s", true, {voice, {10, 1500ms}, voice}, std::vector<Duration>(10, 1500ms)},
      {"a microphone, 3 s and then 5 s", true, {voice, {1, 3s}, {1, 5s}, voice}, {3s, 5s}},
      {"a microphone that is muted in DTX", true, {voice, {10, 400ms}, {1, 30s}, voice}, {30s}},
      {"a microphone that speaks seldom", true, {{8, 3s}}, std::vector<Duration>(8, 3s)},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.name);
    const auto gaps = gaps_of(times_of(row.phases), row.audio);
    ASSERT_EQ(gaps.size(), row.outages.size()) << gaps.dump();
    std::int64_t before = -1;
    for (std::size_t n = 0; n < gaps.size(); ++n) {
      EXPECT_EQ(gaps[n]["reason"], "silent");
      EXPECT_NEAR(gaps[n]["toMs"].get<double>() - gaps[n]["fromMs"].get<double>(), static_cast<double>(to_ms(row.outages[n])), 25);
      EXPECT_GE(gaps[n]["fromMs"], before) << "in order";
      before = gaps[n]["toMs"].get<std::int64_t>();
    }
  }
}

TEST(Gaps, a_sender_that_is_slow_has_none) {
  struct Row {
    const char* name;
    bool audio;
    std::vector<Phase> phases;
  };
  const Row table[] = {
      {"a microphone in DTX", true, {{100, 20ms}, {40, 400ms}, {50, 20ms}, {10, 400ms}}},
      {"a microphone in DTX from its first packet on", true, {{40, 400ms}}},
      {"a slide each 5 s", false, {{20, 5s}}},
      {"a slide each 5 s, in two pictures", false, {{1, 33ms}, {1, 5s}, {1, 33ms}, {1, 5s}, {1, 33ms}, {1, 5s}, {1, 33ms}, {1, 5s}, {1, 33ms}, {1, 5s}}},
      {"two slides", false, {{2, 5s}}},
      {"slides each 3 to 5 s", false, {{2, 3s}, {2, 5s}, {2, 4s}, {2, 3s}, {2, 5s}}},
      {"a picture a second", false, {{5, 990ms}, {5, 1010ms}, {5, 990ms}, {5, 1010ms}}},
      {"a picture a second that hesitates", false, {{5, 1s}, {1, 1900ms}, {5, 1s}}},
      {"a shared screen that stands still and is repeated each second", false, {{90, 33ms}, {5, 1s}, {5, 1020ms}, {20, 1s}, {90, 33ms}}},
      {"a camera that hesitates", false, {{30, 33ms}, {1, 950ms}, {30, 33ms}}},
  };
  for (const Row& row : table) {
    SCOPED_TRACE(row.name);
    const auto gaps = gaps_of(times_of(row.phases), row.audio);
    EXPECT_EQ(gaps.size(), 0u) << gaps.dump();
  }
}

TEST(Gaps, a_film_that_becomes_slides_has_gaps_for_a_minute_and_then_none) {
  const auto gaps = gaps_of(times_of({{90, 33ms}, {60, 5s}}), false);
  EXPECT_GE(gaps.size(), 12u) << gaps.dump();
  EXPECT_LE(gaps.size(), 17u) << gaps.dump();
}

TEST(Gaps, media_whose_timestamps_are_useless_are_not_silent) {
  for (const bool audio : {false, true}) {
    for (const std::uint32_t rate : {0u, 1000u, 16'000u, 44'100u}) {
      SCOPED_TRACE(std::string(audio ? "audio" : "video") + " with a clock of " + std::to_string(rate) + " Hz");
      for (const Duration from : {0s, 7s}) {  // from when on the timestamps are useless
        Studio studio;
        studio.recorder.add_feed(feed("one", audio ? opus_codec() : vp8_codec()), studio.at(0ms));
        Camera sender{studio, "one", audio ? 20ms : 33ms, 1000, audio ? 48'000u : 90'000u, audio, 1000};
        sender.send(0ms, from);
        sender.rate = rate;
        sender.send(from, 20s);
        studio.stop(20s);
        const auto track = manifest_of(studio)["tracks"][0];
        EXPECT_EQ(track["gaps"].size(), 0u) << track["gaps"].dump();
        EXPECT_GT(track["dropped"].value("bad_timestamp", 0), 100);
        EXPECT_GT(track["frames"].get<int>(), audio ? 990 : 600);
      }
    }
  }
}

TEST(Gaps, a_feed_that_first_sends_after_a_while_has_a_gap_until_then) {
  Studio studio;
  studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(0ms));
  Camera{studio}.send(5s, 8s);
  studio.stop(8s);
  const auto gaps = manifest_of(studio)["tracks"][0]["gaps"];
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0], (nlohmann::json{{"fromMs", 0}, {"toMs", 5000}, {"reason", "silent"}, {"packets", 0}}));
}

TEST(Gaps, silence_before_a_feed_went_is_not_its_absence) {
  Studio studio;
  Camera camera{studio};
  studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(0ms));
  camera.send(0ms, 2s);
  studio.run_until(studio.at(5s));
  studio.recorder.remove_feed(FeedId("cam"), studio.at(5s));
  studio.run_until(studio.at(6s));
  studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(6s));
  camera.send(6040ms, 8s);
  studio.stop(8s);
  const auto gaps = manifest_of(studio)["tracks"][0]["gaps"];
  ASSERT_EQ(gaps.size(), 2u) << gaps.dump();
  EXPECT_EQ(gaps[0]["reason"], "silent");
  EXPECT_EQ(gaps[0]["toMs"], 5000);
  EXPECT_EQ(gaps[1]["reason"], "absent");
  EXPECT_EQ(gaps[1]["fromMs"], 5000);
}

TEST(Gaps, the_time_in_which_a_feed_is_muted_is_its_absence_also_up_to_the_end) {
  const auto mute = [](Studio& studio, bool muted, Duration at) {  // as a session tells it
    studio.run_until(studio.at(at));
    studio.recorder.remove_feed(FeedId("cam"), studio.at(at));
    studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(at), muted);
  };
  for (const bool to_the_end : {false, true}) {
    SCOPED_TRACE(to_the_end);
    Studio studio;
    Camera camera{studio};
    studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(0ms));
    camera.send(0ms, 2s);
    mute(studio, true, 2s);
    studio.run_until(studio.at(9s));
    if (!to_the_end) {
      mute(studio, false, 9s);
      camera.send(9100ms, 11s);
    }
    studio.stop(12s);
    const auto track = manifest_of(studio)["tracks"][0];
    EXPECT_EQ(track["durationMs"], 12'000);
    ASSERT_GE(track["gaps"].size(), 1u);
    EXPECT_EQ(track["gaps"][0]["reason"], "absent");
    EXPECT_LE(track["gaps"][0]["fromMs"], 2000);
    EXPECT_EQ(track["gaps"][0]["toMs"], to_the_end ? 12'000 : 9100) << track["gaps"].dump();
    std::size_t absent = 0;
    for (const auto& gap : track["gaps"]) absent += gap["reason"] == "absent";
    EXPECT_EQ(absent, 1u) << track["gaps"].dump();
  }
}

TEST(Gaps, a_feed_that_comes_again_goes_on_in_its_file_behind_a_gap) {
  Studio studio;
  Camera camera{studio};
  studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(0ms));
  studio.recorder.add_feed(feed("muted", opus_codec()), studio.at(0ms));
  camera.send(0ms, 2s);
  studio.recorder.remove_feed(FeedId("cam"), studio.at(2500ms));
  studio.packet("cam", 5000, 0, true, kKey, studio.at(2600ms));
  studio.recorder.handle_timeout(studio.at(3200ms));
  studio.drain(studio.at(3200ms));
  const auto before = studio.file("video-01-cam.webm")->data.size();
  studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(4s));
  studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(4500ms));
  camera.send(4040ms, 6s);
  studio.stop(6s);
  ASSERT_EQ(studio.finished->tracks.size(), 1u);
  EXPECT_EQ(studio.finished->tracks[0].path, "video-01-cam.webm");
  EXPECT_EQ(studio.finished->tracks[0].offset_ms, 0);
  EXPECT_EQ(studio.finished->tracks[0].duration_ms, 6000);
  EXPECT_GT(studio.file("video-01-cam.webm")->data.size(), before);
  const auto gaps = manifest_of(studio)["tracks"][0]["gaps"];
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0]["reason"], "absent");
  EXPECT_EQ(gaps[0]["fromMs"], 1900) << "the last picture";
  EXPECT_EQ(gaps[0]["toMs"], 4040);
  EXPECT_EQ(parse_manifest(studio.manifest())->tracks[0].absent_ms, (std::vector<std::pair<std::int64_t, std::int64_t>>{{1900, 4040}}));
  EXPECT_EQ(manifest_of(studio)["feedsWithoutMedia"][0]["feedId"], "muted");
  EXPECT_EQ(manifest_of(studio)["feedsWithoutMedia"].size(), 1u);
  EXPECT_EQ(studio.recorder.drops()[Drop::unknown_feed], 1u);
}

TEST(Gaps, a_feed_that_comes_later_has_an_offset_and_one_that_went_a_shorter_track) {
  Studio studio;
  Camera camera{studio}, other{studio, "late"};
  studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(0ms));
  camera.send(0ms, 2s);
  studio.recorder.remove_feed(FeedId("cam"), studio.at(2500ms));
  studio.recorder.add_feed(feed("late", vp8_codec()), studio.at(4s));
  other.send(4040ms, 6s);
  studio.stop(6s);
  ASSERT_EQ(studio.finished->tracks.size(), 2u);
  EXPECT_EQ(studio.finished->tracks[0].duration_ms, 2500);
  EXPECT_EQ(studio.finished->tracks[1].path, "video-02-late.webm");
  EXPECT_EQ(studio.finished->tracks[1].offset_ms, 4000);
  EXPECT_EQ(studio.finished->tracks[1].duration_ms, 2000);
  const Node file = tree(parse_ebml(studio.file("video-02-late.webm")->data));
  EXPECT_EQ(file.get("18538067").get("1f43b675").get("e7").number(), 40u);
  EXPECT_EQ(manifest_of(studio)["tracks"][0]["gaps"].size(), 0u) << "what was not there any more is no gap";
}

TEST(Gaps, a_loss_is_a_listed_gap_up_to_the_next_keyframe_that_it_asks_for) {
  Studio studio;
  studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(0ms));
  studio.recorder.add_feed(feed("mic", opus_codec()), studio.at(0ms));
  Camera camera{studio};
  camera.keyframe_every = 20;
  camera.send(100ms, 6100ms, {5, 6});                 // frames at 600 and 700 ms; keyframes at 100, 2100, 4100 ms
  microphone(studio).send(0ms, 6s, {100, 101, 102});  // 2000 to 2060 ms
  studio.stop(7s);
  const auto tracks = manifest_of(studio)["tracks"];
  const auto& video = tracks[0]["kind"] == "video" ? tracks[0] : tracks[1];
  const auto& audio = tracks[0]["kind"] == "audio" ? tracks[0] : tracks[1];
  ASSERT_EQ(video["gaps"].size(), 1u) << video.dump();
  EXPECT_NEAR(video["gaps"][0]["fromMs"].get<int>(), 500, 2);
  EXPECT_NEAR(video["gaps"][0]["toMs"].get<int>(), 2100, 2);
  EXPECT_EQ(video["gaps"][0]["reason"], "loss");
  EXPECT_EQ(video["gaps"][0]["packets"], 2);
  EXPECT_EQ(video["lostPackets"], 2);
  EXPECT_EQ(video["frames"], 60 - 2 - 13);
  EXPECT_EQ(video["dropped"]["frame_before_keyframe"], 13);
  EXPECT_EQ(wanted(studio, 800ms + 400ms, 2500ms), 2u) << "once the gap was declared, and again while it waits";
  ASSERT_EQ(audio["gaps"].size(), 1u);
  EXPECT_NEAR(audio["gaps"][0]["fromMs"].get<int>(), 2000, 2);
  EXPECT_NEAR(audio["gaps"][0]["toMs"].get<int>(), 2060, 2);
  EXPECT_EQ(audio["frames"], 297);
}

TEST(Gaps, what_its_queue_had_to_drop_is_a_gap_of_that_name) {
  Studio studio;
  studio.recorder.add_feed(feed("mic", opus_codec()), studio.at(0ms));
  Camera mic = microphone(studio);
  mic.send(0ms, 1s);
  mic.seq += 10;
  studio.recorder.handle_overflow(FeedId("mic"), 10, studio.at(1s));
  mic.send(1200ms, 2s);
  studio.recorder.handle_overflow(FeedId("mic"), 50, studio.at(2s));
  studio.stop(3s);
  const auto track = manifest_of(studio)["tracks"][0];
  EXPECT_EQ(track["overflowPackets"], 60);
  ASSERT_EQ(track["gaps"].size(), 2u);
  EXPECT_EQ(track["gaps"][0]["reason"], "overflow");
  EXPECT_NEAR(track["gaps"][0]["fromMs"].get<int>(), 1000, 2);
  EXPECT_NEAR(track["gaps"][0]["toMs"].get<int>(), 1200, 2);
  EXPECT_EQ(track["gaps"][1]["reason"], "overflow");
  EXPECT_NEAR(track["gaps"][1]["toMs"].get<int>(), 3000, 2);
}

}  // namespace
}  // namespace amphi::recording::test
