// H.264 payloads and sequence parameter sets: real ones, built ones, cut and bent ones.
#include "rtp/h264.h"

#include <gtest/gtest.h>

#include <functional>
#include <initializer_list>
#include <string_view>

#include "base/random.h"
#include "rtp/keyframe.h"
#include "rtp/test_nal_builder.h"

namespace amphi::rtp {
namespace {

Bytes bytes(std::initializer_list<int> values) {
  Bytes out;
  for (int v : values) out.push_back(static_cast<std::byte>(v));
  return out;
}

Bytes from_hex(std::string_view hex) {
  Bytes out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

class SpsBuilder : public NalBuilder<SpsBuilder> {
 public:
  explicit SpsBuilder(unsigned profile) : NalBuilder(0x67) { put(profile, 8).put(0, 8).put(31, 8).ue(0); }
};

const Bytes kSps = bytes({0x67, 1, 2}), kPps = bytes({0x68, 3}), kIdr = bytes({0x65, 4, 5, 6});

Bytes stap(std::initializer_list<Bytes> units) {
  Bytes out = bytes({0x78});
  for (const Bytes& unit : units) {
    out.push_back(static_cast<std::byte>(unit.size() >> 8));
    out.push_back(static_cast<std::byte>(unit.size()));
    out.insert(out.end(), unit.begin(), unit.end());
  }
  return out;
}

}  // namespace

TEST(H264, knows_where_a_keyframe_starts) {
  struct Row {
    const char* what;
    Bytes payload;
    bool want;
  };
  const std::vector<Row> rows{
      {"SPS", kSps, true},
      {"IDR", kIdr, true},
      {"PPS", kPps, false},
      {"slice", bytes({0x61, 1}), false},
      {"STAP-A of SPS and PPS", stap({kSps, kPps}), true},
      {"STAP-A with an IDR last", stap({bytes({0x06, 1}), kPps, kIdr}), true},
      {"STAP-A of slices", stap({bytes({0x61, 1}), bytes({0x61, 1})}), false},
      {"STAP-A that lies", bytes({0x78, 0, 9, 0x67}), false},
      {"STAP-A of nothing", bytes({0x78, 0, 0, 0x67}), false},
      {"FU-A start of an IDR", bytes({0x7c, 0x85, 1}), true},
      {"FU-A middle of an IDR", bytes({0x7c, 0x05, 1}), false},
      {"FU-A start of a slice", bytes({0x7c, 0x81, 1}), false},
      {"FU-A cut", bytes({0x7c}), false},
      {"nothing", {}, false},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(is_h264_keyframe_start(row.payload), row.want) << row.what;
    EXPECT_EQ(starts_keyframe(CodecName::h264, row.payload), row.want) << row.what;
  }
}

TEST(H264Depacketizer, takes_single_units_aggregates_and_fragments) {
  H264Depacketizer depacketizer;
  std::vector<Bytes> nals;
  EXPECT_TRUE(depacketizer.add(stap({kSps, kPps}), nals));
  EXPECT_TRUE(depacketizer.add(bytes({0x7c, 0x85, 1, 2}), nals));
  EXPECT_TRUE(depacketizer.add(bytes({0x7c, 0x05, 3}), nals));
  EXPECT_EQ(nals.size(), 2u) << "the fragment is not whole yet";
  EXPECT_TRUE(depacketizer.add(bytes({0x7c, 0x45, 4}), nals));
  EXPECT_TRUE(depacketizer.add(bytes({0x41, 9}), nals));
  EXPECT_EQ(nals, (std::vector<Bytes>{kSps, kPps, bytes({0x65, 1, 2, 3, 4}), bytes({0x41, 9})}));
}

TEST(H264Depacketizer, refuses_what_is_malformed_and_goes_on) {
  const std::vector<std::pair<const char*, Bytes>> rows{
      {"nothing", {}},
      {"the forbidden bit", bytes({0xe5, 1})},
      {"a fragment without its start", bytes({0x7c, 0x05, 1})},
      {"a fragment's end without its start", bytes({0x7c, 0x45, 1})},
      {"a fragment without its header", bytes({0x7c})},
      {"a fragment of an aggregate", bytes({0x7c, 0x98, 1})},
      {"an empty aggregate", bytes({0x78})},
      {"an aggregate longer than its payload", bytes({0x78, 0, 1, 0x61, 0, 9, 0x61})},
      {"an aggregate with an empty unit", bytes({0x78, 0, 1, 0x61, 0, 0})},
      {"an aggregate in an aggregate", stap({stap({kSps})})},
      {"a type of another mode", bytes({0x79, 0, 1, 2})},
      {"an aggregate in Annex B", bytes({0, 0, 1, 0x61, 1, 0, 0, 1, 0x78, 1})},
  };
  for (const auto& [what, payload] : rows) {
    H264Depacketizer depacketizer;
    std::vector<Bytes> nals;
    EXPECT_FALSE(depacketizer.add(payload, nals)) << what;
    EXPECT_TRUE(nals.empty()) << what;
    EXPECT_TRUE(depacketizer.add(kIdr, nals)) << what;
    EXPECT_EQ(nals.size(), 1u) << what;
  }
}

TEST(H264Depacketizer, skips_and_counts_units_that_decoders_ignore) {
  for (const unsigned type : {0u, 30u, 31u}) {
    EXPECT_TRUE(H264Depacketizer::is_ignored(bytes({static_cast<int>(0x60 | type), 1}))) << type;
    EXPECT_FALSE(H264Depacketizer::is_ignored(bytes({static_cast<int>(0xe0 | type), 1}))) << "the forbidden bit";
  }
  EXPECT_FALSE(H264Depacketizer::is_ignored(bytes({0, 0, 0, 1, 0x65, 1}))) << "Annex B";
  EXPECT_FALSE(H264Depacketizer::is_ignored(kIdr));
  for (const int type : {0, 17, 18, 22, 23, 30, 31}) {
    const Bytes unit = bytes({0x60 | type, 1, 2});
    for (const auto& payloads : {std::vector<Bytes>{stap({unit, kIdr})}, std::vector<Bytes>{bytes({0, 0, 1, 0x60 | type, 1, 0, 0, 1, 0x65, 4, 5, 6})},
                                 std::vector<Bytes>{bytes({0x7c, 0x80 | type, 1}), bytes({0x7c, 0x40 | type, 2}), kIdr}}) {
      H264Depacketizer depacketizer;
      std::vector<Bytes> nals;
      for (const Bytes& payload : payloads) EXPECT_TRUE(depacketizer.add(payload, nals)) << type;
      EXPECT_EQ(nals, std::vector<Bytes>{kIdr}) << type;
      EXPECT_EQ(depacketizer.ignored_units(), 1u) << type;
    }
  }
}

TEST(H264Depacketizer, a_fragment_left_without_its_end_is_told_and_dropped) {
  for (const Bytes& next : {kIdr, stap({kIdr}), bytes({0x7c, 0xc5, 4, 5, 6})}) {
    H264Depacketizer depacketizer;
    std::vector<Bytes> nals;
    EXPECT_TRUE(depacketizer.add(bytes({0x7c, 0x81, 1}), nals));
    EXPECT_FALSE(depacketizer.add(next, nals));
    EXPECT_EQ(nals, std::vector<Bytes>{kIdr});
    EXPECT_FALSE(depacketizer.add(bytes({0x7c, 0x41, 1}), nals)) << "the old fragment is gone";
  }
  H264Depacketizer depacketizer;
  std::vector<Bytes> nals;
  EXPECT_TRUE(depacketizer.add(bytes({0x7c, 0x81, 1}), nals));
  EXPECT_FALSE(depacketizer.add(bytes({0x7c, 0x45, 1}), nals)) << "the end of another unit";
  EXPECT_TRUE(nals.empty());
}

TEST(H264Depacketizer, a_fragment_without_end_does_not_fill_memory) {
  H264Depacketizer depacketizer;
  std::vector<Bytes> nals;
  Bytes payload(64'000);
  payload[0] = std::byte{0x7c};
  payload[1] = std::byte{0x85};
  bool taken = depacketizer.add(payload, nals);
  payload[1] = std::byte{0x05};
  int count = 0;
  for (; taken && count < 1'000; ++count) taken = depacketizer.add(payload, nals);
  EXPECT_FALSE(taken);
  EXPECT_LT(count, 200);
}

TEST(H264Depacketizer, random_payloads_are_survived) {
  SeededRandom random(5);
  H264Depacketizer depacketizer;
  for (int round = 0; round < 20'000; ++round) {
    Bytes data(random.below(24));
    random.fill(data);
    if (!data.empty()) data[0] = static_cast<std::byte>(random.below(2) ? 0x7c : 0x78);
    std::vector<Bytes> nals;
    depacketizer.add(data, nals);
    for (const Bytes& nal : nals) ASSERT_FALSE(nal.empty()) << "seed 5, round " << round;
    is_h264_keyframe_start(data);
  }
}

TEST(H264Sps, reads_what_encoders_write) {
  struct Row {
    const char* what;
    const char* hex;
    int width, height, profile, constraints, level;
  };
  for (const Row& row : {
           Row{"x264 baseline", "6742c01fd9005005bb0110000003001000000300a0f1832480", 1280, 720, 66, 0xc0, 31},
           Row{"x264 high, cropped", "67640028acd940780227e5c044000003000400000300283c60c658", 1920, 1080, 100, 0, 40},
           Row{"x264 main, odd size", "674d400ceca0a8cf1136022000000300200000030141e28532c0", 322, 182, 77, 0x40, 12},
           Row{"x264 4:4:4", "67f40016919b281405ff1380880000030008000003005078b16cb0", 640, 360, 244, 0, 22},
           Row{"x264 interlaced", "67640028acd94078044fde022000000300200000030143e2c5b2c0", 1920, 1080, 100, 0, 40},
           Row{"OpenH264", "6742c00d8c8d40a0cbcf00f08846a0", 320, 180, 66, 0xc0, 13},
       }) {
    const auto sps = parse_sps(from_hex(row.hex));
    ASSERT_TRUE(sps) << row.what;
    EXPECT_EQ(sps->width, row.width) << row.what;
    EXPECT_EQ(sps->height, row.height) << row.what;
    EXPECT_EQ(sps->profile_idc, row.profile) << row.what;
    EXPECT_EQ(sps->constraint_flags, row.constraints) << row.what;
    EXPECT_EQ(sps->level_idc, row.level) << row.what;
  }
}

TEST(H264Sps, tells_how_many_frames_are_reordered) {
  struct Row {
    const char* what;
    const char* hex;
    int reordered;
  };
  for (const Row& row : {
           Row{"x264 baseline", "6742c01fd9005005bb0110000003001000000300a0f1832480", 0},
           Row{"x264 high, three B-frames in a pyramid", "67640028acd940780227e5c044000003000400000300283c60c658", 2},
           Row{"x264 interlaced", "67640028acd94078044fde022000000300200000030143e2c5b2c0", 2},
           Row{"OpenH264, without VUI: the baseline profile has no B slices", "6742c00d8c8d40a0cbcf00f08846a0", 0},
       }) {
    const auto sps = parse_sps(from_hex(row.hex));
    ASSERT_TRUE(sps) << row.what;
    EXPECT_EQ(sps->reordered, row.reordered) << row.what;
  }
  const auto main = [] { return SpsBuilder(77).ue(0).ue(0).ue(0).ue(4).put(0, 1).ue(19).ue(14).put(3, 2).put(0, 1); };
  EXPECT_EQ(parse_sps(main().put(0, 1).nal())->reordered, 16) << "not given";
  const auto full = [&](unsigned reordered) {  // every part of the VUI
    auto sps = main().put(1, 1).put(1, 1).put(255, 8).put(1, 16).put(1, 16).put(3, 2).put(1, 1).put(5, 3).put(1, 1).put(1, 1).put(0, 24);
    sps.put(1, 1).ue(1).ue(1).put(1, 1).put(1, 32).put(60, 32).put(1, 1);
    for (int i = 0; i < 2; ++i) sps.put(1, 1).ue(1).put(0, 8).ue(9).ue(9).put(0, 1).ue(9).ue(9).put(1, 1).put(0, 20);
    return sps.put(0, 2).put(1, 1).put(1, 1).ue(2).ue(1).ue(11).ue(11).ue(reordered).ue(4);
  };
  EXPECT_EQ(parse_sps(full(3).nal())->reordered, 3);
  EXPECT_EQ(parse_sps(full(1'000'000).nal())->reordered, 16) << "more than a decoder holds back";
}

TEST(H264Sps, scaling_lists_picture_order_and_emulation_prevention_are_passed_over) {
  SpsBuilder high(100);
  high.ue(1).ue(0).ue(0).put(0, 1).put(1, 1);  // 4:2:0, 8 bits, a scaling matrix of 8 lists:
  high.put(1, 1);
  for (int i = 0; i < 16; ++i) high.se(i % 2 ? -3 : 4);  // the first in full
  high.put(1, 1).se(-8);                                 // the second ends at once: the default list
  high.put(0, 1).put(0, 1).put(0, 1).put(0, 1);
  high.put(1, 1).se(5).se(-13);  // the seventh ends after one
  high.put(0, 1);
  high.ue(0);                                           // frame numbers
  high.ue(1).put(0, 1).se(-2).se(0).ue(2).se(7).se(9);  // picture order type 1
  high.ue(4).put(0, 1).ue(79).ue(44).put(1, 1).put(1, 1);
  high.put(1, 1).ue(1).ue(2).ue(3).ue(4);  // cropping
  const auto sps = parse_sps(high.nal());
  ASSERT_TRUE(sps);
  EXPECT_EQ(sps->width, 1280 - 2 * (1 + 2));
  EXPECT_EQ(sps->height, 720 - 2 * (3 + 4));

  SpsBuilder zeros(66);
  zeros.ue(0).ue(2).ue((1u << 23) - 1).put(0, 1);  // a long run of zeros, which needs emulation prevention
  zeros.ue(19).ue(14).put(1, 1).put(1, 1).put(0, 1);
  const Bytes nal = zeros.nal();
  const auto bare = parse_sps(nal);
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->width, 320);
  EXPECT_EQ(bare->height, 240);
  EXPECT_NE(to_hex(nal).find("000003"), std::string::npos) << "or this test tests nothing";
}

TEST(H264Sps, refuses_what_no_picture_can_be) {
  const auto with = [](unsigned columns, unsigned rows, unsigned crop) {
    SpsBuilder sps(66);
    sps.ue(0).ue(2).ue(1).put(0, 1).ue(columns).ue(rows).put(1, 1).put(1, 1).put(1, 1).ue(0).ue(crop).ue(0).ue(0);
    return parse_sps(sps.nal());
  };
  EXPECT_TRUE(with(0, 0, 7));
  EXPECT_FALSE(with(0, 0, 8)) << "cropped to nothing";
  EXPECT_FALSE(with(0, 0, 0x7ffffffe));
  EXPECT_FALSE(with(0xffff, 0, 0)) << "a million pixels wide";
  EXPECT_FALSE(with(0, 0x7ffffffe, 0));
  EXPECT_FALSE(parse_sps(SpsBuilder(66).ue(0).ue(3).nal())) << "a picture order type that does not exist";
  EXPECT_FALSE(parse_sps(kPps));
  EXPECT_FALSE(parse_sps(Bytes(64))) << "not an SPS";
  Bytes all_zero(64);
  all_zero[0] = std::byte{0x67};
  EXPECT_FALSE(parse_sps(all_zero));
}

TEST(H264Sps, every_truncation_and_bit_flip_is_survived) {
  const Bytes whole = from_hex("67640028acd940780227e5c044000003000400000300283c60c658");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto sps = parse_sps(ByteView(whole).first(size));
    EXPECT_EQ(sps.has_value(), size >= 11) << size << ": the cropping ends with the eleventh byte";
  }
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    Bytes flipped = whole;
    flipped[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    const auto sps = parse_sps(flipped);
    if (sps) {
      EXPECT_GT(sps->width, 0);
      EXPECT_GT(sps->height, 0);
      EXPECT_LE(sps->width, 16'384);
    }
  }
}

}  // namespace amphi::rtp
