// The history keeps exactly its last packets.
#include "rtp/history.h"

#include <gtest/gtest.h>

namespace amphi::rtp {
namespace {

Bytes payload_of(Seq seq) {
  return Bytes(static_cast<std::size_t>(seq % 7) + 1, static_cast<std::byte>(seq));
}

void insert(PacketHistory& history, Seq seq) {
  history.insert(seq, {.seq = static_cast<WireSeq>(seq), .ssrc = 5}, payload_of(seq), Time(milliseconds(seq)));
}

}  // namespace

TEST(PacketHistory, finds_the_last_packets_and_nothing_older) {
  PacketHistory history(16);
  EXPECT_FALSE(history.find(0)) << "an empty slot is not packet 0";
  for (Seq seq = 65'500; seq < 65'600; ++seq) insert(history, seq);
  for (Seq seq = 65'480; seq < 65'610; ++seq) {
    const auto entry = history.find(seq);
    ASSERT_EQ(entry.has_value(), seq >= 65'584 && seq < 65'600) << seq;
    if (!entry) continue;
    EXPECT_EQ(entry->seq, seq);
    EXPECT_EQ(entry->header.seq, static_cast<WireSeq>(seq));
    EXPECT_EQ(entry->header.ssrc, 5u);
    EXPECT_EQ(to_bytes(entry->payload), payload_of(seq));
    EXPECT_EQ(entry->at, Time(milliseconds(seq)));
  }
}

TEST(PacketHistory, rounds_up_to_a_power_of_two) {
  PacketHistory history(9);
  for (Seq seq = 0; seq < 16; ++seq) insert(history, seq);
  EXPECT_TRUE(history.find(0));
  insert(history, 16);
  EXPECT_FALSE(history.find(0));
}

TEST(PacketHistory, takes_late_packets_but_never_in_place_of_newer_ones) {
  PacketHistory history(8);
  insert(history, 10);
  insert(history, 9);
  EXPECT_TRUE(history.find(9));
  insert(history, 2);
  EXPECT_FALSE(history.find(2)) << "10 holds its slot";
  EXPECT_TRUE(history.find(10));
  insert(history, -1);
  EXPECT_TRUE(history.find(-1)) << "a stream that began with reordering across the wrap";
}

TEST(PacketHistory, an_oversized_payload_is_not_kept_and_an_empty_one_is) {
  PacketHistory history(8);
  history.insert(1, {}, Bytes(PacketHistory::kSlotBytes + 1), {});
  EXPECT_FALSE(history.find(1));
  history.insert(1, {}, Bytes(PacketHistory::kSlotBytes), {});
  EXPECT_TRUE(history.find(1));
  history.insert(2, {}, {}, {});
  ASSERT_TRUE(history.find(2));
  EXPECT_TRUE(history.find(2)->payload.empty());
}

}  // namespace amphi::rtp
