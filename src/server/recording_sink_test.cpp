#include "server/recording_sink.h"

#include <gtest/gtest.h>

#include <thread>

namespace amphi::server {
namespace {

using Kind = RecordingSink::Kind;

sfu::FeedInfo feed(const std::string& id) {
  sfu::FeedInfo info;
  info.id = FeedId(id);
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
  RecordingSink sink(16);
  sink.feed_added(feed("a"), at(1));
  sink.packet(FeedId("a"), packet(70000, "hello"), at(2));
  sink.sender_report(FeedId("a"), {}, 0, at(3));
  sink.feed_removed(FeedId("a"), at(4));
  sink.packet(FeedId("a"), packet(70001, "late"), at(5));       // no longer a feed
  sink.packet(FeedId("never"), packet(1, "unknown"), at(6));
  EXPECT_EQ(drained(sink), (Words{"added 0 a", "packet 0 70000", "report 0", "removed 0"}));
  EXPECT_TRUE(sink.final_overflow().empty());
}

TEST(RecordingSink, copies_the_payload) {
  RecordingSink sink(16);
  sink.feed_added(feed("a"), at(0));
  std::string payload = "before";
  sink.packet(FeedId("a"), packet(1, payload), at(0));
  payload = "after!";
  sink.pop();
  ASSERT_NE(sink.front(), nullptr);
  EXPECT_EQ(as_text(ByteView(sink.front()->payload.data(), sink.front()->size)), "before");
}

TEST(RecordingSink, counts_what_does_not_fit_and_tells_it_before_anything_newer) {
  RecordingSink sink(4);
  sink.feed_added(feed("a"), at(0));
  sink.feed_added(feed("b"), at(0));
  for (int i = 0; i < 10; ++i) sink.packet(FeedId("a"), packet(i, "x"), at(i));
  sink.packet(FeedId("b"), packet(0, "x"), at(10));
  EXPECT_EQ(drained(sink), (Words{"added 0 a", "added 1 b", "packet 0 0", "packet 0 1"}));
  sink.packet(FeedId("a"), packet(10, "x"), at(11));
  EXPECT_EQ(drained(sink), (Words{"lost 0 8", "lost 1 1", "packet 0 10"}));
  EXPECT_TRUE(sink.final_overflow().empty());
}

TEST(RecordingSink, never_loses_the_coming_and_going_of_a_feed) {
  RecordingSink sink(2);
  sink.feed_added(feed("a"), at(0));
  sink.packet(FeedId("a"), packet(0, "x"), at(1));
  sink.feed_added(feed("b"), at(2));
  sink.packet(FeedId("b"), packet(0, "x"), at(3));
  sink.feed_removed(FeedId("b"), at(4));
  EXPECT_EQ(drained(sink), (Words{"added 0 a", "packet 0 0"}));
  sink.packet(FeedId("a"), packet(1, "x"), at(5));
  EXPECT_EQ(drained(sink), (Words{"added 1 b", "removed 1"}));
  sink.packet(FeedId("a"), packet(2, "x"), at(6));
  EXPECT_EQ(drained(sink), (Words{"lost 0 1", "lost 1 1"}));
  EXPECT_EQ(sink.final_overflow().size(), 1u);  // the last packet, behind two reports of loss in a queue of two
}

TEST(RecordingSink, a_feed_that_comes_again_is_another_number) {
  RecordingSink sink(16);
  for (int i = 0; i < 2; ++i) {
    sink.feed_added(feed("a"), at(i));
    sink.feed_removed(FeedId("a"), at(i));
  }
  EXPECT_EQ(drained(sink), (Words{"added 0 a", "removed 0", "added 1 a", "removed 1"}));
}

TEST(RecordingSink, every_packet_is_either_there_or_counted_between_two_threads) {
  RecordingSink sink(64);
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
  for (const auto& [number, count] : sink.final_overflow()) lost += count;
  EXPECT_EQ(seen + lost, kCount);
}

}  // namespace
}  // namespace amphi::server
