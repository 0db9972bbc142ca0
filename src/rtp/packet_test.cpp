// RTP headers: round trips, every truncation, lying lengths; sequence extension; codec names.
#include "rtp/packet.h"

#include <gtest/gtest.h>

#include <array>
#include <initializer_list>
#include <string>

#include "base/random.h"
#include "rtp/codec.h"

namespace amphi::rtp {
namespace {

Bytes bytes(std::initializer_list<int> values) {
  Bytes out;
  for (int v : values) out.push_back(static_cast<std::byte>(v));
  return out;
}

constexpr ExtensionIds kIds{
    .mid = 1, .rid = 2, .repaired_rid = 3, .transport_seq = 5, .abs_send_time = 0, .audio_level = 7};

/// A header followed by an extension block of the given profile and bytes (a multiple of 4), and a payload of 3.
Bytes with_block(int profile, std::initializer_list<int> block) {
  Bytes data = bytes({0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, profile >> 8, profile & 255, 0, int(block.size() / 4)});
  for (int v : block) data.push_back(static_cast<std::byte>(v));
  for (int v : {7, 8, 9}) data.push_back(static_cast<std::byte>(v));
  return data;
}

Bytes written(const RtpHeader& header, const ExtensionIds& ids, const ExtensionValues& values) {
  Bytes out(600);
  out.resize(write_rtp_header(out, header, ids, values));
  return out;
}

}  // namespace

TEST(Seq, extends_to_the_nearest_number) {
  struct Row {
    WireSeq wire;
    Seq near, want;
  };
  for (const Row& row : {Row{5, 3, 5}, Row{0, 65535, 65536}, Row{65535, 65536, 65535}, Row{65535, 0, -1},
                         Row{1, 0x1fffe, 0x20001}, Row{0xfffe, 0x20001, 0x1fffe}}) {
    EXPECT_EQ(extend(row.wire, row.near), row.want);
  }
  EXPECT_EQ(extend(WireTimestamp{1}, Timestamp{0xffffffff}), Timestamp{0x100000001});
}

TEST(Codec, names_go_both_ways_in_any_case) {
  for (CodecName codec : {CodecName::opus, CodecName::vp8, CodecName::h264}) {
    EXPECT_EQ(codec_from_text(text(codec)), codec);
  }
  EXPECT_EQ(codec_from_text("vp8"), CodecName::vp8);
  EXPECT_EQ(codec_from_text("OPUS"), CodecName::opus);
  for (std::string_view unknown : {"", "VP9", "VP", "VP88", "H265"}) EXPECT_FALSE(codec_from_text(unknown)) << unknown;
}

TEST(RtpPacket, what_is_written_is_read) {
  const RtpHeader header{
      .marker = true, .payload_type = 111, .seq = 65535, .timestamp = 0xfedcba98, .ssrc = 0x12345678};
  const std::string long_mid(40, 'm');
  ExtensionIds high_ids = kIds;
  high_ids.mid = 15;
  struct Row {
    const char* what;
    ExtensionIds ids;
    std::string_view mid;
    std::size_t size;  // of the header
  };
  for (const Row& row :
       {Row{"one-byte form", kIds, "a0", 12 + 4 + 12}, Row{"two-byte form for the length", kIds, long_mid, 12 + 4 + 52},
        Row{"two-byte form for the id", high_ids, "a0", 12 + 4 + 16}}) {
    Bytes data = written(header, row.ids, {.mid = row.mid, .rid = "h", .repaired_rid = "q", .transport_seq = 0xabcd});
    EXPECT_EQ(data.size(), row.size) << row.what;
    data.push_back(std::byte{42});
    const auto packet = parse_rtp(data, row.ids);
    ASSERT_TRUE(packet) << row.what;
    EXPECT_TRUE(packet->header.marker);
    EXPECT_EQ(packet->header.payload_type, 111);
    EXPECT_EQ(packet->header.seq, 65535);
    EXPECT_EQ(packet->header.timestamp, 0xfedcba98u);
    EXPECT_EQ(packet->header.ssrc, 0x12345678u);
    EXPECT_EQ(packet->mid, row.mid);
    EXPECT_EQ(packet->rid, "h");
    EXPECT_EQ(packet->repaired_rid, "q");
    EXPECT_EQ(packet->transport_seq, 0xabcd);
    EXPECT_FALSE(packet->audio_level);
    ASSERT_EQ(packet->payload.size(), 1u);
    EXPECT_EQ(packet->payload[0], std::byte{42});
  }
}

TEST(RtpPacket, only_negotiated_extensions_are_written) {
  EXPECT_EQ(written({}, {}, {.mid = "0", .rid = "h", .repaired_rid = "", .transport_seq = 1}).size(), 12u);
  EXPECT_EQ(written({}, kIds, {}).size(), 12u);
}

TEST(RtpPacket, a_header_that_does_not_fit_is_not_written) {
  const ExtensionValues values{.mid = "0", .rid = "", .repaired_rid = "", .transport_seq = 1};
  const std::size_t whole = written({}, kIds, values).size();
  for (std::size_t room = 0; room < whole; ++room) {
    Bytes out(room);
    EXPECT_EQ(write_rtp_header(out, {}, kIds, values), 0u) << room;
  }
  EXPECT_TRUE(
      written({}, kIds, {.mid = std::string(256, 'm'), .rid = "", .repaired_rid = "", .transport_seq = {}}).empty());
}

TEST(RtpPacket, reads_what_other_senders_write) {
  const auto level = parse_rtp(with_block(0xbede, {0x70, 0x85, 0, 0}), kIds);
  ASSERT_TRUE(level);
  EXPECT_EQ(level->audio_level, 5) << "without the voice flag";
  EXPECT_EQ(level->payload.size(), 3u);

  const auto padded = parse_rtp(with_block(0xbede, {0, 0, 0x51, 1, 2, 0, 0, 0}), kIds);
  ASSERT_TRUE(padded);
  EXPECT_EQ(padded->transport_seq, 0x0102);

  const auto after_15 = parse_rtp(with_block(0xbede, {0xf0, 9, 0x51, 1, 2, 0, 0, 0}), kIds);
  ASSERT_TRUE(after_15);
  EXPECT_FALSE(after_15->transport_seq) << "id 15 ends the one-byte form";

  const auto past_block = parse_rtp(with_block(0x1003, {5, 2, 1, 2, 1, 0, 2, 1}), {.mid = 1, .transport_seq = 5});
  ASSERT_TRUE(past_block) << "the last element claims a byte past the block: the rest of the packet is well-formed";
  EXPECT_EQ(past_block->transport_seq, 0x0102);
  EXPECT_TRUE(past_block->mid.empty());
  EXPECT_EQ(past_block->payload.size(), 3u);
  const auto empty_element = parse_rtp(with_block(0x1003, {5, 2, 1, 2, 1, 0, 0, 0}), kIds);
  ASSERT_TRUE(empty_element);
  EXPECT_EQ(empty_element->transport_seq, 0x0102);
  EXPECT_TRUE(empty_element->mid.empty());

  const auto foreign = parse_rtp(with_block(0x4242, {0xff, 0xff, 0xff, 0xff}), kIds);
  ASSERT_TRUE(foreign) << "an unknown profile is skipped";
  EXPECT_EQ(foreign->payload.size(), 3u);

  const auto wrong_length = parse_rtp(with_block(0xbede, {0x52, 1, 2, 3}), kIds);
  ASSERT_TRUE(wrong_length);
  EXPECT_FALSE(wrong_length->transport_seq);
}

TEST(RtpPacket, padding_is_removed_and_lying_padding_is_refused) {
  struct Row {
    int last;
    int payload;  // -1: refused
  };
  for (const Row& row : {Row{1, 3}, Row{3, 1}, Row{4, 0}, Row{5, -1}, Row{0, -1}, Row{255, -1}}) {
    const auto packet = parse_rtp(bytes({0xa0, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, row.last}), kIds);
    ASSERT_EQ(packet.has_value(), row.payload >= 0) << row.last;
    if (packet) {
      EXPECT_EQ(packet->payload.size(), static_cast<std::size_t>(row.payload));
    }
  }
  EXPECT_FALSE(parse_rtp(bytes({0xa0, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3}), kIds)) << "padding of nothing";
}

TEST(RtpPacket, elements_past_their_block_are_ignored_and_blocks_past_the_packet_are_refused) {
  EXPECT_FALSE(parse_rtp(with_block(0xbede, {0x5f, 1, 2, 3}), kIds)->transport_seq) << "one-byte element past the block";
  EXPECT_FALSE(parse_rtp(with_block(0x1000, {5, 200, 1, 2}), kIds)->transport_seq) << "two-byte element past the block";
  EXPECT_FALSE(parse_rtp(with_block(0x1000, {0, 0, 0, 5}), kIds)->transport_seq) << "two-byte element without its length";
  Bytes block = with_block(0xbede, {0x51, 1, 2, 0});
  block[15] = std::byte{2};
  EXPECT_FALSE(parse_rtp(block, kIds)) << "block past the packet";
  block[14] = block[15] = std::byte{255};
  EXPECT_FALSE(parse_rtp(block, kIds));
}

TEST(RtpPacket, every_truncation_and_every_bit_flip_is_survived) {
  Bytes data = written({.marker = false, .payload_type = 96, .seq = 1, .timestamp = 2, .ssrc = 3}, kIds,
                       {.mid = "0", .rid = "h", .repaired_rid = "", .transport_seq = 1});
  const std::size_t header = data.size();
  data.resize(header + 5);
  for (std::size_t size = 0; size <= data.size(); ++size) {
    const Bytes cut(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(parse_rtp(cut, kIds).has_value(), size >= header) << size;
  }
  for (std::size_t bit = 0; bit < data.size() * 8; ++bit) {
    Bytes flipped = data;
    flipped[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    const auto packet = parse_rtp(flipped, kIds);
    if (packet) {
      EXPECT_LE(packet->payload.size(), flipped.size() - 12) << bit;
    }
  }
}

TEST(RtpPacket, random_bytes_are_survived) {
  SeededRandom random(20'260);
  for (int i = 0; i < 20'000; ++i) {
    Bytes data(random.below(64));
    random.fill(data);
    if (!data.empty()) data[0] = (data[0] & std::byte{0x3f}) | std::byte{0x80};
    const auto packet = parse_rtp(data, kIds);
    if (packet) {
      ASSERT_LE(packet->payload.size() + 12, data.size()) << "seed 20260, round " << i;
    }
  }
}

TEST(Rtcp, is_told_from_rtp_by_its_packet_type) {
  struct Row {
    int first, second;
    bool want;
  };
  for (const Row& row : {Row{0x80, 200, true}, Row{0x81, 192, true}, Row{0x80, 223, true}, Row{0x80, 191, false},
                         Row{0x80, 224, false}, Row{0x80, 96, false}, Row{0x40, 200, false}}) {
    EXPECT_EQ(is_rtcp(bytes({row.first, row.second})), row.want) << row.second;
  }
  EXPECT_FALSE(is_rtcp(bytes({0x80})));
  EXPECT_FALSE(is_rtcp({}));
}

}  // namespace amphi::rtp
