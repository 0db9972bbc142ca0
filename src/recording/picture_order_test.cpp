// At which times frames are shown, whatever order their timestamps are in: each row is a group of pictures that is sent again and again.
#include "recording/picture_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"

namespace amphi::recording {
namespace {

struct Picture {
  char kind;  // I: an IDR picture; i: an I picture of an open group; P, B, b
  int place;  // in the order in which the group's pictures are shown
};
enum class Stamps { display, sending };

/// Sends pictures a frame interval apart, the first at 0, and keeps what comes out.
struct Sender {
  int reordered = 16;  // as the stream says it
  int step = 2;        // of the counts, per picture
  Duration interval = 33ms;
  PictureOrder order{};
  int sent = 0;
  std::vector<Frame> out{};
  std::size_t most_held = 0;
  Duration longest{};

  static constexpr rtp::WireTimestamp kFirst = 0xffff'f000u;
  rtp::WireTimestamp stamp(int n) const { return kFirst + static_cast<rtp::WireTimestamp>(n * (interval / 1us) * 9 / 100); }
  Time now() const { return Time{} + 10s + sent * interval; }

  void collect(Time at) {
    while (auto frame = order.poll(at)) {
      longest = std::max(longest, at - frame->arrival);
      out.push_back(std::move(*frame));
    }
  }
  void send(char kind, int place, int stamped, bool begins = false) {
    for (Time due = order.next_timeout(); due <= now(); due = order.next_timeout()) collect(due);
    Frame frame;
    frame.keyframe = kind == 'I';
    frame.bidirectional = kind == 'B' || kind == 'b';
    frame.order = rtp::H264Order{std::int64_t{step} * place, kind == 'I' || begins, static_cast<std::uint8_t>(reordered)};
    frame.timestamp = stamp(stamped);
    frame.arrival = frame.timed = now();
    frame.packets = static_cast<std::uint32_t>(sent);  // marks the frame
    order.add(std::move(frame), now());
    collect(now());
    most_held = std::max(most_held, order.held());
    ++sent;
  }
  /// `group` from the picture sent as number `first` on.
  void send(const std::vector<Picture>& group, Stamps stamps) {
    const int first = sent;
    for (const Picture& picture : group) send(picture.kind, picture.place, first + (stamps == Stamps::display ? picture.place : sent - first));
  }
  void end() {
    order.flush();
    collect(now());
  }
  /// Of each frame that came out, the number of the timestamp that it has.
  std::vector<int> places() const {
    std::vector<int> places;
    for (const Frame& frame : out) {
      const auto passed = static_cast<std::int32_t>(frame.timestamp - kFirst);
      places.push_back(static_cast<int>((passed + (stamp(1) - kFirst) / 2) / static_cast<std::int32_t>(stamp(1) - kFirst)));
    }
    return places;
  }
};

std::vector<int> expected_places(const std::vector<Picture>& group, int times) {
  std::vector<int> places;
  for (int i = 0; i < times; ++i)
    for (const Picture& picture : group) places.push_back(i * static_cast<int>(group.size()) + picture.place);
  return places;
}

/// P pictures with `count` B pictures before each; `pyramid`: the middle ones are sent first.
std::vector<Picture> with_b_pictures(int count, bool pyramid, int length, char anchor = 'P') {
  std::vector<Picture> group{{'I', 0}};
  for (int p = count + 1; p < length; p += count + 1) {
    group.push_back({anchor, p});
    const int middle = p - (count + 1) / 2;
    if (pyramid && count > 1) group.push_back({'B', middle});
    for (int b = p - count; b < p; ++b)
      if (!pyramid || count < 2 || b != middle) group.push_back({'b', b});
  }
  return group;
}
std::vector<Picture> in_order(char kind, int length) {
  std::vector<Picture> group{{'I', 0}};
  for (int p = 1; p < length; ++p) group.push_back({kind, p});
  return group;
}
/// I pictures that B pictures behind them are shown before.
std::vector<Picture> open_groups() {
  std::vector<Picture> group = with_b_pictures(2, false, 121);
  for (std::size_t i = 0; i < group.size(); ++i)
    if (group[i].place % 15 == 0 && i > 0) group[i].kind = 'i';
  return group;
}

bool grows(const std::vector<Frame>& frames) {
  for (std::size_t i = 1; i < frames.size(); ++i)
    if (frames[i].packets != frames[i - 1].packets + 1) return false;
  return true;
}

}  // namespace

TEST(PictureOrder, the_picture_that_is_shown_kth_gets_the_kth_timestamp_whatever_the_order_of_the_timestamps_is) {
  struct Row {
    const char* what;
    std::vector<Picture> group;
    int reordered;          // that the group needs
    std::size_t most_held;  // once the step is known
  };
  const Row table[] = {
      {"one B picture", with_b_pictures(1, false, 61), 1, 1},
      {"two B pictures", with_b_pictures(2, false, 61), 1, 2},
      {"three in a pyramid", with_b_pictures(3, true, 61), 2, 3},
      {"three behind B pictures", with_b_pictures(3, true, 61, 'B'), 2, 3},
      {"seven", with_b_pictures(7, true, 57), 2, 7},
      {"sixteen", with_b_pictures(16, false, 52), 1, 16},
      {"an open group", open_groups(), 1, 2},
      {"P pictures in order", in_order('P', 60), 0, 0},
      {"B pictures in order", in_order('B', 60), 0, 0},
      {"keyframes alone", {{'I', 0}}, 0, 0},
      {"groups of two", {{'I', 0}, {'P', 1}}, 0, 0},
  };
  for (const Row& row : table)
    for (const int reordered : {row.reordered, 16})
      for (const int step : {1, 2, 5})
        for (const Stamps stamps : {Stamps::display, Stamps::sending}) {
          SCOPED_TRACE(std::string(row.what) + ", " + std::to_string(reordered) + " reordered, step " + std::to_string(step) + (stamps == Stamps::sending ? ", sending" : ", display"));
          Sender sender{reordered, step};
          for (int i = 0; i < 3; ++i) sender.send(row.group, stamps);
          sender.most_held = 0;
          sender.longest = {};
          for (int i = 0; i < 3; ++i) sender.send(row.group, stamps);
          EXPECT_EQ(sender.most_held, row.most_held);
          EXPECT_LE(sender.longest, static_cast<std::int64_t>(row.most_held) * sender.interval);
          sender.end();
          EXPECT_EQ(sender.places(), expected_places(row.group, 6));
          EXPECT_TRUE(grows(sender.out)) << "frames come out in the order of decoding";
          EXPECT_FALSE(sender.order.is_late(sender.now()));
          const bool wrong = stamps == Stamps::sending && !std::is_sorted(row.group.begin(), row.group.end(), [](const Picture& a, const Picture& b) { return a.place < b.place; });
          EXPECT_EQ(sender.order.is_sending(), wrong);
        }
}

TEST(PictureOrder, a_timestamp_keeps_the_arrival_that_it_came_with) {
  Sender sender{1};
  sender.send(with_b_pictures(2, false, 31), Stamps::sending);
  sender.end();
  for (std::size_t i = 0; i < sender.out.size(); ++i) {
    const Frame& frame = sender.out[i];
    EXPECT_EQ(frame.timed - (Time{} + 10s), sender.places()[i] * sender.interval);
    EXPECT_EQ(frame.arrival - (Time{} + 10s), static_cast<std::int64_t>(i) * sender.interval) << "and a frame its own";
  }
}

TEST(PictureOrder, a_sender_may_change_its_habit_at_any_picture) {
  const auto group = with_b_pictures(3, true, 41);
  for (const Stamps first : {Stamps::display, Stamps::sending})
    for (int at = 0; at < 41; ++at) {
      SCOPED_TRACE(at);
      Sender sender{2};
      for (int n = 0; n < 41; ++n) {
        const Stamps stamps = n < at ? first : first == Stamps::display ? Stamps::sending : Stamps::display;
        sender.send(group[static_cast<std::size_t>(n)].kind, group[static_cast<std::size_t>(n)].place, stamps == Stamps::display ? group[static_cast<std::size_t>(n)].place : n);
      }
      sender.end();
      std::vector<std::pair<int, std::int32_t>> shown;
      for (std::size_t i = 0; i < sender.out.size(); ++i) shown.emplace_back(group[i].place, static_cast<std::int32_t>(sender.out[i].timestamp - Sender::kFirst));
      std::sort(shown.begin(), shown.end());
      for (std::size_t i = 1; i < shown.size(); ++i) EXPECT_GE(shown[i].second, shown[i - 1].second) << "picture " << i;
    }
}

TEST(PictureOrder, a_count_that_begins_anew_without_an_idr_picture_begins_a_group) {
  for (const Stamps stamps : {Stamps::display, Stamps::sending}) {
    Sender sender{1};
    sender.send(with_b_pictures(2, false, 31), stamps);
    sender.send('P', 0, 31, true);
    const int from = sender.sent - 1;
    for (const auto& [kind, place] : std::vector<Picture>{{'P', 3}, {'b', 1}, {'b', 2}, {'P', 6}, {'b', 4}, {'b', 5}}) sender.send(kind, place, stamps == Stamps::display ? from + place : sender.sent);
    sender.end();
    auto expected = expected_places(with_b_pictures(2, false, 31), 1);
    for (const int place : {0, 3, 1, 2, 6, 4, 5}) expected.push_back(31 + place);
    EXPECT_EQ(sender.places(), expected);
  }
}

TEST(PictureOrder, two_fields_of_a_frame_stay_together) {
  for (const bool same_timestamp : {true, false}) {
    Sender sender{2, 1, 16ms};
    // Fields: I0 i1, P6 p7, b2 b3, b4 b5, and so on.
    const std::vector<Picture> group{{'I', 0}, {'P', 1}, {'P', 6}, {'P', 7}, {'b', 2}, {'b', 3}, {'b', 4}, {'b', 5}, {'P', 12}, {'P', 13}, {'b', 8}, {'b', 9}, {'b', 10}, {'b', 11}};
    for (int i = 0; i < 3; ++i)
      for (const Picture& picture : group) sender.send(picture.kind, picture.place, same_timestamp ? sender.sent & ~1 : sender.sent);
    sender.end();
    auto expected = expected_places(group, 3);
    if (same_timestamp)
      for (int& place : expected) place &= ~1;
    EXPECT_EQ(sender.places(), expected);
  }
}

TEST(PictureOrder, a_stream_that_says_too_little_reordering_is_believed_no_longer) {
  const auto group = with_b_pictures(2, false, 61);
  Sender sending{0}, display{0};
  for (int i = 0; i < 3; ++i) sending.send(group, Stamps::sending), display.send(group, Stamps::display);
  sending.end(), display.end();
  EXPECT_EQ(display.places(), expected_places(group, 3)) << "times that fit stay";
  const auto expected = expected_places(group, 3);
  EXPECT_TRUE(std::equal(expected.begin() + 6, expected.end(), sending.places().begin() + 6));
  EXPECT_FALSE(sending.order.is_late(sending.now())) << "a few at the beginning";
}

TEST(PictureOrder, a_stream_that_says_no_reordering_keeps_its_times_whatever_its_counts_say) {
  SeededRandom random(2);
  Sender sender{0};
  sender.send('I', 0, 0);
  for (int n = 1; n < 200; ++n) sender.send('P', static_cast<int>(random.below(1000)) - 500, n);
  EXPECT_EQ(sender.out.size(), 200u) << "and does not wait";
  for (int n = 0; n < 200; ++n) EXPECT_EQ(sender.places()[static_cast<std::size_t>(n)], n);
}

TEST(PictureOrder, a_picture_waits_no_longer_than_its_bound_and_nothing_is_lost_at_a_silent_sender) {
  Sender sender{16};
  sender.send('I', 0, 0);
  sender.send('P', 3, 1);
  EXPECT_EQ(sender.out.size(), 1u);
  const Time due = sender.order.next_timeout();
  EXPECT_EQ(due - (Time{} + 10s + sender.interval), PictureOrder::kLongest);
  sender.collect(due - 1ns);
  EXPECT_EQ(sender.out.size(), 1u);
  sender.collect(due);
  EXPECT_EQ(sender.out.size(), 2u);
  EXPECT_EQ(sender.order.next_timeout(), Time::max());
  sender.order.flush();
  EXPECT_FALSE(sender.order.poll(due));
}

TEST(PictureOrder, pictures_that_come_too_late_are_shown_between_their_neighbours_and_told) {
  Sender sender{16, 2, 500ms};  // four B pictures before each P picture, two a second
  for (int i = 0; i < 3; ++i) sender.send(with_b_pictures(4, false, 21), Stamps::sending);
  EXPECT_TRUE(sender.order.is_late(sender.now()));
  EXPECT_FALSE(sender.order.is_late(sender.now() + 10s));
  EXPECT_LE(sender.longest, PictureOrder::kLongest);
  sender.end();
  ASSERT_TRUE(grows(sender.out));
  const auto group = with_b_pictures(4, false, 21);
  std::vector<std::pair<int, std::int32_t>> shown;
  for (std::size_t i = 0; i < sender.out.size(); ++i)
    shown.emplace_back(static_cast<int>(i / group.size() * group.size()) + group[i % group.size()].place, static_cast<std::int32_t>(sender.out[i].timestamp - Sender::kFirst));
  std::sort(shown.begin(), shown.end());
  for (std::size_t i = 1; i < shown.size(); ++i) EXPECT_GE(shown[i].second, shown[i - 1].second) << "the order is right";
}

TEST(PictureOrder, hostile_counts_and_timestamps_lose_no_frame_and_its_memory_is_bounded) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed);
    PictureOrder order;
    Time now{};
    std::uint32_t in = 0, out = 0;
    const auto take = [&] {
      while (auto frame = order.poll(now)) ASSERT_EQ(frame->packets, out++);
    };
    for (int n = 0; n < 2000; ++n) {
      now += milliseconds(random.below(n % 100 == 0 ? 2000 : 40));
      take();
      Frame frame;
      frame.bidirectional = random.below(2) == 0;
      if (random.below(20) > 0) {
        const std::int64_t count = random.below(10) == 0 ? static_cast<std::int64_t>(random.u64() >> 2) - (std::int64_t{1} << 61) : static_cast<std::int64_t>(random.below(64));
        frame.order = rtp::H264Order{count, random.below(50) == 0, static_cast<std::uint8_t>(random.below(33))};
      }
      frame.keyframe = frame.order && frame.order->begins;
      frame.timestamp = random.below(10) == 0 ? static_cast<rtp::WireTimestamp>(random.u64()) : static_cast<rtp::WireTimestamp>(n * 3000 + static_cast<int>(random.below(9000)));
      frame.arrival = now;
      frame.packets = in++;
      frame.data = Bytes(random.below(2) ? random.below(1'500'000) : 10);
      order.add(std::move(frame), now);
      take();
      ASSERT_LE(order.held(), PictureOrder::kMostHeld);
      if (random.below(200) == 0) random.below(2) ? order.restart() : order.flush();
      take();
    }
    order.flush();
    take();
    EXPECT_EQ(in, out);
  }
}

}  // namespace amphi::recording
