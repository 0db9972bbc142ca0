// The recorder as a whole, in virtual time: its promises on states, files, gaps, keyframes, and on what must not harm
// it.
#include "recording/feed_roster.h"
#include "recording/recorder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "recording/manifest.h"
#include "recording/test_camera.h"
#include "recording/test_containers.h"

namespace amphi::recording::test {

TEST(Recorder, is_on_when_its_manifest_is_durable_and_not_before) {
  Studio studio;
  EXPECT_EQ(studio.started, 1);
  EXPECT_EQ(manifest_of(studio)["state"], "recording");

  Recorder unanswered({RecordingId("r"), SessionId("s"), "", {}}, Time(1s));
  while (const auto output = unanswered.poll_output()) EXPECT_TRUE(std::holds_alternative<FileOp>(*output));
  unanswered.handle_timeout(Time(100s));
  while (const auto output = unanswered.poll_output()) EXPECT_TRUE(std::holds_alternative<FileOp>(*output));
  unanswered.handle_replaced(Time(100s));
  EXPECT_TRUE(std::holds_alternative<Started>(*unanswered.poll_output()));
}

TEST(Recorder, tracks_last_as_long_as_the_recording_whatever_their_frame_rate) {
  for (const Duration interval : {Duration(20ms), Duration(100ms), Duration(1s), Duration(4s)}) {
    Studio studio;
    studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(0ms));
    Camera{studio, "cam", interval}.send(80ms, 10s);
    studio.stop(10s);
    ASSERT_TRUE(studio.finished);
    EXPECT_EQ(studio.finished->duration, 10s);
    ASSERT_EQ(studio.finished->tracks.size(), 1u);
    const TrackSummary& track = studio.finished->tracks[0];
    EXPECT_EQ(track.offset_ms, 0);
    EXPECT_EQ(track.duration_ms, 10'000);
    EXPECT_EQ(track.width, 320u);
    EXPECT_EQ(track.height, 180u);
    const Node file = tree(parse_ebml(studio.file(track.path)->data));
    EXPECT_EQ(file.get("18538067").get("1549a966").get("4489").floating(), 10'000.0);
    EXPECT_EQ(file.get("18538067").get("1f43b675").get("e7").number(), 80u) << "the first frame is where it came";
    EXPECT_EQ(track.sha256, to_hex(sha256(studio.file(track.path)->data)));
    EXPECT_EQ(parse_manifest(studio.manifest())->tracks[0].sha256, track.sha256);
    EXPECT_EQ(manifest_of(studio)["state"], "complete");
    EXPECT_EQ(manifest_of(studio)["tracks"][0]["gaps"].size(), 0u);
  }
}

TEST(Recorder, a_burst_of_markers_is_journaled_at_once_and_costs_one_manifest_a_second) {
  Studio studio;
  studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(0ms));
  Camera{studio}.send(0ms, 2s);
  const auto before = studio.files.replacements;
  for (int i = 0; i < 1000; ++i) {
    studio.recorder.add_marker("m" + std::to_string(i), "surgeon", studio.at(2s + milliseconds(i)));
    studio.drain(studio.at(2s + milliseconds(i)));
  }
  EXPECT_LE(studio.files.replacements - before, 2u);
  studio.recorder.handle_timeout(studio.at(4s));
  studio.drain(studio.at(4s));
  EXPECT_EQ(manifest_of(studio)["markers"].size(), 1000u);
  EXPECT_EQ(manifest_of(studio)["state"], "recording");
}

TEST(Recorder, only_so_many_files_are_kept_open_for_feeds_that_went) {
  Studio studio;
  const int all = static_cast<int>(FeedRoster::kMaxAway) + 3;
  for (int i = 0; i < all; ++i) {
    const std::string id = "mic" + std::to_string(i);
    studio.recorder.add_feed(feed(id, opus_codec()), studio.at(i * 1s));
    microphone(studio, id).send(i * 1s, i * 1s + 500ms);
    studio.recorder.remove_feed(FeedId(id), studio.at(i * 1s + 500ms));
    studio.drain(studio.at(i * 1s + 500ms));
  }
  int open = 0;
  for (const auto& [number, file] : studio.files.files) open += file.open && number != 0 ? 1 : 0;
  EXPECT_EQ(open, static_cast<int>(FeedRoster::kMaxAway));
  studio.recorder.add_feed(feed("mic0", opus_codec()), studio.at(all * 1s));  // whose file is complete: a further track
  microphone(studio, "mic0").send(all * 1s, all * 1s + 500ms);
  studio.stop(all * 1s + 1s);
  EXPECT_EQ(studio.finished->tracks.size(), static_cast<std::size_t>(all) + 1);
}

TEST(Recorder, the_manifest_names_each_track_while_it_is_recorded) {
  Studio studio;
  studio.recorder.add_feed(feed("mic", opus_codec()), studio.at(0ms));
  EXPECT_EQ(manifest_of(studio)["tracks"].size(), 0u);
  microphone(studio).send(0ms, 1s);
  EXPECT_EQ(manifest_of(studio)["tracks"][0]["path"], "audio-01-mic.webm");
  EXPECT_EQ(manifest_of(studio)["state"], "recording");
}

TEST(Recorder, asks_for_a_keyframe_at_once_and_then_at_most_twice_a_second) {
  Studio studio;
  studio.recorder.add_feed(feed("mic", opus_codec()), studio.at(0ms));
  EXPECT_EQ(studio.keyframes_wanted.size(), 0u);
  studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(0ms));
  studio.drain(studio.at(0ms));
  EXPECT_EQ(wanted(studio, 0ms, 1ms), 1u);
  for (Duration t = 10ms; t < 2s; t += 10ms) studio.packet("cam", t / 10ms, 0, true, kDelta, studio.at(t));
  EXPECT_EQ(wanted(studio, 1ms, 2s), 3u);
  studio.packet("cam", 200, 900, true, kKey, studio.at(2s));
  for (Duration t = 2010ms; t < 11s; t += 10ms) studio.packet("cam", t / 10ms, 900, true, kDelta, studio.at(t));
  EXPECT_EQ(wanted(studio, 2s, 11s), 0u) << "what decodes needs none";
  for (Duration t = 11s; t < 13s; t += 10ms) studio.packet("cam", t / 10ms, 900, true, kDelta, studio.at(t));
  EXPECT_GT(wanted(studio, 11s, 13s), 0u) << "but each ten seconds one to seek to";
}

TEST(Recorder, a_stop_uses_all_that_arrived_and_is_finished_when_all_is_durable) {
  Studio studio;
  studio.recorder.add_feed(feed("mic", opus_codec()), studio.at(0ms));
  Camera mic = microphone(studio);
  mic.send(0ms, 1s, {45});
  studio.answer = false;
  studio.stop(1010ms);
  EXPECT_EQ(studio.file("audio-01-mic.webm")->open, false);
  EXPECT_FALSE(studio.finished);
  studio.recorder.stop(studio.at(5s), {});
  studio.packet("mic", 1, 0, true, kOpus, studio.at(5s));
  EXPECT_EQ(studio.recorder.running_duration(studio.at(9s)), 1010ms);
  studio.recorder.handle_hash(77, {}, studio.at(1020ms));
  studio.drain(studio.at(1020ms));
  EXPECT_EQ(manifest_of(studio)["state"], "recording") << "a hash of nothing is no answer";
  studio.recorder.handle_hash(1, {}, studio.at(1020ms));
  studio.drain(studio.at(1020ms));
  EXPECT_EQ(manifest_of(studio)["state"], "complete");
  EXPECT_FALSE(studio.finished);
  studio.recorder.handle_replaced(studio.at(1030ms));
  studio.drain(studio.at(1030ms));
  ASSERT_TRUE(studio.finished);
  EXPECT_FALSE(studio.finished->error);
  EXPECT_EQ(studio.finished->tracks[0].frames, 49u) << "the four behind the hole as well";
  EXPECT_EQ(studio.recorder.next_timeout(), Time::max());
}

TEST(Recorder, without_any_feed_is_an_empty_recording) {
  Studio studio;
  studio.stop(3s);
  ASSERT_TRUE(studio.finished);
  EXPECT_EQ(studio.finished->tracks.size(), 0u);
  EXPECT_EQ(manifest_of(studio)["durationMs"], 3000);
}

TEST(Recorder, that_fails_before_it_is_on_says_so_and_leaves_no_manifest) {
  Recorder recorder({RecordingId("rec-1"), SessionId("session-1"), "surgeon@example.org", WallTime{1'700'000'000'250}}, Time(1000s));
  ASSERT_TRUE(std::holds_alternative<OpenFile>(std::get<FileOp>(*recorder.poll_output())));
  recorder.handle_storage_error({ErrorCode::storage, "no space left"}, Time(1000s));
  const auto output = recorder.poll_output();
  ASSERT_TRUE(output && std::holds_alternative<Finished>(*output));
  EXPECT_EQ(std::get<Finished>(*output).error->message, "no space left");
  EXPECT_TRUE(std::holds_alternative<Closed>(*recorder.poll_output()));
  EXPECT_FALSE(recorder.poll_output());
}

TEST(Recorder, when_storage_fails_it_tries_to_say_so_and_does_nothing_else) {
  for (const bool manifest_fails_too : {false, true}) {
    Studio studio;
    studio.recorder.add_feed(feed("mic", opus_codec()), studio.at(0ms));
    Camera mic = microphone(studio);
    mic.send(0ms, 2s);
    studio.answer = false;
    const std::size_t before = studio.ops;
    studio.recorder.handle_storage_error({ErrorCode::storage, "no space left"}, studio.at(2s));
    studio.recorder.handle_storage_error({ErrorCode::storage, "of a write before"}, studio.at(2s));
    studio.drain(studio.at(2s));
    EXPECT_EQ(studio.ops, before + 1);
    EXPECT_EQ(manifest_of(studio)["state"], "failed");
    EXPECT_EQ(manifest_of(studio)["error"]["message"], "no space left");
    EXPECT_FALSE(studio.finished);
    mic.send(2s, 4s);
    studio.recorder.remove_feed(FeedId("mic"), studio.at(4s));
    studio.recorder.stop(studio.at(4s), {});
    studio.drain(studio.at(4s));
    EXPECT_EQ(studio.ops, before + 1);
    if (manifest_fails_too)
      studio.recorder.handle_storage_error({ErrorCode::storage, "again"}, studio.at(4s));
    else
      studio.recorder.handle_replaced(studio.at(4s));
    studio.drain(studio.at(4s));
    ASSERT_TRUE(studio.finished);
    EXPECT_EQ(studio.finished->error->message, "no space left");
    EXPECT_EQ(studio.finished->duration, 2s);
    EXPECT_EQ(studio.finished->tracks.size(), 1u);
  }
}

TEST(Recorder, a_kill_at_any_moment_costs_at_most_a_second_of_what_was_sent) {
  for (const rtp::Codec& codec : {vp8_codec(), opus_codec()}) {
    Studio studio;
    studio.recorder.add_feed(feed("f", codec), studio.at(0ms));
    Camera camera = microphone(studio, "f");
    camera.audio = codec.name == rtp::CodecName::opus;
    camera.rate = codec.clock_rate;
    for (Duration t = 0ms; t < 20s; t += 20ms) {
      camera.send(t, t + 20ms, t % 1300ms == 0ms && t > 0ms && camera.audio ? std::vector<int>{0} : std::vector<int>{});
      if (t < 1s) continue;
      const MemoryFile& file = studio.files.files.at(1);
      ASSERT_EQ(file.synced.back(), file.data.size());
      const Node container = tree(parse_ebml(file.data));
      const auto clusters = container.get("18538067").all("1f43b675");
      const auto last = clusters.back()->get("e7").number() + clusters.back()->all("a3").back()->number(1, 2);
      EXPECT_GE(static_cast<std::int64_t>(last), to_ms(t) - 1000);
    }
  }
}

TEST(Recorder, memory_is_bounded_by_a_second_of_frames_and_the_reorder_buffer) {
  Studio studio;
  studio.recorder.add_feed(feed("cam", vp8_codec()), studio.at(0ms));
  std::size_t most = 0, written = 0, sent = 0;
  Bytes packet = kKey;
  packet.resize(1100);
  for (int i = 0; i < 30'000; ++i) {  // 26 Mbit/s for ten seconds, a hole in each hundred
    if (i % 100 == 99) continue;
    studio.packet("cam", i, static_cast<rtp::WireTimestamp>(i * 30), true, packet, studio.at(Duration(i * 333us)));
    sent += packet.size();
    written = studio.files.files.contains(1) ? studio.files.files.at(1).data.size() : 0;
    most = std::max(most, sent - std::min(sent, written));
  }
  EXPECT_LT(most, 12'000'000u);
}

TEST(Recorder, strangers_do_no_harm) {
  const std::uint64_t seed = 20;
  SeededRandom random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  Studio studio;
  const std::vector<std::string> ids{"vp8", "h264", "opus", "../../etc", "", "ghost"};
  studio.recorder.add_feed(feed("vp8", vp8_codec()), studio.at(0ms));
  studio.recorder.add_feed(feed("h264", h264_codec()), studio.at(0ms));
  studio.recorder.add_feed(feed("opus", opus_codec()), studio.at(0ms));
  studio.recorder.add_feed(feed("../../etc", opus_codec()), studio.at(0ms));
  studio.recorder.add_feed(feed("", opus_codec()), studio.at(0ms));
  rtp::Codec no_clock = vp8_codec();
  no_clock.clock_rate = 0;
  studio.recorder.add_feed(feed("ghost", no_clock), studio.at(0ms));
  const std::vector<Bytes> seeds{kKey,
                                 kDelta,
                                 kOpus,
                                 bytes({0x67, 0x42, 0xc0, 0x0a, 0xda, 0x10, 0x9a, 0x10}),
                                 bytes({0x68, 0xce, 0x3c, 0x80}),
                                 bytes({0x65, 0x88, 0x84, 0x00}),
                                 bytes({0x41, 0x9a}),
                                 {}};
  Duration t{};
  rtp::Seq seq = 0;
  for (int i = 0; i < 40'000; ++i) {
    t += Duration(static_cast<std::int64_t>(random.below(3'000'000)));
    Bytes payload = seeds[random.below(seeds.size())];
    if (!payload.empty() && random.unit() < 0.2)
      payload[random.below(payload.size())] ^= static_cast<std::byte>(1u << random.below(8));
    seq += static_cast<rtp::Seq>(random.below(3)) - (random.unit() < 0.1 ? 1 : 0);
    rtp::Seq number = seq;
    if (random.unit() < 0.01) number = static_cast<rtp::Seq>(random.u64());
    const rtp::WireTimestamp timestamp =
        random.unit() < 0.05 ? random.u32() : static_cast<rtp::WireTimestamp>(t.count() / 11'111);
    const std::string& id = ids[random.below(ids.size())];
    studio.packet(id, number, timestamp, random.unit() < 0.5, payload, studio.at(t),
                  random.unit() < 0.999 ? 1 : random.u32());
    if (random.unit() < 0.02)
      studio.recorder.handle_sender_report(FeedId(id), {random.u64()}, random.u32(), studio.at(t));
    if (random.unit() < 0.01) studio.recorder.handle_overflow(FeedId(id), random.u64() >> 40, studio.at(t));
  }
  studio.stop(t);
  ASSERT_TRUE(studio.finished);
  EXPECT_EQ(studio.recorder.drops()[Drop::unsafe_feed_id], 2u);
  EXPECT_GT(studio.recorder.drops()[Drop::unknown_feed], 100u);
  EXPECT_GE(studio.finished->tracks.size(), 2u);
  for (const TrackSummary& track : studio.finished->tracks) {
    const Bytes& data = studio.file(track.path)->data;
    EXPECT_NO_THROW(track.codec.name == rtp::CodecName::h264 ? parse_boxes(data) : parse_ebml(data)) << track.path;
    EXPECT_TRUE(is_safe_path_name(track.path));
  }
  EXPECT_TRUE(parse_manifest(studio.manifest()));
}

}  // namespace amphi::recording::test
