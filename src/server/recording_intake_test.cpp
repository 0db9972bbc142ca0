// The real sink and the real recorder, with nothing of a disk between them.
#include "server/recording_intake.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "recording/test_files.h"
#include "server/test_log.h"

namespace amphi::server {
namespace {

const Bytes kSound{std::byte{0x78}, std::byte{1}, std::byte{2}};  // Opus, 20 ms

/// A microphone before a sink that has room for a few packets.
struct Recorded {
  std::shared_ptr<RecordingSink> sink = std::make_shared<RecordingSink>(Duration::zero(), RecordingSink::Limits{4096, 3, 3});
  RecordingIntake intake{sink, {RecordingId("rec_1"), SessionId("room"), "surgeon", WallTime{1'700'000'000'000}, Duration{}, RecordingId()}, Time(1s), {}};
  recording::test::MemoryFiles files;

  Recorded() { sink->feed_added({FeedId("mic"), ParticipantId("par_1"), "surgeon", "voice", rtp::Codec{rtp::CodecName::opus, 48'000, 2, ""}}, Time(1s)); }
  void arrives(rtp::Seq seq) {
    peer::ReceivedRtp packet;
    packet.seq = seq;
    packet.header = {true, 111, static_cast<rtp::WireSeq>(seq), static_cast<rtp::WireTimestamp>(seq * 960), 1};
    packet.payload = kSound;
    sink->packet(FeedId("mic"), packet, Time(1s) + 20ms * seq);
  }
  void carry_out() {
    recording::Recorder& recorder = intake.take().recorder();
    while (auto output = recorder.poll_output()) {
      const auto* op = std::get_if<recording::FileOp>(&*output);
      if (op == nullptr) continue;
      std::visit([&](const auto& each) { files.apply(each); }, *op);
      if (std::holds_alternative<recording::ReplaceFile>(*op)) recorder.handle_replaced(intake.take().reached());
      if (const auto* hash = std::get_if<recording::HashFile>(op)) recorder.handle_hash(hash->file, {}, intake.take().reached());
    }
  }
};

TEST(RecordingIntake, tells_what_the_sink_had_dropped_at_the_end_though_the_disk_was_full) {
  Recorded r;
  rtp::Seq seq = 0;
  while (r.sink->untold() < 7) r.arrives(seq++);
  const Time end = Time(1s) + 20ms * seq;
  ASSERT_TRUE(r.intake.take().end_at(end));
  while (r.intake.drain()) r.carry_out();
  r.intake.complete(end, WallTime{1'700'000'009'000}, Error{ErrorCode::storage, "full"});
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

TEST(RecordingIntake, says_once_that_there_were_more_feeds_than_are_recorded) {
  Recorded r;
  const test::LogWatch log;
  for (std::size_t i = 0; i < recording::Recorder::kMaxFeeds + 5; ++i) {
    const FeedId id("fd_" + std::to_string(i));
    r.sink->feed_added({id, ParticipantId("par_1"), "surgeon", "voice", rtp::Codec{rtp::CodecName::opus, 48'000, 2, ""}}, Time(2s));
    r.sink->feed_removed(id, Time(2s));
    while (r.intake.drain()) r.carry_out();
  }
  EXPECT_EQ(r.intake.take().recorder().drops()[recording::Drop::refused_feed], 6u);
  EXPECT_EQ(log.count("records no further ones"), 1u);
}

TEST(RecordingIntake, leaves_out_what_came_after_the_end) {
  Recorded r;
  for (rtp::Seq seq = 0; seq < 10; ++seq) r.arrives(seq);
  const Time end = Time(1s) + 100ms;
  ASSERT_TRUE(r.intake.take().end_at(end));
  while (r.intake.drain()) r.carry_out();
  r.intake.complete(end, WallTime{1'700'000'001'000}, std::nullopt);
  r.carry_out();
  const auto manifest = nlohmann::json::parse(r.files.replaced.at("manifest.json"));
  EXPECT_EQ(manifest["durationMs"], 100);
  EXPECT_EQ(manifest["tracks"][0]["packets"], 6);
}

}  // namespace
}  // namespace amphi::server
