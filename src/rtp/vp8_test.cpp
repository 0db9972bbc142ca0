// VP8 payload descriptors as RFC 7741 draws them, cut and bent.
#include "rtp/vp8.h"

#include <gtest/gtest.h>

#include <initializer_list>

#include "base/random.h"
#include "rtp/keyframe.h"

namespace amphi::rtp {
namespace {

Bytes bytes(std::initializer_list<int> values) {
  Bytes out;
  for (int v : values) out.push_back(static_cast<std::byte>(v));
  return out;
}

const Bytes kKeyframe =
    bytes({0x90, 0xf0, 0x92, 0x34, 7, 0x80, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x00, 0x45, 0xd0, 0x02, 1});

}  // namespace

TEST(Vp8, reads_every_field_of_a_keyframe_start) {
  const auto vp8 = parse_vp8(kKeyframe);
  ASSERT_TRUE(vp8);
  EXPECT_TRUE(vp8->start_of_partition);
  EXPECT_EQ(vp8->partition, 0);
  EXPECT_EQ(vp8->picture_id, 0x1234);
  EXPECT_EQ(vp8->tl0_pic_idx, 7);
  EXPECT_EQ(vp8->temporal_id, 2);
  EXPECT_TRUE(vp8->keyframe);
  EXPECT_EQ(vp8->width, 1280) << "without the two bits of scaling";
  EXPECT_EQ(vp8->height, 720);
  EXPECT_EQ(vp8->size, 6u);
}

TEST(Vp8, optional_fields_are_there_only_when_announced) {
  struct Row {
    const char* what;
    Bytes payload;
    std::size_t size;
    std::optional<std::uint16_t> picture_id;
    std::optional<std::uint8_t> tl0, temporal;
  };
  const std::vector<Row> rows{
      {"nothing", bytes({0x00, 1}), 1, {}, {}, {}},
      {"an empty extension", bytes({0x80, 0x00, 1}), 2, {}, {}, {}},
      {"7 bits of picture id", bytes({0x80, 0x80, 0x7f, 1}), 3, 0x7f, {}, {}},
      {"15 bits of picture id", bytes({0x80, 0x80, 0xff, 0xff, 1}), 4, 0x7fff, {}, {}},
      {"TL0PICIDX", bytes({0x80, 0x40, 200, 1}), 3, {}, 200, {}},
      {"TID", bytes({0x80, 0x20, 0x5f, 1}), 3, {}, {}, 1},
      {"KEYIDX alone", bytes({0x80, 0x10, 0xdf, 1}), 3, {}, {}, {}},
  };
  for (const Row& row : rows) {
    const auto vp8 = parse_vp8(row.payload);
    ASSERT_TRUE(vp8) << row.what;
    EXPECT_EQ(vp8->size, row.size) << row.what;
    EXPECT_EQ(vp8->picture_id, row.picture_id) << row.what;
    EXPECT_EQ(vp8->tl0_pic_idx, row.tl0) << row.what;
    EXPECT_EQ(vp8->temporal_id, row.temporal) << row.what;
    EXPECT_FALSE(vp8->keyframe) << row.what;
  }
}

TEST(Vp8, only_the_first_partitions_start_can_be_a_keyframe) {
  EXPECT_TRUE(starts_keyframe(CodecName::vp8, kKeyframe));
  Bytes other = kKeyframe;
  other[0] = std::byte{0x91};
  EXPECT_FALSE(starts_keyframe(CodecName::vp8, other)) << "another partition";
  other[0] = std::byte{0x80};
  EXPECT_FALSE(starts_keyframe(CodecName::vp8, other)) << "a continuation";
  other = kKeyframe;
  other[6] |= std::byte{1};
  EXPECT_FALSE(starts_keyframe(CodecName::vp8, other)) << "an interframe";
  other = kKeyframe;
  other[9] = std::byte{0};
  EXPECT_FALSE(parse_vp8(other)) << "a wrong start code";
  EXPECT_TRUE(starts_keyframe(CodecName::opus, {}));
}

TEST(Vp8, every_truncation_bit_flip_and_random_payload_is_survived) {
  for (std::size_t size = 0; size < kKeyframe.size(); ++size) {
    const auto vp8 = parse_vp8(ByteView(kKeyframe).first(size));
    EXPECT_EQ(vp8.has_value(), size > 6) << size;
    if (vp8) {
      EXPECT_EQ(vp8->width != 0, size >= 16) << size;
    }
  }
  for (std::size_t bit = 0; bit < kKeyframe.size() * 8; ++bit) {
    Bytes flipped = kKeyframe;
    flipped[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    const auto vp8 = parse_vp8(flipped);
    if (vp8) {
      EXPECT_LT(vp8->size, flipped.size());
    }
  }
  SeededRandom random(1);
  for (int round = 0; round < 10'000; ++round) {
    Bytes data(random.below(20));
    random.fill(data);
    const auto vp8 = parse_vp8(data);
    if (vp8) {
      ASSERT_LT(vp8->size, data.size()) << "seed 1, round " << round;
    }
  }
}

}  // namespace amphi::rtp
