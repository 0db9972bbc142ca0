// The real sink and the real recorder, with nothing of a disk between them.
#include "server/recording_intake.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "recording/test_camera.h"
#include "recording/test_containers.h"
#include "recording/test_files.h"
#include "server/test_log.h"

namespace amphi::server {
namespace {

const Bytes kSound{std::byte{0x78}, std::byte{1}, std::byte{2}};  // Opus, 20 ms

void carry_out(RecordingIntake& intake, recording::test::MemoryFiles& files) {
  recording::Recorder& recorder = intake.take().recorder();
  while (auto output = recorder.poll_output()) {
    const auto* op = std::get_if<recording::FileOp>(&*output);
    if (op == nullptr) continue;
    std::visit([&](const auto& each) { files.apply(each); }, *op);
    if (std::holds_alternative<recording::ReplaceFile>(*op)) recorder.handle_replaced(intake.take().reached());
    if (const auto* hash = std::get_if<recording::HashFile>(op)) recorder.handle_hash(hash->file, {}, intake.take().reached());
  }
}

/// A microphone before a sink that has room for a few packets.
struct Recorded {
  std::shared_ptr<RecordingSink> sink = std::make_shared<RecordingSink>(Duration::zero(), RecordingSink::Limits{4096, 3, 3});
  RecordingIntake intake{sink, {RecordingId("rec_1"), SessionId("room"), "surgeon", WallTime{1'700'000'000'000}, Duration{}, RecordingId()}, Time(1s), {}};
  recording::test::MemoryFiles files;

  Recorded() { sink->feed_added({FeedId("mic"), ParticipantId("par_2"), "guest", "voice", rtp::Codec{rtp::CodecName::opus, 48'000, 2, ""}}, Time(1s)); }
  void arrives(rtp::Seq seq) {
    peer::ReceivedRtp packet;
    packet.seq = seq;
    packet.header = {true, 111, static_cast<rtp::WireSeq>(seq), static_cast<rtp::WireTimestamp>(seq * 960), 1};
    packet.payload = kSound;
    sink->packet(FeedId("mic"), packet, Time(1s) + 20ms * seq);
  }
  void carry_out() { server::carry_out(intake, files); }
};

TEST(RecordingIntake, tells_what_the_sink_had_dropped_at_the_end_though_the_disk_was_full) {
  Recorded r;
  rtp::Seq seq = 0;
  while (r.sink->untold() < 7) r.arrives(seq++);
  const Time end = Time(1s) + 20ms * seq;
  ASSERT_TRUE(r.intake.stop(end, WallTime{1'700'000'009'000}, Error{ErrorCode::storage, "full"}));
  while (r.intake.work()) r.carry_out();
  r.carry_out();
  const auto manifest = nlohmann::json::parse(r.files.replaced.at("manifest.json"));
  EXPECT_EQ(manifest["state"], "complete");
  EXPECT_EQ(manifest["error"]["code"], "storage") << manifest.dump(1);
  ASSERT_EQ(manifest["tracks"].size(), 1u);
  EXPECT_EQ(manifest["tracks"][0]["overflowPackets"], 7);
  EXPECT_EQ(manifest["tracks"][0]["packets"], seq - 7);
  ASSERT_EQ(manifest["tracks"][0]["gaps"].size(), 1u);
  EXPECT_EQ(manifest["tracks"][0]["gaps"][0]["reason"], "overflow");
}

TEST(RecordingIntake, a_slow_disk_costs_a_flooding_guest_its_own_media_and_the_surgeon_none) {
  auto sink = std::make_shared<RecordingSink>(Duration::zero(), RecordingSink::Limits{4096, 16, 0});
  RecordingIntake intake(sink, {RecordingId("rec_1"), SessionId("room"), "surgeon", WallTime{1'700'000'000'000}, Duration{}, RecordingId()}, Time(1s), {});
  recording::test::MemoryFiles files;
  const rtp::Codec opus{rtp::CodecName::opus, 48'000, 2, ""};
  sink->feed_added({FeedId("flood"), ParticipantId("par_1"), "guest", "flood", opus}, Time(1s));
  sink->feed_added({FeedId("voice"), ParticipantId("par_2"), "surgeon", "voice", opus}, Time(1s));
  const auto arrives = [&](const char* feed, rtp::Seq seq, std::uint32_t ticks, Time at) {
    peer::ReceivedRtp packet;
    packet.seq = seq;
    packet.header = {true, 111, static_cast<rtp::WireSeq>(seq), ticks, 1};
    packet.payload = kSound;
    sink->packet(FeedId(feed), packet, at);
  };
  rtp::Seq flood = 0;
  for (rtp::Seq seq = 0; seq < 500; ++seq) {  // 10 s: the disk takes 20 items each 20 ms, the guest sends 50
    const Time at = Time(1s) + 20ms * seq;
    for (int i = 0; i < 50; ++i, ++flood) arrives("flood", flood, static_cast<std::uint32_t>(flood * 120), at);
    arrives("voice", seq, static_cast<std::uint32_t>(seq * 960), at);
    intake.work(*sink, 20);
    carry_out(intake, files);
  }
  ASSERT_TRUE(intake.stop(Time(11s), WallTime{1'700'000'010'000}, std::nullopt));
  while (intake.work()) carry_out(intake, files);
  carry_out(intake, files);
  const auto manifest = nlohmann::json::parse(files.replaced.at("manifest.json"));
  ASSERT_EQ(manifest["tracks"].size(), 2u);
  for (const auto& track : manifest["tracks"]) {
    const bool greedy = track["label"] == "flood";
    EXPECT_EQ(track["packets"].get<std::int64_t>() + track["overflowPackets"].get<std::int64_t>(), greedy ? flood : 500) << track["label"];
    if (greedy) {
      EXPECT_GT(track["overflowPackets"], 10'000);
    } else {
      EXPECT_EQ(track["overflowPackets"], 0);
      EXPECT_EQ(track["gaps"].size(), 0u) << track["gaps"];
    }
  }
  EXPECT_EQ(sink->dropped(recording::QueueLoss::Cause::full), 0u);
}

TEST(RecordingIntake, records_a_feed_that_comes_after_thousands_without_media) {
  Recorded r;
  for (std::size_t i = 0; i < 3000; ++i) {
    const FeedId id("fd_" + std::to_string(i));
    r.sink->feed_added({id, ParticipantId("par_1"), "surgeon", "voice", rtp::Codec{rtp::CodecName::opus, 48'000, 2, ""}}, Time(2s));
    r.sink->feed_removed(id, Time(2s));
    while (r.intake.work()) r.carry_out();
  }
  EXPECT_EQ(r.intake.take().recorder().drops()[recording::Drop::refused_feed], 0u);
  for (rtp::Seq seq = 0; seq < 10; ++seq) r.arrives(seq);
  ASSERT_TRUE(r.intake.stop(Time(3s), WallTime{1'700'000'001'000}, std::nullopt));
  while (r.intake.work()) r.carry_out();
  r.carry_out();
  const auto manifest = nlohmann::json::parse(r.files.replaced.at("manifest.json"));
  EXPECT_EQ(manifest["tracks"].size(), 1u);
  EXPECT_LT(manifest["feedsWithoutMedia"].size(), 250u);
}

TEST(RecordingIntake, leaves_out_what_came_after_the_end) {
  Recorded r;
  for (rtp::Seq seq = 0; seq < 10; ++seq) r.arrives(seq);
  const Time end = Time(1s) + 100ms;
  ASSERT_TRUE(r.intake.stop(end, WallTime{1'700'000'001'000}, std::nullopt));
  EXPECT_FALSE(r.intake.stop(end + 1s, WallTime{}, std::nullopt)) << "known already";
  while (r.intake.work()) r.carry_out();
  r.carry_out();
  const auto manifest = nlohmann::json::parse(r.files.replaced.at("manifest.json"));
  EXPECT_EQ(manifest["durationMs"], 100);
  EXPECT_EQ(manifest["tracks"][0]["packets"], 6);
}

/// Where a WebM file's last frame lies in it.
double last_ms(const Bytes& file) {
  const auto segment = recording::test::tree(recording::test::parse_ebml(file)).get("18538067");
  const auto* cluster = segment.all("1f43b675").back();
  const ByteView block = cluster->all("a3").back()->data;
  return static_cast<double>(cluster->get("e7").number()) + std::to_integer<int>(block[1]) * 256 + std::to_integer<int>(block[2]);
}

TEST(RecordingIntake, believes_a_report_that_was_kept_for_a_minute_and_no_longer) {
  struct Row { Duration age; double sound_ms; };
  for (const Row& row : {Row{59s, 1480}, Row{61s, 1980}}) {  // the microphone has stood still for 500 ms since it reported
    const sfu::FeedInfo mic{FeedId("mic"), ParticipantId("par_1"), "surgeon", "voice", rtp::Codec{rtp::CodecName::opus, 48'000, 2, ""}};
    const sfu::FeedInfo cam{FeedId("cam"), ParticipantId("par_1"), "surgeon", "camera", rtp::Codec{rtp::CodecName::vp8, 90'000, 0, ""}};
    const Time start(1000s);
    const auto ntp = [](Time at) { return rtp::NtpTime{static_cast<std::uint64_t>(to_ms(at.time_since_epoch()) / 1000 + 3'900'000'000) << 32}; };
    const auto timestamp = [](Time at, std::uint64_t rate) { return static_cast<rtp::WireTimestamp>(static_cast<std::uint64_t>(to_ms(at.time_since_epoch())) * rate / 1000); };
    auto sink = std::make_shared<RecordingSink>(10s, RecordingSink::Limits{});
    sink->feed_added(mic, start - 100s);
    sink->feed_added(cam, start - 100s);
    sink->sender_report(mic.id, ntp(start - row.age), timestamp(start - row.age, 48'000), start - row.age);
    sink->sender_report(cam.id, ntp(start - 15s), timestamp(start - 15s, 90'000), start - 15s);
    ASSERT_EQ(sink->hand_over(start), Duration::zero());
    RecordingIntake intake(sink, {RecordingId("rec_1"), SessionId("room"), "surgeon", WallTime{1'700'000'000'000}, Duration{}, RecordingId()}, start, {});
    recording::test::MemoryFiles files;
    for (int i = 0; i < 100; ++i) {
      const Time now = start + 20ms * i;
      peer::ReceivedRtp packet;
      packet.seq = i;
      packet.header = {true, 96, static_cast<rtp::WireSeq>(i), timestamp(now - 500ms, 48'000), 1};
      packet.payload = kSound;
      sink->packet(mic.id, packet, now);
      packet.header = {true, 96, static_cast<rtp::WireSeq>(i), timestamp(now, 90'000), 2};
      packet.payload = recording::test::kKey;
      sink->packet(cam.id, packet, now);
    }
    const Time end = start + 2s;
    ASSERT_TRUE(intake.stop(end, WallTime{1'700'000'002'000}, std::nullopt));
    while (intake.work()) carry_out(intake, files);
    carry_out(intake, files);
    for (const auto& [number, file] : files.files) {
      if (!file.name.ends_with(".webm")) continue;
      EXPECT_NEAR(last_ms(file.data), file.name.starts_with("audio") ? row.sound_ms : 1980, 25) << file.name << ", a report of " << to_ms(row.age) << " ms before";
    }
  }
}

}  // namespace
}  // namespace amphi::server
