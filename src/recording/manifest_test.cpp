// manifest.json: what is written is read back, and what is not a manifest is refused.
#include "recording/manifest.h"
#include "recording/shares.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/random.h"
#include "recording/test_files.h"

namespace amphi::recording::test {
namespace {

TrackRecord track() {
  TrackRecord record;
  record.feed = feed("cam", vp8_codec());
  record.summary = {"video-01-cam.webm", FeedId("cam"), vp8_codec(), 1280, 720, 1500, 8000, 240, std::string(64, 'a')};
  record.bytes = 12'345;
  record.packets = 900;
  record.lost_packets = 3;
  record.gaps.push_back({2000, 2500, "loss", 3});
  record.drops.add(Drop::frame_before_keyframe, 4);
  return record;
}

std::string written(const TrackRecord& record, std::string requested_by = "surgeon") {
  ManifestContent content;
  content.info = {RecordingId("rec-1"), SessionId("room"), std::move(requested_by), WallTime{1'700'000'000'250}};
  content.state = "complete";
  content.stopped_at = WallTime{1'700'000'010'250};
  content.duration_ms = 10'000;
  content.tracks = {&record};
  TrackRecord silent;
  silent.feed = feed("muted", opus_codec());
  silent.without_track = FeedReason::malformed;
  silent.packets = 7;
  silent.drops.add(Drop::malformed_packet, 7);
  content.feeds_without_media = {&silent};
  return std::string(as_text(write_manifest(content)));
}

}  // namespace

TEST(Manifest, reads_back_what_was_written) {
  const auto manifest = parse_manifest(written(track()));
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->id.value, "rec-1");
  EXPECT_EQ(manifest->session.value, "room");
  EXPECT_EQ(manifest->requested_by, "surgeon");
  EXPECT_EQ(manifest->state, "complete");
  EXPECT_EQ(manifest->started_at.unix_ms, 1'700'000'000'250);
  EXPECT_EQ(manifest->stopped_at.unix_ms, 1'700'000'010'250);
  EXPECT_EQ(manifest->duration_ms, 10'000);
  ASSERT_EQ(manifest->tracks.size(), 1u);
  const TrackSummary& read = manifest->tracks[0];
  EXPECT_EQ(read.path, "video-01-cam.webm");
  EXPECT_EQ(read.feed.value, "cam");
  EXPECT_EQ(read.codec.name, rtp::CodecName::vp8);
  EXPECT_EQ(read.codec.clock_rate, 90'000u);
  EXPECT_EQ(read.width, 1280u);
  EXPECT_EQ(read.height, 720u);
  EXPECT_EQ(read.offset_ms, 1500);
  EXPECT_EQ(read.duration_ms, 8000);
  EXPECT_EQ(read.frames, 240u);
  EXPECT_EQ(read.sha256, std::string(64, 'a'));
}

TEST(Manifest, tells_gaps_drops_and_feeds_that_never_sent) {
  const auto json = nlohmann::json::parse(written(track()));
  EXPECT_EQ(json["version"], 1);
  EXPECT_EQ(json["startedAt"], "2023-11-14T22:13:20.250Z");
  EXPECT_EQ(json["tracks"][0]["gaps"],
            (nlohmann::json{{{"fromMs", 2000}, {"toMs", 2500}, {"reason", "loss"}, {"packets", 3}}}));
  EXPECT_EQ(json["tracks"][0]["dropped"], (nlohmann::json{{"frame_before_keyframe", 4}}));
  EXPECT_EQ(json["tracks"][0]["participantIdentity"], "p1@example.org");
  EXPECT_EQ(json["feedsWithoutMedia"][0]["feedId"], "muted");
  EXPECT_EQ(json["feedsWithoutMedia"][0]["reason"], "malformed");
  EXPECT_EQ(json["feedsWithoutMedia"][0]["packets"], 7);
  EXPECT_EQ(json["feedsWithoutMedia"][0]["dropped"]["malformed_packet"], 7);
}

TEST(Manifest, text_that_is_not_utf8_does_not_cost_it) {
  const auto manifest = parse_manifest(written(track(), "bad \xff\xfe text"));
  ASSERT_TRUE(manifest);
  EXPECT_NE(manifest->requested_by.find("bad"), std::string::npos);
}

TEST(Manifest, what_is_none_is_refused) {
  const std::string good = written(track());
  const auto without = [&](const char* path, nlohmann::json value) {
    auto json = nlohmann::json::parse(good);
    json[nlohmann::json::json_pointer(path)] = std::move(value);
    return json.dump();
  };
  const std::string rows[] = {"",
                              "[]",
                              "null",
                              "{",
                              "{}",
                              without("/version", 2),
                              without("/tracks", 1),
                              without("/startedAt", "yesterday"),
                              without("/startedAt", "2023-13-14T22:13:20.250Z"),
                              without("/tracks/0/path", "../../etc/passwd"),
                              without("/tracks/0/path", 7),
                              without("/tracks/0/codec", "MPEG-1"),
                              without("/tracks/0/frames", -1),
                              without("/encrypted", 1),
                              without("/encrypted", nullptr),
                              without("/markers", "none"),
                              without("/markers", {7}),
                              without("/durationMs", 1.5)};
  for (const std::string& row : rows) EXPECT_FALSE(parse_manifest(row)) << row;
}

TEST(Manifest, survives_truncation_and_flipped_bits) {
  const std::string good = written(track());
  for (std::size_t i = 0; i + 2 < good.size(); ++i) EXPECT_FALSE(parse_manifest(std::string_view(good).substr(0, i)));
  SeededRandom random(3);
  for (int i = 0; i < 3000; ++i) {
    std::string bad = good;
    bad[random.below(bad.size())] ^= static_cast<char>(1 << random.below(8));
    if (const auto manifest = parse_manifest(bad)) {
      for (const TrackSummary& each : manifest->tracks) EXPECT_TRUE(is_safe_path_name(each.path));
    }
  }
}

TEST(Manifest, with_the_most_of_everything_is_one_that_every_reader_takes) {
  const auto at_most = [](std::size_t size) { return std::string(size, '\x01'); };  // that takes most room in JSON
  FeedInfo longest{FeedId(std::string(160, 'f')), ParticipantId(std::string(64, 'p')), at_most(256), at_most(128), opus_codec()};
  TrackRecord record;
  record.feed = longest;
  constexpr std::int64_t kYear = 31'536'000'000;
  record.summary = {std::string(180, 'v'), longest.id, vp8_codec(), 16'384, 16'384, kYear, kYear, 1'000'000'000'000, std::string(64, 'a')};
  record.recorded_packets = 1'000'000'000'000;
  record.bytes = record.packets = record.lost_packets = record.overflow_packets = 1'000'000'000'000;
  record.unlisted = {1'000'000'000'000, 1'000'000'000'000, kYear, kYear, kYear};
  for (std::size_t i = 0; i < Drops::kSize; ++i) record.drops.add(static_cast<Drop>(i), 1'000'000'000'000);
  record.gaps.resize(kMaxGaps / Shares::kTracks + 1, Gap{kYear, kYear, "overflow", 1'000'000'000'000});

  ManifestContent content;
  content.info = {RecordingId(std::string(200, 'r')), SessionId(std::string(200, 's')), at_most(256), WallTime{1'700'000'000'250}};
  content.state = "repaired";
  content.drops = record.drops;
  content.repaired = Repaired{WallTime{1'700'000'000'250}, 1000, std::string(Shares::kTracks * 300, 'n')};
  content.tracks.assign(Shares::kTracks, &record);
  std::string letters;
  for (int i = 0; i < 200; ++i) letters += "\xf0\x9f\x94\xaa";  // a marker's label has no control characters
  content.feeds_without_media.assign(Shares::kWithoutTrack, &record);
  content.markers.assign(Recorder::kMaxMarkers, Marker{kYear, letters, at_most(256)});
  const Bytes text = write_manifest(content);
  EXPECT_LT(text.size(), kMaxManifest * 4 / 5);
  const auto manifest = parse_manifest(as_text(text));
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->tracks.size(), Shares::kTracks);
  EXPECT_EQ(manifest->markers.size(), Recorder::kMaxMarkers);
}

TEST(Manifest, lists_a_feed_without_media_once_and_none_that_has_a_track) {
  const TrackRecord record = track();
  TrackRecord silent, again;
  silent.feed = feed("muted", opus_codec());
  again.feed = feed("muted", vp8_codec());
  ManifestContent content;
  content.tracks = {&record};
  for (const TrackRecord* each : std::initializer_list<const TrackRecord*>{&silent, &record, &again}) content.list_if_without_media(*each);
  EXPECT_EQ(content.feeds_without_media, std::vector<const TrackRecord*>{&silent});
}

TEST(SafePathName, is_a_plain_name) {
  for (const char* good : {"a", "room-1", "A_b.c-9", "0123"}) EXPECT_TRUE(is_safe_path_name(good)) << good;
  for (const char* bad : {"", ".", "..", ".hidden", "a/b", "a\\b", "a b", "a\n", "\xc3\xa9", "a:b", "~"})
    EXPECT_FALSE(is_safe_path_name(bad)) << bad;
  EXPECT_FALSE(is_safe_path_name(std::string(201, 'a')));
  EXPECT_FALSE(is_safe_path_name(std::string_view("a\0b", 3)));
}

TEST(Iso8601, reads_back_what_it_writes) {
  for (const std::int64_t ms : {std::int64_t{0}, std::int64_t{951'782'400'000}, std::int64_t{1'700'000'000'250},
                                std::int64_t{4'102'444'799'999}}) {
    EXPECT_EQ(parse_iso8601(iso8601({ms}))->unix_ms, ms);
  }
  EXPECT_EQ(iso8601({951'782'400'000}), "2000-02-29T00:00:00.000Z");
}

}  // namespace amphi::recording::test
