#include "server/recording_sink.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

namespace amphi::server {
namespace {

using Kind = RecordingSink::Kind;
using Cause = recording::QueueLoss::Cause;

sfu::FeedInfo feed(const std::string& id, const std::string& identity = "surgeon") {
  sfu::FeedInfo info;
  info.id = FeedId(id);
  info.participant = ParticipantId("par_" + identity);
  info.participant_identity = identity;
  info.label = "label of " + id;
  return info;
}

peer::ReceivedRtp packet(rtp::Seq seq, std::string_view payload) {
  peer::ReceivedRtp received;
  received.seq = seq;
  received.payload = as_bytes(payload);
  return received;
}

Time at(int ms) { return Time(milliseconds(ms)); }

/// What is in the queue, in words.
std::vector<std::string> drained(RecordingSink& sink) {
  std::vector<std::string> words;
  while (const auto* item = sink.front()) {
    const std::string number = std::to_string(item->feed);
    if (item->kind == Kind::packet) words.push_back("packet " + number + " " + std::to_string(item->seq));
    if (item->kind == Kind::sender_report) words.push_back("report " + number);
    if (item->kind == Kind::feed_added) words.push_back("added " + number + " " + item->added->id.value);
    if (item->kind == Kind::feed_removed) words.push_back("removed " + number);
    if (item->kind == Kind::overflow) words.push_back("lost " + number + " " + std::to_string(item->lost));
    sink.pop();
  }
  return words;
}

using Words = std::vector<std::string>;

TEST(RecordingSink, passes_on_what_it_sees_in_order) {
  RecordingSink sink;
  sink.feed_added(feed("a"), at(1));
  sink.packet(FeedId("a"), packet(70000, "hello"), at(2));
  sink.sender_report(FeedId("a"), {}, 0, at(3));
  sink.feed_removed(FeedId("a"), at(4));
  sink.packet(FeedId("a"), packet(70001, "late"), at(5));       // no longer a feed
  sink.packet(FeedId("never"), packet(1, "unknown"), at(6));
  EXPECT_EQ(drained(sink), (Words{"added 0 a", "packet 0 70000", "report 0", "removed 0"}));
  EXPECT_EQ(sink.untold(), 0u);
}

TEST(RecordingSink, copies_the_payload) {
  RecordingSink sink;
  sink.feed_added(feed("a"), at(0));
  std::string payload = "before";
  sink.packet(FeedId("a"), packet(1, payload), at(0));
  payload = "after!";
  sink.pop();
  ASSERT_NE(sink.front(), nullptr);
  EXPECT_EQ(as_text(sink.payload()), "before");
}

/// Room for a handful of packets of 1000 bytes.
RecordingSink small(Duration keep = Duration::zero()) { return RecordingSink(keep, {4096, 2, 3}); }

const std::string kThousand(1000, 'x');

TEST(RecordingSink, counts_what_does_not_fit_and_tells_it_before_anything_newer) {
  RecordingSink sink = small();
  sink.feed_added(feed("a"), at(0));
  sink.feed_added(feed("b"), at(0));
  for (int i = 0; i < 10; ++i) sink.packet(FeedId("a"), packet(i, kThousand), at(i));
  sink.packet(FeedId("b"), packet(0, kThousand), at(10));
  Words words = drained(sink);
  const std::size_t fitted = words.size() - 2;
  ASSERT_GE(fitted, 3u);
  ASSERT_LT(fitted, 10u);
  EXPECT_EQ(words.back(), "packet 0 " + std::to_string(fitted - 1));
  sink.packet(FeedId("a"), packet(10, "x"), at(11));
  EXPECT_EQ(drained(sink), (Words{"lost 0 " + std::to_string(10 - fitted), "lost 1 1", "packet 0 10"}));
  EXPECT_EQ(sink.untold(), 0u);
}

TEST(RecordingSink, an_identity_that_floods_the_queue_loses_its_own_media_and_no_others) {
  RecordingSink sink(Duration::zero(), {4096, 16, 0});
  sink.feed_added(feed("flood", "guest"), at(0));
  sink.feed_added(feed("flood 2", "guest"), at(0));
  sink.feed_added(feed("scope", "surgeon"), at(0));
  rtp::Seq sent = 0;
  for (int ms = 0; ms < 1000; ++ms) {  // the disk stands still: 2 MB of the guest, 10 kB of the surgeon
    sink.packet(FeedId("flood"), packet(2 * ms, kThousand), at(ms));
    sink.packet(FeedId("flood 2"), packet(2 * ms + 1, kThousand), at(ms));
    if (ms % 100 == 99) sink.packet(FeedId("scope"), packet(sent++, kThousand), at(ms));
  }
  EXPECT_GT(sink.dropped(Cause::over_share), 1900u);
  EXPECT_EQ(sink.dropped(Cause::full), 0u) << "a half of the queue is left to others";
  const auto losses = sink.take_losses();
  ASSERT_EQ(losses.size(), 2u);
  EXPECT_EQ(losses[0].feed, FeedId("flood"));
  EXPECT_EQ(losses[1].participant, ParticipantId("par_guest"));
  EXPECT_EQ(losses[1].label, "label of flood 2");
  EXPECT_TRUE(sink.take_losses().empty()) << "each is told once";
  const Words words = drained(sink);
  EXPECT_EQ(std::count_if(words.begin(), words.end(), [](const std::string& word) { return word.starts_with("packet 2 "); }), 10);
  const auto theirs = std::count_if(words.begin(), words.end(), [](const std::string& word) { return word.starts_with("packet 0 ") || word.starts_with("packet 1 "); });
  EXPECT_EQ(static_cast<std::uint64_t>(theirs) + sink.dropped(), 2000u);
  EXPECT_GT(theirs, 20) << "a half of the queue is its own";
}

TEST(RecordingSink, a_flood_of_many_feeds_has_the_share_of_one_identity) {
  RecordingSink sink(Duration::zero(), {4096, 16, 0});
  for (int i = 0; i < 50; ++i) sink.feed_added(feed("flood " + std::to_string(i), "guest"), at(0));
  sink.feed_added(feed("scope", "surgeon"), at(0));
  drained(sink);
  for (int i = 0; i < 5000; ++i) sink.packet(FeedId("flood " + std::to_string(i % 50)), packet(i, kThousand), at(i));
  for (int i = 0; i < 5000; ++i) sink.sender_report(FeedId("flood 1"), {}, 0, at(5000 + i));
  for (int i = 0; i < 10; ++i) sink.packet(FeedId("scope"), packet(i, kThousand), at(10'000 + i));
  EXPECT_EQ(sink.dropped(Cause::over_share) + std::uint64_t(drained(sink).size()), 5010u) << "no report was taken in a full share, and no packet of the surgeon lost";
  EXPECT_EQ(sink.take_losses().size(), 50u);
}

TEST(RecordingSink, an_identity_that_was_over_its_share_goes_on_behind_its_loss_once_it_has_room) {
  RecordingSink sink(Duration::zero(), {4096, 8, 0});
  sink.feed_added(feed("flood", "guest"), at(0));
  sink.feed_added(feed("scope", "surgeon"), at(0));
  rtp::Seq seq = 0;
  while (sink.dropped() == 0) sink.packet(FeedId("flood"), packet(seq++, kThousand), at(1));
  const std::size_t held = static_cast<std::size_t>(seq) - 1;
  for (int i = 0; i < 3; ++i) sink.pop();  // both feeds, and one packet: less than a chunk
  sink.packet(FeedId("flood"), packet(seq++, kThousand), at(2));
  EXPECT_EQ(sink.dropped(), 2u) << "no loss is told for each packet that finds room";
  sink.packet(FeedId("scope"), packet(0, "x"), at(3));
  Words words = drained(sink);
  ASSERT_EQ(words.size(), held);
  EXPECT_EQ(words.back(), "packet 1 0") << "the losses of one identity keep no other from going on";
  sink.packet(FeedId("flood"), packet(seq, kThousand), at(4));
  EXPECT_EQ(drained(sink), (Words{"lost 0 2", "packet 0 " + std::to_string(seq)}));
  sink.packet(FeedId("flood"), packet(seq + 1, "x"), at(5));
  EXPECT_EQ(drained(sink).size(), 1u);
}

TEST(RecordingSink, the_loss_of_a_feed_that_is_gone_is_told_while_others_go_on) {
  RecordingSink sink = small();
  sink.feed_added(feed("flood", "guest"), at(0));
  sink.feed_added(feed("scope", "surgeon"), at(0));
  while (sink.dropped() < 3) sink.packet(FeedId("flood"), packet(0, kThousand), at(1));
  sink.feed_removed(FeedId("flood"), at(2));
  drained(sink);
  sink.packet(FeedId("scope"), packet(0, "x"), at(150));
  EXPECT_EQ(drained(sink), (Words{"lost 0 3", "packet 1 0"}));
}

TEST(RecordingSink, hundred_identities_that_flood_the_queue_leave_room_for_one_more) {
  RecordingSink sink(Duration::zero(), {65536, 128, 0});
  for (int i = 0; i < 100; ++i) sink.feed_added(feed("flood " + std::to_string(i), "guest " + std::to_string(i)), at(0));
  sink.feed_added(feed("scope", "surgeon"), at(0));
  for (int i = 0; i < 10'000; ++i) sink.packet(FeedId("flood " + std::to_string(i % 100)), packet(i, kThousand), at(1));
  EXPECT_GT(sink.dropped(Cause::over_share), 2000u);
  EXPECT_EQ(sink.dropped(Cause::full), 0u);
  for (int i = 0; i < 5; ++i) sink.packet(FeedId("scope"), packet(i, kThousand), at(2));
  const auto losses = sink.take_losses();
  EXPECT_EQ(losses.size(), 100u);
  EXPECT_TRUE(std::none_of(losses.begin(), losses.end(), [](const auto& loss) { return loss.feed == FeedId("scope"); }));
}

TEST(QueueShares, forgets_an_identity_once_its_last_feed_has_left_and_its_last_byte_was_taken) {
  QueueShares shares(1000);
  auto& guest = shares.join("guest");
  shares.put(guest, 400);
  shares.leave(guest);
  shares.join("a");
  EXPECT_EQ(shares.holders(), 2u);
  shares.taken(guest, 400);
  shares.join("b");
  EXPECT_EQ(shares.holders(), 2u);
}

TEST(RecordingSink, never_loses_the_coming_and_going_of_a_feed) {
  RecordingSink sink = small();
  sink.feed_added(feed("a"), at(0));
  for (int i = 0; i < 20; ++i) sink.packet(FeedId("a"), packet(i, kThousand), at(1));
  Words expected{"added 0 a"};
  for (int i = 1; i <= 100; ++i) {  // more than the full log has room for
    const std::string name = "x" + std::to_string(i);
    sink.feed_added(feed(name), at(2));
    sink.packet(FeedId(name), packet(0, kThousand), at(3));
    sink.feed_removed(FeedId(name), at(4));
    expected.push_back("added " + std::to_string(i) + " " + name);
    expected.push_back("removed " + std::to_string(i));
  }
  Words told;
  std::uint64_t lost = 0, there = 0;
  for (int i = 0; i < 50; ++i) {
    for (const std::string& word : drained(sink)) {
      if (word.starts_with("lost")) lost += std::stoull(word.substr(word.rfind(' ') + 1));
      else if (word.starts_with("packet")) ++there;
      else told.push_back(word);
    }
    sink.packet(FeedId("a"), packet(20 + i, "x"), at(5 + 100 * i));
  }
  EXPECT_EQ(told, expected);
  EXPECT_EQ(there + drained(sink).size() + lost, 20u + 100u + 50u);
  EXPECT_EQ(sink.untold(), 0u);
}

TEST(RecordingSink, tells_of_a_loss_as_of_when_it_began) {
  RecordingSink sink = small();
  sink.feed_added(feed("a"), at(0));
  int sent = 0;
  while (sink.untold() == 0) sink.packet(FeedId("a"), packet(sent, kThousand), at(sent)), ++sent;
  sink.packet(FeedId("a"), packet(sent, kThousand), at(500));
  drained(sink);
  sink.packet(FeedId("a"), packet(sent + 1, "x"), at(1000));
  ASSERT_NE(sink.front(), nullptr);
  EXPECT_EQ(sink.front()->kind, Kind::overflow);
  EXPECT_EQ(sink.front()->lost, 2u);
  EXPECT_EQ(sink.front()->at, at(sent - 1)) << "a recording that ended in between has lost it";
}

TEST(RecordingSink, what_found_no_room_until_the_end_is_not_forgotten) {
  RecordingSink sink = small();
  sink.feed_added(feed("a"), at(0));
  for (int i = 0; i < 20; ++i) sink.packet(FeedId("a"), packet(i, kThousand), at(i));
  const std::uint64_t lost = sink.untold();
  ASSERT_GT(lost, 0u);
  for (int i = 0; i < 50; ++i) sink.feed_added(feed("x" + std::to_string(i)), at(30));  // the last gap is full, too
  sink.feed_removed(FeedId("a"), at(31));
  sink.feed_added(feed("a"), at(32));
  sink.packet(FeedId("a"), packet(0, kThousand), at(33));
  drained(sink);
  const auto rest = sink.take_rest();
  ASSERT_GE(rest.size(), 4u);
  const auto& told = [&](std::size_t back) -> const RecordingSink::Item& { return rest[rest.size() - back]; };
  EXPECT_TRUE(told(4).kind == Kind::feed_removed && told(4).feed == 0 && told(4).at == at(31));
  EXPECT_TRUE(told(3).kind == Kind::feed_added && told(3).feed == 51 && told(3).added->id == FeedId("a"));
  EXPECT_TRUE(told(2).kind == Kind::overflow && told(2).feed == 0 && told(2).lost == lost);
  EXPECT_TRUE(told(1).kind == Kind::overflow && told(1).feed == 51 && told(1).lost == 1);
  EXPECT_EQ(sink.untold(), 0u);
  EXPECT_TRUE(sink.take_rest().empty());
}

TEST(RecordingSink, a_keeper_holds_the_newest_and_knows_who_was_there_before) {
  RecordingSink sink = small(100ms);
  EXPECT_TRUE(sink.keeping());
  for (const char* id : {"a", "b", "c"}) sink.feed_added(feed(id), at(0));
  sink.packet(FeedId("a"), packet(0, "x"), at(10));
  sink.sender_report(FeedId("a"), {7}, 9, at(15));
  sink.feed_removed(FeedId("b"), at(20));
  sink.packet(FeedId("a"), packet(1, "x"), at(60));
  sink.feed_removed(FeedId("c"), at(70));
  sink.packet(FeedId("a"), packet(2, "x"), at(150));
  EXPECT_EQ(sink.hand_over(at(155)), 95ms);
  EXPECT_FALSE(sink.keeping());
  std::string known;
  for (const auto& k : sink.take_known()) {
    known += std::to_string(k.feed) + k.info->id.value + " ";
    if (k.reported_at) known += "reported " + std::to_string(k.reported.rtp) + " at " + std::to_string(to_ms(k.reported_at->time_since_epoch())) + " ";
  }
  EXPECT_EQ(known, "0a reported 9 at 15 2c ") << "b had left before";
  EXPECT_EQ(drained(sink), (Words{"packet 0 1", "removed 2", "packet 0 2"}));
  for (int i = 3; i < 6; ++i) sink.packet(FeedId("a"), packet(i, "x"), at(1000 * i));
  EXPECT_EQ(drained(sink).size(), 3u) << "a recording's sink forgets nothing";
}

TEST(RecordingSink, a_keeper_that_was_handed_over_in_vain_keeps_on) {
  RecordingSink sink(1s, RecordingSink::Limits{});
  sink.feed_added(feed("a"), at(0));
  sink.packet(FeedId("a"), packet(1, "old"), at(1000));
  sink.packet(FeedId("a"), packet(2, "new"), at(2500));
  EXPECT_EQ(sink.hand_over(at(2600)), 100ms);
  sink.packet(FeedId("a"), packet(3, "newer"), at(2700));
  EXPECT_FALSE(sink.keeping());
  ASSERT_TRUE(sink.keep_again(1s));
  EXPECT_TRUE(sink.keeping());
  EXPECT_EQ(sink.hand_over(at(3000)), 500ms) << "what it held is there for the next";
  ASSERT_EQ(sink.take_known().size(), 1u);
  EXPECT_EQ(drained(sink), (Words{"packet 0 2", "packet 0 3"}));
  EXPECT_FALSE(sink.keep_again(1s)) << "a recording has taken of it";
}

TEST(RecordingSink, a_keeper_forgets_also_while_nothing_comes_and_never_grows_past_its_bound) {
  RecordingSink sink = small(100ms);
  sink.feed_added(feed("a"), at(0));
  sink.packet(FeedId("a"), packet(0, "x"), at(1));
  sink.forget_old(at(1000));
  EXPECT_EQ(sink.front(), nullptr);
  for (int i = 0; i < 1000; ++i) sink.packet(FeedId("a"), packet(i, kThousand), at(2000));
  EXPECT_EQ(sink.untold(), 0u) << "the oldest goes, not the newest";
  EXPECT_EQ(sink.hand_over(at(2000)), 0ms);
  EXPECT_EQ(sink.take_known().size(), 1u);
  const Words words = drained(sink);
  EXPECT_LE(words.size(), 12u);
  EXPECT_EQ(words.back(), "packet 0 999");
}

TEST(RecordingSink, a_keeper_of_nothing_begins_at_once) {
  RecordingSink sink = small(100ms);
  sink.feed_added(feed("a"), at(0));
  EXPECT_EQ(sink.hand_over(at(5000)), 0ms);
  EXPECT_EQ(sink.take_known().size(), 1u);
  EXPECT_EQ(sink.front(), nullptr);
}

TEST(RecordingSink, the_number_of_a_feed_that_is_gone_is_used_again_once_nothing_is_left_to_tell_of_it) {
  RecordingSink sink;
  for (int i = 0; i < 2; ++i) {
    sink.feed_added(feed("a"), at(i));
    sink.feed_removed(FeedId("a"), at(i));
  }
  EXPECT_EQ(drained(sink), (Words{"added 0 a", "removed 0", "added 0 a", "removed 0"}));
  RecordingSink full = small();
  full.feed_added(feed("a"), at(0));
  int sent = 0;
  while (full.untold() == 0) full.packet(FeedId("a"), packet(sent++, kThousand), at(1));
  full.feed_removed(FeedId("a"), at(2));
  full.feed_added(feed("b"), at(3));
  const Words before = drained(full);
  ASSERT_GE(before.size(), 2u);
  EXPECT_EQ(Words(before.end() - 2, before.end()), (Words{"removed 0", "added 1 b"})) << "its loss is not told yet";
  full.packet(FeedId("b"), packet(0, "x"), at(4));
  EXPECT_EQ(drained(full), (Words{"lost 0 1", "packet 1 0"}));
  full.feed_added(feed("c"), at(5));
  EXPECT_EQ(drained(full), (Words{"added 0 c"}));
  EXPECT_EQ(full.dropped(), 1u);
}

TEST(RecordingSink, feeds_that_come_and_go_without_media_while_the_log_is_full_leave_nothing_behind) {
  RecordingSink sink = small();
  sink.feed_added(feed("a"), at(0));
  while (sink.untold() == 0) sink.packet(FeedId("a"), packet(0, kThousand), at(1));
  for (int i = 0; i < 100; ++i) sink.feed_added(feed("filler" + std::to_string(i)), at(2));  // the last gap is full, too
  for (int i = 0; i < 10'000; ++i) {
    sink.feed_added(feed("x" + std::to_string(i)), at(3));
    sink.feed_removed(FeedId("x" + std::to_string(i)), at(3));
  }
  EXPECT_LE(sink.take_rest().size(), 101u);
}

TEST(RecordingSink, every_packet_is_either_there_or_counted_between_two_threads) {
  RecordingSink sink(Duration::zero(), {4096, 2, 0});
  constexpr std::uint64_t kCount = 50'000;
  std::atomic<bool> sent{false};
  std::thread worker([&] {
    sink.feed_added(feed("a"), at(0));
    for (std::uint64_t i = 0; i < kCount; ++i) sink.packet(FeedId("a"), packet(static_cast<rtp::Seq>(i), "payload"), at(1));
    sent.store(true, std::memory_order_release);
  });
  std::uint64_t seen = 0, lost = 0;
  while (true) {
    const bool last = sent.load(std::memory_order_acquire);
    while (const auto* item = sink.front()) {
      seen += item->kind == Kind::packet;
      lost += item->kind == Kind::overflow ? item->lost : 0;
      sink.pop();
    }
    if (last) break;
    std::this_thread::yield();
  }
  worker.join();
  for (const auto& item : sink.take_rest()) lost += item.lost;
  EXPECT_EQ(seen + lost, kCount);
}

}  // namespace
}  // namespace amphi::server
