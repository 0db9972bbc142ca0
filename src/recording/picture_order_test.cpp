#include "recording/picture_order.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace amphi::recording {
namespace {

struct Picture {
  char kind;  // I: an IDR picture; P; B: a reference; b: none
  int order;
};

/// Sends the group again and again, a picture each 33 ms; `shows`: the timestamps are those of the order, else of the sending.
struct Sender {
  std::vector<Picture> group;
  std::uint32_t modulus = 64;
  int sent = 0;
  PictureOrder watch{};

  void send(int count, bool shows, bool with_order = true) {
    for (const int until = sent + count; sent < until; ++sent) {
      const int n = sent % static_cast<int>(group.size());
      const Picture& picture = group[static_cast<std::size_t>(n)];
      Frame frame;
      frame.keyframe = picture.kind == 'I';
      frame.bidirectional = picture.kind == 'B' || picture.kind == 'b';
      if (with_order) frame.order = rtp::H264Order{static_cast<std::uint32_t>(picture.order) & (modulus - 1), modulus, picture.kind != 'b'};
      frame.timestamp = 0xffff'f000u + static_cast<rtp::WireTimestamp>((sent - n + (shows ? picture.order / 2 : n)) * 3000);
      watch.look(frame, now());
    }
  }
  Time now() const { return Time{} + sent * 33ms; }
  bool is_sending() const { return watch.is_sending(now()); }
};

/// An IDR period of 61 pictures: P pictures with two B pictures before each.
std::vector<Picture> with_b_pictures() {
  std::vector<Picture> group{{'I', 0}};
  for (int p = 3; p <= 60; p += 3) group.insert(group.end(), {{'P', 2 * p}, {'b', 2 * p - 4}, {'b', 2 * p - 2}});
  return group;
}
std::vector<Picture> in_order(char kind) {
  std::vector<Picture> group{{'I', 0}};
  for (int p = 1; p <= 60; ++p) group.push_back({kind, 2 * p});
  return group;
}
/// B pictures that others build upon, also where a P picture would stand.
std::vector<Picture> pyramid(char anchor) {
  std::vector<Picture> group{{'I', 0}};
  for (int p = 4; p <= 60; p += 4) group.insert(group.end(), {{anchor, 2 * p}, {'B', 2 * p - 4}, {'b', 2 * p - 6}, {'b', 2 * p - 2}});
  return group;
}
/// A P picture after which the order begins anew without an IDR picture (memory_management_control_operation 5).
std::vector<Picture> anew() {
  std::vector<Picture> group{{'I', 0}, {'P', 40}};
  for (int i = 0; i < 40; ++i) group.push_back({'B', 2 * i});
  return group;
}

}  // namespace

TEST(PictureOrder, timestamps_in_the_order_of_sending_are_told_where_the_pictures_are_shown_in_another) {
  for (const auto& group : {with_b_pictures(), pyramid('P'), pyramid('B')}) {
    for (const std::uint32_t modulus : {32u, 64u, 65'536u}) {
      SCOPED_TRACE(std::to_string(group.size()) + " pictures, order modulo " + std::to_string(modulus));
      Sender right{group, modulus}, wrong{group, modulus}, silent{group, modulus};
      right.send(600, true);
      EXPECT_FALSE(right.is_sending());
      wrong.send(12, false);
      EXPECT_FALSE(wrong.is_sending()) << "too few to tell";
      wrong.send(40, false);
      EXPECT_TRUE(wrong.is_sending());
      wrong.send(600, false);
      EXPECT_TRUE(wrong.is_sending());
      silent.send(600, false, false);
      EXPECT_FALSE(silent.is_sending()) << "its slices do not say the order";
    }
  }
}

TEST(PictureOrder, pictures_that_are_shown_as_they_are_sent_are_never_told) {
  for (const auto& group : {in_order('P'), in_order('B'), in_order('b')}) {
    Sender sender{group, 256};
    sender.send(600, false);
    EXPECT_FALSE(sender.is_sending()) << group.back().kind;
  }
}

TEST(PictureOrder, an_order_that_begins_anew_without_an_idr_picture_is_no_fault) {
  auto group = anew();
  group[2] = {'P', 0};
  Sender sender{group, 256};
  sender.send(40, false);
  EXPECT_FALSE(sender.is_sending());
}

TEST(PictureOrder, a_sender_that_gives_display_times_or_sends_no_b_pictures_any_more_is_no_longer_told) {
  Sender mended{with_b_pictures()}, changed{with_b_pictures()};
  mended.send(100, false);
  changed.send(100, false);
  ASSERT_TRUE(mended.is_sending() && changed.is_sending());
  mended.send(100, true);
  EXPECT_FALSE(mended.is_sending());
  changed.group = in_order('P');
  changed.send(200, false);
  EXPECT_TRUE(changed.is_sending()) << "told for 10 s";
  changed.send(110, false);
  EXPECT_FALSE(changed.is_sending());
}

}  // namespace amphi::recording
