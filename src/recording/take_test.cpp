#include "recording/take.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "recording/history.h"
#include "recording/storage_watch.h"
#include "recording/test_files.h"

namespace amphi::recording::test {
namespace {

constexpr Time kStart = Time(1000s);
const RecordingInfo kInfo{RecordingId("rec_1"), SessionId("room"), "surgeon", WallTime{1'700'000'000'000}, Duration{}, RecordingId()};

struct Arrival {
  Time at;
  rtp::Seq seq;
};
struct Arrivals {
  std::deque<Arrival> items;
  Arrival* front() { return items.empty() ? nullptr : &items.front(); }
  void pop() { items.pop_front(); }
};

/// Eight seconds of sound with a hole and a silence, stopped after seven; the writer comes to it every `round`.
/// What was written, by file.
std::map<FileNumber, std::string> written(Duration round) {
  Arrivals all, come;
  for (rtp::Seq seq = 0; seq < 400; ++seq)
    if (seq != 20 && (seq < 100 || seq > 250)) all.items.push_back({kStart + 20ms * seq, seq});
  Take take(kInfo, kStart, {});
  take.recorder().add_feed(feed("mic", opus_codec()), kStart);
  std::map<FileNumber, std::string> out;
  const auto carry_out = [&] {
    while (auto output = take.recorder().poll_output()) {
      const auto* op = std::get_if<FileOp>(&*output);
      if (op == nullptr) continue;
      if (const auto* write = std::get_if<WriteFile>(op)) out[write->file] += std::to_string(write->offset) + ": " + std::string(as_text(write->data));
      if (std::holds_alternative<ReplaceFile>(*op)) take.recorder().handle_replaced(take.reached());
      if (const auto* hash = std::get_if<HashFile>(op)) take.recorder().handle_hash(hash->file, {}, take.reached());
    }
  };
  const auto hand = [&](const Arrival& a) {
    const Bytes payload{std::byte{0x78}, static_cast<std::byte>(a.seq)};
    take.recorder().handle_packet(FeedId("mic"), a.seq, {true, 111, static_cast<rtp::WireSeq>(a.seq), static_cast<rtp::WireTimestamp>(a.seq * 960), 1}, payload, a.at);
  };
  const Time stop = kStart + 7s;
  const auto arrive_until = [&](Time now) {
    for (; !all.items.empty() && all.items.front().at <= now; all.items.pop_front()) come.items.push_back(all.items.front());
  };
  for (Time now = kStart; now < stop; now += round) {
    arrive_until(now);
    while (take.drain(come, hand)) carry_out();
    take.handle_timeout(now);
    carry_out();
  }
  arrive_until(Time::max());  // also what came after the stop, before the writer heard of it
  EXPECT_TRUE(take.end_at(stop));
  EXPECT_FALSE(take.end_at(stop + 1s));
  while (take.drain(come, hand)) carry_out();
  take.complete(stop, WallTime{1'700'000'007'000});
  carry_out();
  return out;
}

TEST(Take, is_the_same_however_late_the_writer_comes_to_it) {
  const auto timely = written(5ms);
  ASSERT_EQ(timely.size(), 2u);
  ASSERT_GT(timely.at(1).size(), 500u);
  EXPECT_EQ(written(10s), timely) << "all at once, at the end";
}

TEST(Take, marks_nothing_after_its_end) {
  Take take(kInfo, kStart, {});
  take.add_marker("in it", "surgeon", kStart + 1s);
  take.end_at(kStart + 2s);
  take.add_marker("behind", "surgeon", kStart + 3s);
  take.complete(kStart + 2s, WallTime{});
  std::string journal;
  while (auto output = take.recorder().poll_output())
    if (const auto* op = std::get_if<FileOp>(&*output))
      if (const auto* write = std::get_if<WriteFile>(op)) journal += as_text(write->data);
  EXPECT_NE(journal.find("in it"), std::string::npos);
  EXPECT_EQ(journal.find("behind"), std::string::npos);
}

TEST(StorageWatch, puts_a_writer_that_is_stuck_before_what_is_foreseen) {
  StorageWatch watch;
  const StorageWarning low{"storage_low", "soon", 12};
  EXPECT_FALSE(watch.warning());
  EXPECT_TRUE(watch.told(low));
  EXPECT_FALSE(watch.told(low)) << "nothing new";
  EXPECT_FALSE(watch.look(kStart, kStart + StorageWatch::kStuck)) << "it may still answer";
  EXPECT_TRUE(watch.look(kStart, kStart + StorageWatch::kStuck + 1ms));
  EXPECT_EQ(watch.warning()->code, "storage_slow");
  ASSERT_EQ(watch.warnings().size(), 2u);
  EXPECT_EQ(watch.warnings()[1], low);
  EXPECT_TRUE(watch.told(std::nullopt));
  EXPECT_EQ(watch.warning()->code, "storage_slow") << "still stuck";
  EXPECT_TRUE(watch.told(low));
  EXPECT_TRUE(watch.look(std::nullopt, kStart + 9s));
  EXPECT_EQ(watch.warning(), low);
  EXPECT_TRUE(watch.told(std::nullopt));
  EXPECT_FALSE(watch.warning());
}

TEST(StorageWatch, tells_of_packets_that_found_no_room_for_5_s_after_the_newest) {
  StorageWatch watch;
  EXPECT_FALSE(watch.look(std::nullopt, kStart, 0));
  EXPECT_TRUE(watch.look(std::nullopt, kStart + 1s, 7));
  ASSERT_EQ(watch.warnings().size(), 1u);
  EXPECT_EQ(watch.warnings()[0].code, "media_dropped");
  EXPECT_FALSE(watch.look(std::nullopt, kStart + 3s, 8));
  EXPECT_FALSE(watch.look(std::nullopt, kStart + 7s, 8));
  EXPECT_TRUE(watch.look(std::nullopt, kStart + 8s, 8));
  EXPECT_TRUE(watch.warnings().empty());
}

TEST(StorageWatch, names_each_participant_that_loses_media_and_how_many_of_its_feeds) {
  StorageWatch watch;
  watch.look(std::nullopt, kStart, 9);
  const auto loss = [](const char* feed, const char* participant, QueueLoss::Cause cause) { return QueueLoss{FeedId(feed), ParticipantId(participant), feed, cause}; };
  using Cause = QueueLoss::Cause;
  EXPECT_TRUE(watch.lost({loss("flood", "par_2", Cause::over_share), loss("flood 2", "par_2", Cause::over_share), loss("scope", "par_1", Cause::full)}, kStart));
  const auto warnings = watch.warnings();
  ASSERT_EQ(warnings.size(), 2u) << "and no further one that names nobody";
  EXPECT_EQ(warnings[0].feed, FeedId("scope"));
  EXPECT_EQ(warnings[0].participant, ParticipantId("par_1"));
  EXPECT_EQ(warnings[0].message, "scope: media are not recorded, the queue before the disk is full");
  EXPECT_EQ(warnings[1].code, "media_dropped");
  EXPECT_EQ(warnings[1].participant, ParticipantId("par_2"));
  EXPECT_EQ(warnings[1].message, "flood and 1 other feed: media are not recorded, the participant has used up its share of the queue before the disk");
  EXPECT_FALSE(watch.lost({loss("scope", "par_1", Cause::full)}, kStart + 2s)) << "the same as before";
  EXPECT_TRUE(watch.look(std::nullopt, kStart + 5s, 9));
  ASSERT_EQ(watch.warnings().size(), 1u) << "each for 5 s after its newest loss";
  EXPECT_EQ(watch.warnings()[0].participant, ParticipantId("par_1"));
  EXPECT_TRUE(watch.look(std::nullopt, kStart + 7s, 9));
  EXPECT_TRUE(watch.warnings().empty());
  std::vector<QueueLoss> many;
  for (int i = 0; i < 100; ++i) many.push_back(loss("f", ("par_" + std::to_string(i)).c_str(), Cause::full));
  watch.lost(many, kStart + 8s);
  EXPECT_EQ(watch.warnings().size(), StorageWatch::kMostLosers);
}

TEST(History, adds_up_in_any_order) {
  Manifest one, two;
  one.id = RecordingId("rec_1"), one.duration_ms = 1500, one.started_at = WallTime{2000};
  two.id = RecordingId("rec_2"), two.duration_ms = 250, two.started_at = WallTime{1000};
  History history;
  EXPECT_EQ(history.last_recording_id, "");
  history.add(one);
  history.add(two);
  EXPECT_EQ(history.total_ms, 1750);
  EXPECT_EQ(history.last_recording_id, "rec_1");
}

}  // namespace
}  // namespace amphi::recording::test
