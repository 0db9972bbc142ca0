// The reorder buffer: what comes out, in which order, and when.
#include "recording/reorder.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace amphi::recording {
namespace {

struct In {
  rtp::Seq seq;
  int at_ms;
};
struct Row {
  const char* name;
  std::vector<In> in;
  int until_ms;     // polled once a millisecond up to here
  std::string out;  // "seq@ms" in order; "!n" before one: n were given up
};

std::string play(const Row& row, bool flush = false) {
  ReorderBuffer buffer;
  std::string out;
  std::size_t next = 0;
  const auto put = [&](rtp::Seq seq, std::uint64_t missing, int ms) {
    if (missing != 0) out += "!" + std::to_string(missing) + " ";
    out += std::to_string(seq) + "@" + std::to_string(ms) + " ";
  };
  for (int ms = 0; ms <= row.until_ms; ++ms) {
    const Time now = Time(milliseconds(ms));
    for (; next < row.in.size() && row.in[next].at_ms == ms; ++next) {
      const auto place = buffer.insert(row.in[next].seq, {}, as_bytes("x"), now);
      if (place == ReorderBuffer::Place::next) put(row.in[next].seq, 0, ms);
      if (place == ReorderBuffer::Place::late) out += "late ";
      if (place == ReorderBuffer::Place::duplicate) out += "twice ";
    }
    while (auto packet = buffer.poll(now, flush && ms == row.until_ms)) put(packet->seq, packet->missing_before, ms);
  }
  return out;
}

}  // namespace

TEST(ReorderBuffer, gives_packets_in_order_and_waits_400_ms_for_one_that_is_missing) {
  const Row rows[] = {
      {"in order", {{7, 0}, {8, 60}, {9, 61}}, 100, "7@50 8@60 9@61 "},
      {"the first to come was not the first sent", {{8, 0}, {7, 20}, {9, 60}}, 100, "7@50 8@50 9@60 "},
      {"swapped", {{1, 0}, {3, 60}, {2, 65}, {4, 70}}, 100, "1@50 2@65 3@65 4@70 "},
      {"repaired just in time", {{1, 0}, {3, 60}, {4, 100}, {2, 459}}, 600, "1@50 2@459 3@459 4@459 "},
      {"given up, then too late", {{1, 0}, {3, 60}, {4, 100}, {2, 461}}, 600, "1@50 !1 3@460 4@460 late "},
      {"each gap has its own wait", {{1, 0}, {3, 60}, {5, 160}}, 600, "1@50 !1 3@460 !1 5@560 "},
      {"twice", {{1, 0}, {3, 60}, {3, 61}, {2, 62}, {2, 63}}, 100, "1@50 twice 2@62 3@62 late "},
      {"a leap", {{1, 0}, {40'001, 60}}, 600, "1@50 !39999 40001@460 "},
  };
  for (const Row& row : rows) EXPECT_EQ(play(row), row.out) << row.name;
}

TEST(ReorderBuffer, a_flush_gives_everything_that_arrived) {
  EXPECT_EQ(play({"", {{1, 0}, {3, 60}, {6, 61}}, 70, ""}, true), "1@50 !1 3@70 !2 6@70 ");
  EXPECT_EQ(play({"", {{1, 0}}, 1, ""}, true), "1@1 ");
}

TEST(ReorderBuffer, holds_no_more_than_its_bounds) {
  ReorderBuffer buffer;
  buffer.insert(0, {}, {}, Time{});
  EXPECT_TRUE(buffer.poll(Time(50ms)));
  std::size_t most = 0;
  const Bytes payload(1000);
  for (rtp::Seq seq = 2; seq < 20'000; seq += 2) {
    buffer.insert(seq, {}, payload, Time(50ms));
    while (buffer.poll(Time(50ms))) {
    }
    most = std::max(most, buffer.held());
  }
  EXPECT_LE(most, ReorderBuffer::kMaxPackets);
}

TEST(ReorderBuffer, a_burst_of_late_ones_changes_nothing_however_long_it_is) {
  ReorderBuffer buffer;
  const auto held = [&](rtp::Seq seq) { return buffer.insert(seq, {}, {}, Time(60ms)) == ReorderBuffer::Place::held; };
  ASSERT_TRUE(held(2000) && held(2002));
  ASSERT_TRUE(buffer.poll(Time(500ms)));
  for (rtp::Seq seq = 0; seq < 2000; ++seq) ASSERT_EQ(buffer.insert(seq, {}, {}, Time(600ms)), ReorderBuffer::Place::late) << seq;
  EXPECT_EQ(buffer.insert(2001, {}, {}, Time(600ms)), ReorderBuffer::Place::next);
  EXPECT_EQ(buffer.poll(Time(600ms))->seq, 2002);
}

}  // namespace amphi::recording
