// Frames from packets: tables of packets, and what becomes a frame.
#include "recording/frame_assembler.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "recording/h264_picture.h"

namespace amphi::recording {
namespace {

Bytes bytes(std::initializer_list<unsigned> values) {
  Bytes out;
  for (const unsigned value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}

// VP8: a descriptor without extensions, then the frame header. A keyframe of 320x180 has all ten bytes.
// The first partition is four zeros: a header without any feature.
const Bytes kKey = bytes({0x10, 0x90, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00, 0, 0, 0, 0, 0xaa});
const Bytes kDelta = bytes({0x10, 0x91, 0, 0, 0, 0, 0, 0, 0xbb});
const Bytes kMore = bytes({0x00, 0xcc, 0xcc});
// H.264: a baseline SPS of 64x64, a PPS, slices whose first macroblock is the first.
const Bytes kSps = bytes({0x67, 0x42, 0xc0, 0x0a, 0xda, 0x10, 0x9a, 0x10});
const Bytes kPps = bytes({0x68, 0xce, 0x3c, 0x80});
const Bytes kLargeSps = bytes({0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x06, 0x7e, 0x78, 0x40});
const Bytes kIdr = bytes({0x65, 0x88, 0x84, 0x00});
const Bytes kSlice = bytes({0x41, 0x9a, 0x00});
const Bytes kBSlice = bytes({0x01, 0x9e, 0x00});
// The same with 8 as their first macroblock.
const Bytes kIdr8 = bytes({0x65, 0x12, 0x22, 0x80}), kSlice8 = bytes({0x41, 0x12, 0x68});
const Bytes kDelimiter = bytes({0x09, 0xf0}), kSei = bytes({0x06, 0x05, 0x01, 0x00, 0x80});

Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

struct In {
  Bytes payload;
  rtp::WireTimestamp timestamp;
  bool marker;
  bool missing = false;
};
struct Row {
  const char* name;
  std::vector<In> in;
  std::string frames;  // K: keyframe, d: delta, with the timestamp
  bool waits;
  bool sizes = false;  // `frames` tells the sizes too
};

std::uint64_t dropped_packets(const Drops& drops) {
  std::uint64_t sum = 0;
  for (const Drop why : {Drop::malformed_packet, Drop::incomplete_frame, Drop::frame_before_keyframe, Drop::oversized_frame, Drop::invalid_frame, Drop::missing_parameter_set, Drop::unsupported_packetization, Drop::no_picture})
    sum += drops[why];
  return sum;
}

void expect(rtp::CodecName codec, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    Drops drops;
    FrameAssembler assembler(codec, drops);
    std::string frames;
    std::uint64_t packets = 0;
    for (const In& in : row.in) {
      rtp::RtpHeader header;
      header.timestamp = in.timestamp;
      header.marker = in.marker;
      if (in.missing) assembler.handle_loss();
      assembler.add(header, in.payload, Time{});
      packets += in.payload.empty() ? 0 : 1;
    }
    assembler.flush(Time{1s});
    while (auto frame = assembler.poll()) {
      packets -= frame->packets;
      frames += (frame->keyframe ? "K" : "d") + std::to_string(frame->timestamp) + (row.sizes ? "/" + std::to_string(frame->data.size()) : "") + " ";
      EXPECT_FALSE(frame->data.empty()) << row.name;
      const bool picture = frame->keyframe && codec != rtp::CodecName::opus;
      EXPECT_EQ(frame->width * frame->height > 0, picture) << row.name;
    }
    EXPECT_EQ(packets, dropped_packets(drops)) << row.name << ": each packet is in a frame or counted";
    EXPECT_EQ(frames, row.frames) << row.name;
    EXPECT_EQ(assembler.waits_for_keyframe(), row.waits) << row.name;
  }
}

}  // namespace

TEST(FrameAssembler, vp8) {
  expect(rtp::CodecName::vp8,
         {
             {"one packet each", {{kKey, 1, true}, {kDelta, 2, true}}, "K1 d2 ", false},
             {"begins with what cannot be decoded",
              {{kMore, 1, true}, {kDelta, 2, true}, {kKey, 3, true}, {kDelta, 4, true}},
              "K3 d4 ",
              false},
             {"several packets",
              {{kKey, 1, false}, {kMore, 1, true}, {kDelta, 2, false}, {kMore, 2, false}, {kMore, 2, true}},
              "K1 d2 ",
              false},
             {"without markers the next timestamp ends a frame",
              {{kKey, 1, false}, {kDelta, 2, false}, {kDelta, 3, true}},
              "K1 d2 d3 ",
              false},
             {"a hole inside a frame",
              {{kKey, 1, true}, {kDelta, 2, false}, {kMore, 2, true, true}, {kDelta, 3, true}},
              "K1 ",
              true},
             {"a hole between frames", {{kKey, 1, true}, {kDelta, 3, true, true}, {kDelta, 4, true}}, "K1 ", true},
             {"the end is missing", {{kKey, 1, true}, {kDelta, 2, false}, {kDelta, 3, true, true}}, "K1 ", true},
             {"a keyframe mends it",
              {{kKey, 1, true}, {kDelta, 3, true, true}, {kKey, 4, true}, {kDelta, 5, true}},
              "K1 K4 d5 ",
              false},
             {"a keyframe right behind the hole", {{kKey, 1, true}, {kKey, 3, true, true}}, "K1 K3 ", false},
             {"a keyframe with a hole does not",
              {{kKey, 1, true}, {kKey, 3, false, true}, {kMore, 3, true, true}, {kDelta, 4, true}},
              "K1 ",
              true},
             {"padding is nothing", {{kKey, 1, true}, {{}, 1, false}, {kDelta, 2, true}}, "K1 d2 ", false},
             {"nonsense", {{kKey, 1, true}, {bytes({0xff}), 2, true}, {kDelta, 3, true}}, "K1 ", true},
             {"a keyframe cut before its size", {{bytes({0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a}), 1, true}}, "", true},
             {"a marker on every packet",
              {{kKey, 1, true}, {kMore, 1, true}, {kMore, 1, true}, {kDelta, 2, true}, {kMore, 2, true}},
              "K1/19 d2/10 ",
              false,
              true},
             {"a marker on every packet, and a loss at a frame's end",
              {{kKey, 1, true}, {kMore, 1, true}, {kDelta, 2, true}, {kDelta, 3, true, true}, {kKey, 4, true}},
              "K1 K4 ",
              false},
             {"no marker ever", {{kKey, 1, false}, {kMore, 1, false}, {kDelta, 2, false}, {kMore, 2, false}}, "K1 d2 ", false},
             {"no marker on the last frame of a sender that sets them", {{kKey, 1, true}, {kDelta, 2, false}}, "K1 ", true},
             {"no marker on a frame that another follows", {{kKey, 1, true}, {kDelta, 2, false}, {kDelta, 3, true}}, "K1 d2 d3 ", false},
             {"several frames with one timestamp", {{kKey, 1, true}, {kDelta, 1, true}, {kDelta, 1, true}}, "K1 d1 d1 ", false},
             {"a first partition longer than the frame", {{kKey, 1, true}, {bytes({0x10, 0x11, 0xbb, 0xbb, 0xbb}), 2, true}, {kDelta, 3, true}}, "K1 ", true},
             {"a marker on the first packet", {{kKey, 1, true}, {kMore, 1, false}, {kDelta, 2, true}, {kMore, 2, false}}, "K1/17 d2/10 ", false, true},
             {"a first partition of nothing", {{kKey, 1, true}, {bytes({0x10, 0x11, 0, 0, 0xbb}), 2, true}}, "K1 ", true},
             {"a keyframe whose size is in its second packet",
              {{bytes({0x10, 0x90, 0, 0, 0x9d}), 1, false}, {bytes({0, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00, 0, 0, 0, 0}), 1, true}},
              "K1 ",
              false},
         });
}

TEST(FrameAssembler, h264) {
  const Bytes aggregate = [] {
    Bytes out = bytes({0x78, 0, 8});
    out.insert(out.end(), kSps.begin(), kSps.end());
    for (const unsigned byte : {0u, 4u}) out.push_back(static_cast<std::byte>(byte));
    out.insert(out.end(), kPps.begin(), kPps.end());
    return out;
  }();
  Bytes other_sps = kSps;
  other_sps[3] ^= std::byte{1};  // its level
  const Bytes fragment_start = bytes({0x7c, 0x85, 0xb8, 0x01}), fragment_end = bytes({0x7c, 0x45, 0x02});
  expect(
      rtp::CodecName::h264,
      {
          {"single units", {{kSps, 1, false}, {kPps, 1, false}, {kIdr, 1, true}, {kSlice, 2, true}}, "K1 d2 ", false},
          {"aggregate and fragments",
           {{aggregate, 1, false}, {fragment_start, 1, false}, {fragment_end, 1, true}, {kSlice, 2, true}},
           "K1 d2 ",
           false},
          {"no parameter sets", {{kIdr, 1, true}, {kSlice, 2, true}}, "", true},
          {"parameter sets come ahead, with a timestamp of their own",
           {{aggregate, 1, true}, {kIdr, 2, true}},
           "K2 ",
           false},
          {"parameter sets only once", {{aggregate, 1, false}, {kIdr, 1, true}, {kIdr, 2, true}}, "K1 K2 ", false},
          {"several slices",
           {{aggregate, 1, false}, {kIdr, 1, false}, {kIdr8, 1, true}, {kSlice, 2, false}, {kSlice8, 2, true}},
           "K1/36 d2/14 ",
           false,
           true},
          {"a marker on every slice",
           {{aggregate, 1, true}, {kIdr, 1, true}, {kIdr8, 1, true}, {kSlice, 2, true}, {kSlice8, 2, true}, {kSlice, 3, true}, {kSlice8, 3, true}},
           "K1/36 d2/14 d3/14 ",
           false,
           true},
          {"a marker on every slice, and a loss at a picture's end",
           {{aggregate, 1, true}, {kIdr, 1, true}, {kIdr8, 1, true}, {kSlice, 2, true}, {aggregate, 3, true, true}, {kIdr, 3, true}},
           "K1 K3 ",
           false},
          {"no marker ever", {{aggregate, 1, false}, {kIdr, 1, false}, {kIdr8, 1, false}, {kSlice, 2, false}, {kSlice8, 2, false}}, "K1/36 d2/14 ", false, true},
          {"no marker ever, and a loss", {{aggregate, 1, false}, {kIdr, 1, false}, {kSlice, 2, false}, {kSlice, 4, false, true}}, "K1 ", true},
          {"several pictures with one timestamp",
           {{aggregate, 1, true}, {kIdr, 1, true}, {kSlice, 1, true}, {kSlice8, 1, true}, {kSlice, 1, true}},
           "K1/28 d1/14 d1/7 ",
           false,
           true},
          {"a picture without its first slice", {{aggregate, 1, false}, {kIdr, 1, true}, {kSlice8, 2, true}, {kSlice, 3, true}}, "K1 ", true},
          {"a slice twice", {{aggregate, 1, false}, {kIdr, 1, false}, {kIdr8, 1, false}, {kIdr8, 1, true}}, "", true},
          {"a slice behind the picture's end", {{aggregate, 1, false}, {bytes({0x65, 0x08, 0x88, 0x88}), 1, true}}, "", true},
          {"a slice of an unknown parameter set", {{aggregate, 1, false}, {kIdr, 1, true}, {bytes({0x41, 0x99, 0x00}), 2, true}, {kSlice, 3, true}}, "K1 ", true},
          {"kinds of slices mixed", {{aggregate, 1, false}, {kIdr, 1, false}, {kSlice8, 1, true}}, "", true},
          {"the same parameter sets before each slice",
           {{aggregate, 1, false}, {kIdr, 1, false}, {aggregate, 1, false}, {kIdr8, 1, true}, {kSlice, 2, false}, {kPps, 2, false}, {kSlice8, 2, true}},
           "K1/36 d2/14 ",
           false,
           true},
          {"another parameter set within a picture", {{aggregate, 1, false}, {kIdr, 1, false}, {other_sps, 1, false}, {kIdr8, 1, true}}, "", true},
          {"additional information within a picture", {{aggregate, 1, false}, {kIdr, 1, false}, {kSei, 1, false}, {kIdr8, 1, true}}, "K1/45 ", false, true},
          {"delimiters, and what belongs to the next picture with the timestamp of the one before",
           {{kDelimiter, 1, false}, {aggregate, 1, false}, {kIdr, 1, true}, {kDelimiter, 1, false}, {kSlice, 2, true}},
           "K1/34 d2/13 ",
           false,
           true},
          {"data partitions", {{aggregate, 1, false}, {kIdr, 1, true}, {bytes({0x42, 0x9a, 0x00}), 2, true}}, "K1 ", true},
          {"start codes between the units of a payload",
           {{joined({kSps, bytes({0, 0, 0, 1}), kPps, bytes({0, 0, 1}), kIdr}), 1, true}, {joined({bytes({0, 0, 0, 1}), kSlice, bytes({0, 0, 1}), kSlice8}), 2, true}},
           "K1/27 d2/13 ",
           false,
           true},
          {"start codes in fragments",
           {{joined({bytes({0x1c, 0x80, 0, 0, 1}), kSps, bytes({0, 0, 0})}), 1, false},
            {joined({bytes({0x1c, 0x00, 1}), kPps, bytes({0, 0})}), 1, false},
            {joined({bytes({0x1c, 0x40, 0, 1}), kIdr}), 1, true}},
           "K1/27 ",
           false,
           true},
          {"a picture cut off in a fragment", {{aggregate, 1, false}, {kIdr, 1, true}, {bytes({0x5c, 0x81, 0x9a, 0}), 2, true}, {kSlice, 3, true}}, "K1 ", true},
          {"a hole inside a fragment",
           {{aggregate, 1, false}, {fragment_start, 1, false}, {fragment_end, 1, true, true}},
           "",
           true},
          {"a hole before a frame",
           {{aggregate, 1, false}, {kIdr, 1, true}, {kSlice, 3, true, true}, {kSlice, 4, true}},
           "K1 ",
           true},
          {"a hole before whole parameter sets",
           {{aggregate, 1, false}, {kIdr, 1, true}, {aggregate, 3, false, true}, {kIdr, 3, true}},
           "K1 K3 ",
           false},
          {"a hole where the parameter sets may have been",
           {{aggregate, 1, false}, {kIdr, 1, true}, {kIdr, 3, true, true}},
           "K1 ",
           true},
          {"a hole before a picture of one that never repeats them",
           {{aggregate, 1, false}, {kIdr, 1, true}, {kIdr, 2, true}, {kIdr, 4, true, true}, {kSlice, 5, true}},
           "K1 K2 K4 d5 ",
           false},
          {"a P slice in an IDR unit", {{aggregate, 1, false}, {kIdr, 1, true}, {bytes({0x65, 0x9a, 0x00}), 2, true}, {kSlice, 3, true}}, "K1 ", true},
          {"an IDR picture that is no reference", {{aggregate, 1, false}, {bytes({0x05, 0x88, 0x84, 0x00}), 1, true}, {kSlice, 2, true}}, "", true},
          {"a changed SPS before a P picture is not written",
           {{aggregate, 1, false}, {kIdr, 1, true}, {kLargeSps, 2, false}, {kSlice, 2, true}, {kSps, 3, false}, {kPps, 3, false}, {kIdr, 3, true}},
           "K1/28 d2/7 K3/28 ",
           false,
           true},
          {"a changed SPS before an IDR picture is", {{aggregate, 1, false}, {kIdr, 1, true}, {kLargeSps, 2, false}, {kIdr, 2, true}}, "K1/28 K2/30 ", false, true},
          {"a P picture of another SPS than the IDR picture's",
           {{aggregate, 1, false}, {kIdr, 1, true}, {bytes({0x67, 0x42, 0xc0, 0x0a, 0x56, 0x84, 0x26, 0x84}), 2, false}, {bytes({0x68, 0x48, 0xe3, 0xc8}), 2, false}, {bytes({0x41, 0x99, 0x00}), 2, true}},
           "K1 ",
           true},
          {"a PPS with slice groups is not written", {{aggregate, 1, false}, {bytes({0x68, 0x51, 0x7f, 0x80}), 1, false}, {kIdr, 1, true}}, "K1/28 ", false, true},
          {"a PPS without its SPS is not written", {{aggregate, 1, false}, {bytes({0x68, 0x48, 0xe3, 0xc8}), 1, false}, {kIdr, 1, true}}, "K1/28 ", false, true},
          {"units that decoders ignore",
           {{bytes({0x7e, 1}), 1, false}, {aggregate, 1, false}, {bytes({0x00, 1}), 1, false}, {kIdr, 1, false}, {bytes({0x7f, 1}), 1, true}, {bytes({0x7f, 1}), 7, false}, {kSlice, 2, true}},
           "K1/28 d2/7 ",
           false,
           true},
          {"a unit that decoders ignore between fragments",
           {{aggregate, 1, false}, {fragment_start, 1, false}, {bytes({0x7e, 1}), 1, false}, {fragment_end, 1, true}},
           "K1 ",
           false},
          {"a marker on the first packet",
           {{aggregate, 1, true}, {kIdr, 1, false}, {kIdr8, 1, false}, {kSlice, 2, true}, {kSlice8, 2, false}, {kSlice, 3, true}, {kSlice8, 3, false}},
           "K1/36 d2/14 d3/14 ",
           false,
           true},
          {"nonsense",
           {{aggregate, 1, false}, {kIdr, 1, true}, {bytes({0x7c}), 2, true}, {kSlice, 3, true}},
           "K1 ",
           true},
      });
}

TEST(FrameAssembler, opus_every_packet_is_a_frame) {
  const Bytes packet = bytes({0x78, 1, 2, 3});
  expect(rtp::CodecName::opus,
         {
             {"all", {{packet, 1, true}, {packet, 2, false}, {packet, 4, false, true}}, "K1 K2 K4 ", false},
             {"malformed",
              {{packet, 1, true}, {{}, 2, false}, {bytes({0x7b}), 3, false}, {bytes({0x7b, 0x3f}), 4, false}},
              "K1 ",
              false},
         });
}

TEST(OpusSamples, follow_the_table_of_contents) {
  const std::pair<Bytes, std::uint32_t> rows[] = {{{}, 0},
                                                  {bytes({0x00}), 480},
                                                  {bytes({0x18}), 2880},
                                                  {bytes({0x60}), 480},
                                                  {bytes({0x68}), 960},
                                                  {bytes({0x80}), 120},
                                                  {bytes({0x78}), 960},
                                                  {bytes({0xf8}), 960},
                                                  {bytes({0xfc, 0}), 960},
                                                  {bytes({0xfd}), 1920},
                                                  {bytes({0xff}), 0},
                                                  {bytes({0xff, 3}), 2880},
                                                  {bytes({0x1b, 3}), 0}};
  for (const auto& [packet, samples] : rows) EXPECT_EQ(opus_samples(packet), samples) << to_hex(packet);
}

TEST(FrameAssembler, survives_anything) {
  for (const auto codec : {rtp::CodecName::vp8, rtp::CodecName::h264, rtp::CodecName::opus}) {
    SeededRandom random(42);
    Drops drops;
    FrameAssembler assembler(codec, drops);
    const std::vector<Bytes> seeds{
        kKey, kDelta, kMore, kSps, kPps, kIdr, kSlice, bytes({0x78, 0, 2, 1, 2}), bytes({0x7c, 0x85, 1})};
    std::size_t frames = 0;
    std::uint64_t packets = 0;
    for (int i = 0; i < 20'000; ++i) {
      Bytes payload = seeds[random.below(seeds.size())];
      payload.resize(random.below(payload.size() + 3));
      if (!payload.empty() && random.unit() < 0.5)
        payload[random.below(payload.size())] ^= static_cast<std::byte>(1u << random.below(8));
      rtp::RtpHeader header;
      header.timestamp = random.unit() < 0.1 ? random.u32() : static_cast<std::uint32_t>(i / 3);
      header.marker = random.unit() < 0.3;
      if (random.unit() < 0.05) assembler.handle_loss();
      assembler.add(header, payload, Time{});
      if (!payload.empty()) ++packets;
      while (const auto frame = assembler.poll()) {
        ++frames;
        packets -= frame->packets;
      }
    }
    assembler.flush(Time{1s});
    while (const auto frame = assembler.poll()) packets -= frame->packets;
    EXPECT_EQ(packets, dropped_packets(drops));
    EXPECT_GT(frames, 0u);
    EXPECT_GT(drops[Drop::malformed_packet], 0u);
  }
}

TEST(FrameAssembler, a_frame_without_end_is_given_up_at_its_bound) {
  Drops drops;
  FrameAssembler assembler(rtp::CodecName::vp8, drops);
  Bytes more(1100);
  assembler.add({}, kKey, Time{});
  for (int i = 0; i < 5000; ++i) assembler.add({}, more, Time{});
  assembler.flush(Time{1s});
  EXPECT_EQ(drops[Drop::oversized_frame], 5001u);
  EXPECT_FALSE(assembler.poll());
}

TEST(FrameAssembler, parameter_sets_that_no_picture_follows_are_dropped_at_their_bound) {
  Drops drops;
  FrameAssembler assembler(rtp::CodecName::h264, drops);
  const auto add = [&](const Bytes& unit, unsigned timestamp) {
    rtp::RtpHeader header;
    header.timestamp = timestamp;
    header.marker = true;
    assembler.add(header, unit, Time{});
  };
  for (unsigned i = 0; i < 200; ++i) add(kSei, 3000 * i);
  EXPECT_GT(drops[Drop::no_picture], 100u) << "while they arrive, not only at the end";
  Bytes large = kSei;
  large.resize(40'000, std::byte{1});
  const std::uint64_t before = drops[Drop::no_picture];
  for (unsigned i = 200; i < 210; ++i) add(large, 3000 * i);
  EXPECT_GT(drops[Drop::no_picture], before + 5) << "two are more bytes than may wait";
}

TEST(H264ParameterSets, keep_no_set_of_more_than_4096_bytes) {
  H264ParameterSets sets;
  Bytes large = kPps;
  large.resize(H264ParameterSets::kMaxSetBytes + 1, std::byte{0x80});
  EXPECT_FALSE(sets.add(large));
  EXPECT_TRUE(sets.add(kSps));
  EXPECT_TRUE(sets.add(kPps));
}

TEST(FrameAssembler, a_frame_that_nothing_follows_ends_by_its_time) {
  struct Step {
    const char* name;
    std::vector<In> in;
    Duration after;  // the newest packet; zero: never
  };
  for (const Step& row : {Step{"marked", {{kKey, 1, true}}, FrameAssembler::kMarkedEnds}, Step{"a sender without markers", {{kKey, 1, false}}, FrameAssembler::kUnmarkedEnds},
                          Step{"a sender that marks every packet", {{kKey, 1, true}, {kMore, 1, true}}, FrameAssembler::kUnmarkedEnds},
                          Step{"not marked by one that marks", {{kKey, 1, true}, {kDelta, 2, false}}, 0s}}) {
    SCOPED_TRACE(row.name);
    Drops drops;
    FrameAssembler assembler(rtp::CodecName::vp8, drops);
    for (const In& in : row.in) {
      while (assembler.poll()) {
      }
      rtp::RtpHeader header;
      header.timestamp = in.timestamp;
      header.marker = in.marker;
      assembler.add(header, in.payload, Time{5s});
    }
    while (row.after == 0s && assembler.poll()) {
    }
    EXPECT_EQ(assembler.next_timeout(), row.after == 0s ? Time::max() : Time{5s} + row.after);
    assembler.handle_timeout(Time{5s} + row.after - 1ns);
    EXPECT_FALSE(assembler.poll());
    assembler.handle_timeout(Time{5s} + row.after);
    EXPECT_EQ(assembler.poll().has_value(), row.after != 0s);
  }
}

TEST(FrameAssembler, tells_which_pictures_may_be_shown_before_others) {
  Drops drops;
  FrameAssembler assembler(rtp::CodecName::h264, drops);
  rtp::RtpHeader header;
  for (const Bytes& payload : {kSps, kPps, kIdr}) assembler.add(header, payload, Time{});
  header.timestamp = 9000;
  assembler.add(header, kSlice, Time{});
  header.timestamp = 6000;
  assembler.add(header, kBSlice, Time{});
  assembler.flush(Time{1s});
  std::string found;
  while (const auto frame = assembler.poll()) found += frame->bidirectional ? "B" : frame->keyframe ? "I" : "P";
  EXPECT_EQ(found, "IPB");
}

}  // namespace amphi::recording
