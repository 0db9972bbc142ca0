// RTCP: round trips of every packet, bytes as the RFCs draw them, and hostile compounds.
#include "rtp/rtcp.h"
#include "rtp/reported_instant.h"

#include <gtest/gtest.h>

#include <initializer_list>

#include "base/random.h"

namespace amphi::rtp {
namespace {

Bytes bytes(std::initializer_list<int> values) {
  Bytes out;
  for (int v : values) out.push_back(static_cast<std::byte>(v));
  return out;
}

Bytes written(const RtcpPacket& packet) {
  Bytes out;
  append_rtcp(out, packet);
  EXPECT_EQ(out.size() % 4, 0u);
  return out;
}

template <class T>
T round_trip(const T& packet) {
  const auto parsed = parse_rtcp(written(packet));
  EXPECT_EQ(parsed.size(), 1u);
  if (parsed.size() != 1 || !std::holds_alternative<T>(parsed[0])) {
    ADD_FAILURE() << "another packet came back";
    return {};
  }
  return std::get<T>(parsed[0]);
}

ReportBlock block(std::uint32_t ssrc, std::int32_t lost) {
  return {.ssrc = ssrc,
          .fraction_lost = 255,
          .cumulative_lost = lost,
          .highest_seq = 0x2ffff,
          .jitter = 77,
          .last_sr = 0xdeadbeef,
          .delay_since_last_sr = 65'536};
}

void expect_same(const ReportBlock& a, const ReportBlock& b) {
  EXPECT_EQ(a.ssrc, b.ssrc);
  EXPECT_EQ(a.fraction_lost, b.fraction_lost);
  EXPECT_EQ(a.cumulative_lost, b.cumulative_lost);
  EXPECT_EQ(a.highest_seq, b.highest_seq);
  EXPECT_EQ(a.jitter, b.jitter);
  EXPECT_EQ(a.last_sr, b.last_sr);
  EXPECT_EQ(a.delay_since_last_sr, b.delay_since_last_sr);
}

/// `text`: one character a packet: '.' lost, digits and letters: 250 us units since the packet before (0-9, a-z:
/// 10-35), 'L' 20 000 units, 'M' minus 300.
TransportFeedback feedback(std::uint16_t first, std::int64_t start, std::string_view text) {
  TransportFeedback out{.sender_ssrc = 1, .media_ssrc = 2, .feedback_count = 3, .arrivals = {}};
  std::int64_t time = start;
  for (char c : text) {
    TransportFeedback::Arrival arrival{first++, std::nullopt};
    if (c != '.') {
      time += c == 'L' ? 20'000 : c == 'M' ? -300 : c <= '9' ? c - '0' : c - 'a' + 10;
      arrival.time_250us = time;
    }
    out.arrivals.push_back(arrival);
  }
  return out;
}

void expect_same(const TransportFeedback& a, const TransportFeedback& b, std::string_view what) {
  EXPECT_EQ(a.sender_ssrc, b.sender_ssrc);
  EXPECT_EQ(a.media_ssrc, b.media_ssrc);
  EXPECT_EQ(a.feedback_count, b.feedback_count);
  ASSERT_EQ(a.arrivals.size(), b.arrivals.size()) << what;
  for (std::size_t i = 0; i < a.arrivals.size(); ++i) {
    EXPECT_EQ(a.arrivals[i].seq, b.arrivals[i].seq) << what << " at " << i;
    EXPECT_EQ(a.arrivals[i].time_250us, b.arrivals[i].time_250us) << what << " at " << i;
  }
}

/// A compound with one packet of each kind.
Bytes everything() {
  Bytes out;
  append_rtcp(out, SenderReport{1, {2}, 3, 4, 5, {block(6, -7)}});
  append_rtcp(out, SourceDescription{1, "name"});
  append_rtcp(out, ReceiverReport{1, {block(2, 3), block(4, 5)}});
  append_rtcp(out, Nack{1, 2, {10, 11, 27, 40}});
  append_rtcp(out, PictureLoss{1, 2});
  append_rtcp(out, FullIntraRequest{1, 2, 3});
  append_rtcp(out, feedback(65'530, 1'000, "00.1L0000000000000000M....."));
  append_rtcp(out, Bye{{1, 2}});
  return out;
}

}  // namespace

TEST(Rtcp, reports_come_back_as_they_were) {
  const auto sr = round_trip(SenderReport{1, {0x0123456789abcdef}, 3, 4, 5, {block(6, -7), block(8, 9)}});
  EXPECT_EQ(sr.ssrc, 1u);
  EXPECT_EQ(sr.ntp.value, 0x0123456789abcdefu);
  EXPECT_EQ(sr.ntp.compact(), 0x456789abu);
  EXPECT_EQ(sr.rtp_timestamp, 3u);
  EXPECT_EQ(sr.packet_count, 4u);
  EXPECT_EQ(sr.octet_count, 5u);
  ASSERT_EQ(sr.blocks.size(), 2u);
  expect_same(sr.blocks[0], block(6, -7));
  expect_same(sr.blocks[1], block(8, 9));
  EXPECT_TRUE(round_trip(ReceiverReport{9, {}}).blocks.empty());
}

TEST(Rtcp, cumulative_loss_saturates_at_24_bits) {
  EXPECT_EQ(round_trip(ReceiverReport{1, {block(2, 1 << 30)}}).blocks.at(0).cumulative_lost, 0x7fffff);
  EXPECT_EQ(round_trip(ReceiverReport{1, {block(2, -(1 << 30))}}).blocks.at(0).cumulative_lost, -0x800000);
}

TEST(Rtcp, more_blocks_than_one_report_holds_continue_in_the_next) {
  SenderReport report{.ssrc = 1, .ntp = {}, .rtp_timestamp = 0, .packet_count = 0, .octet_count = 0, .blocks = {}};
  for (std::uint32_t i = 0; i < 70; ++i) report.blocks.push_back(block(i, 0));
  const auto parsed = parse_rtcp(written(report));
  ASSERT_EQ(parsed.size(), 3u);
  EXPECT_EQ(std::get<SenderReport>(parsed[0]).blocks.size(), 31u);
  EXPECT_EQ(std::get<ReceiverReport>(parsed[1]).blocks.size(), 31u);
  EXPECT_EQ(std::get<ReceiverReport>(parsed[2]).blocks.back().ssrc, 69u);
}

TEST(Rtcp, cnames_of_every_length_come_back) {
  for (std::size_t length : {0u, 1u, 2u, 3u, 4u, 255u}) {
    const auto back = round_trip(SourceDescription{7, std::string(length, 'c')});
    EXPECT_EQ(back.ssrc, 7u);
    EXPECT_EQ(back.cname, std::string(length, 'c'));
  }
  EXPECT_EQ(round_trip(SourceDescription{7, std::string(300, 'c')}).cname.size(), 255u);
}

TEST(Rtcp, each_chunk_of_a_description_is_read) {
  const auto parsed = parse_rtcp(bytes({0x82, 202, 0, 6, 0, 0, 0,   1, 2, 1, 'n', 1, 1, 'a', 0, 0,  //
                                        0,    0,   0, 2, 1, 1, 'b', 0}));
  EXPECT_TRUE(parsed.empty()) << "the length claims one word too many";
  const auto fixed = parse_rtcp(bytes({0x82, 202, 0, 5, 0, 0, 0,   1, 2, 1, 'n', 1, 1, 'a', 0, 0,  //
                                       0,    0,   0, 2, 1, 1, 'b', 0}));
  ASSERT_EQ(fixed.size(), 2u);
  EXPECT_EQ(std::get<SourceDescription>(fixed[0]).cname, "a");
  EXPECT_EQ(std::get<SourceDescription>(fixed[1]).cname, "b");
  EXPECT_EQ(std::get<SourceDescription>(fixed[1]).ssrc, 2u);
}

TEST(Rtcp, requests_come_back_as_they_were) {
  EXPECT_EQ(round_trip(Bye{{5, 6}}).ssrcs, (std::vector<std::uint32_t>{5, 6}));
  const auto pli = round_trip(PictureLoss{1, 2});
  EXPECT_EQ(pli.sender_ssrc, 1u);
  EXPECT_EQ(pli.media_ssrc, 2u);
  const auto fir = round_trip(FullIntraRequest{1, 2, 200});
  EXPECT_EQ(fir.sender_ssrc, 1u);
  EXPECT_EQ(fir.media_ssrc, 2u);
  EXPECT_EQ(fir.command_seq, 200);
  for (const std::uint64_t bps : {0ull, 150'000ull, 262'143ull, 262'144ull, 20'000'000ull, 1'000'000'000'000ull}) {
    const auto remb = round_trip(ReceiverBandwidth{1, bps, {2, 3}});
    EXPECT_EQ(remb.sender_ssrc, 1u);
    EXPECT_EQ(remb.ssrcs, (std::vector<std::uint32_t>{2, 3}));
    EXPECT_LE(remb.bits_per_second, bps);
    EXPECT_GE(static_cast<double>(remb.bits_per_second), static_cast<double>(bps) * 0.9999);
  }
}

TEST(Rtcp, application_layer_feedback_is_remb_where_it_says_so_and_its_length_is_checked) {
  EXPECT_TRUE(parse_rtcp(bytes({0x8f, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 'L', 'N', 'T', 'F'})).empty()) << "another application's";
  EXPECT_TRUE(parse_rtcp(bytes({0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 'R', 'E', 'M', 'B', 1, 0, 0, 9})).empty()) << "an ssrc is missing";
  EXPECT_TRUE(parse_rtcp(bytes({0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 'R', 'E', 'M', 'B', 0, 0xff, 0xff, 0xff})).empty()) << "beyond 64 bits";
  EXPECT_EQ(parse_rtcp(bytes({0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 'R', 'E', 'M', 'B', 0, 0, 0, 9})).size(), 1u);
}

TEST(Rtcp, nack_bitmasks_hold_sixteen_after_the_first) {
  struct Row {
    std::vector<WireSeq> lost;
    std::size_t size;
  };
  for (const Row& row : {Row{{5}, 16}, Row{{5, 6, 21}, 16}, Row{{5, 22}, 20}, Row{{65'535, 0, 15}, 16},
                         Row{{65'535, 16}, 20}, Row{{9, 3}, 20}}) {
    const Nack nack{1, 2, row.lost};
    EXPECT_EQ(written(nack).size(), row.size);
    EXPECT_EQ(round_trip(nack).lost, row.lost);
  }
  const auto all = parse_rtcp(bytes({0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xfe, 0xff, 0xff}));
  ASSERT_EQ(all.size(), 1u);
  const auto& lost = std::get<Nack>(all[0]).lost;
  ASSERT_EQ(lost.size(), 17u);
  EXPECT_EQ(lost.front(), 0xfffe);
  EXPECT_EQ(lost.back(), 14);
  EXPECT_TRUE(written(Nack{1, 2, {}}).empty());
  EXPECT_TRUE(parse_rtcp(bytes({0x81, 205, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2})).empty()) << "no entry";
}

TEST(Rtcp, transport_feedback_comes_back_as_it_was) {
  for (std::string_view text :
       {"0", "0123456789abc", "0.", ".0", "0.0.0.0.0.0.0.0.0.0.0.", "0LLLLLLLLLL", "0LM.LM.LM.LM",
        "LLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLLL", "0000000000000000000000000000000000000000L", "......................0",
        "0......................", "zzzzzzL.0.0.0.0"}) {
    for (std::int64_t start :
         {std::int64_t{0}, std::int64_t{255}, std::int64_t{256}, std::int64_t{1'000'001}, std::int64_t{-700}}) {
      const auto packet = feedback(65'534, start, text);
      expect_same(round_trip(packet), packet, text);
    }
  }
}

TEST(Rtcp, transport_feedback_of_many_lost_packets_is_short) {
  const auto packet = feedback(1, 5, std::string(1, '0') + std::string(8'000, '.') + "1");
  EXPECT_LE(written(packet).size(), 40u);
  expect_same(round_trip(packet), packet, "long gap");
}

TEST(Rtcp, random_transport_feedback_comes_back_as_it_was) {
  SeededRandom random(77);
  for (int round = 0; round < 2'000; ++round) {
    std::string text;
    const std::string_view symbols = "00011.LM";
    while (text.size() < 1 + random.below(120))
      text.append(1 + random.below(20) * random.below(2), symbols[random.below(8)]);
    const auto packet =
        feedback(static_cast<std::uint16_t>(random.u32()), static_cast<std::int64_t>(random.below(1'000'000)), text);
    expect_same(round_trip(packet), packet, "seed 77: " + text);
    if (HasFailure()) return;
  }
}

TEST(Rtcp, a_time_the_format_cannot_say_is_not_received) {
  auto packet = feedback(1, 0, "00");
  packet.arrivals[1].time_250us = 1'000'000;
  const auto back = round_trip(packet);
  EXPECT_EQ(back.arrivals[0].time_250us, 0);
  EXPECT_FALSE(back.arrivals[1].time_250us);
}

TEST(Rtcp, lying_transport_feedback_is_refused) {
  struct Row {
    const char* what;
    Bytes packet;
  };
  const std::vector<Row> rows{
      {"more statuses than chunks",
       bytes({0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0, 99, 0, 0, 0, 0, 0x20, 1, 0, 0})},
      {"more received than deltas",
       bytes({0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0, 9, 0, 0, 0, 0, 0x20, 9, 0, 0})},
      {"large deltas cut short",
       bytes({0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0, 2, 0, 0, 0, 0, 0x40, 2, 0, 0})},
      {"a reserved run", bytes({0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0, 1, 0, 0, 0, 0, 0x60, 1, 0, 0})},
      {"a reserved symbol", bytes({0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0, 1, 0, 0, 0, 0, 0xf0, 0, 0, 0})},
      {"no status", bytes({0x8f, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0})},
      {"empty runs", bytes({0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})},
      {"65535 lost packets in 8 chunks",
       bytes({0x8f, 205,  0,    8,    0,    0,    0,    1,    0,    0,    0,    2,    0,    1,    0xff, 0xff, 0,   0, 0,
              0,    0x1f, 0xff, 0x1f, 0xff, 0x1f, 0xff, 0x1f, 0xff, 0x1f, 0xff, 0x1f, 0xff, 0x1f, 0xff, 0x1f, 0xff})},
  };
  for (const Row& row : rows) EXPECT_TRUE(parse_rtcp(row.packet).empty()) << row.what;
  // The same shape with honest numbers is read, so that the rows above fail for the reason they name.
  EXPECT_EQ(parse_rtcp(bytes({0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0, 2, 0, 0, 0, 0, 0x20, 2, 0, 0})).size(),
            1u);
}

TEST(Rtcp, a_compound_is_read_in_order_and_unknown_packets_are_skipped) {
  Bytes compound = everything();
  const Bytes unknown = bytes({0x80, 204, 0, 1, 0, 0, 0, 1, 0x8a, 205, 0, 1, 0, 0, 0, 1, 0x8f, 206, 0, 1, 0, 0, 0, 1});
  compound.insert(compound.begin(), unknown.begin(), unknown.end());
  const auto parsed = parse_rtcp(compound);
  ASSERT_EQ(parsed.size(), 8u);
  EXPECT_TRUE(std::holds_alternative<SenderReport>(parsed[0]));
  EXPECT_TRUE(std::holds_alternative<SourceDescription>(parsed[1]));
  EXPECT_TRUE(std::holds_alternative<ReceiverReport>(parsed[2]));
  EXPECT_EQ(std::get<Nack>(parsed[3]).lost, (std::vector<WireSeq>{10, 11, 27, 40}));
  EXPECT_TRUE(std::holds_alternative<PictureLoss>(parsed[4]));
  EXPECT_TRUE(std::holds_alternative<FullIntraRequest>(parsed[5]));
  EXPECT_TRUE(std::holds_alternative<TransportFeedback>(parsed[6]));
  EXPECT_TRUE(std::holds_alternative<Bye>(parsed[7]));
}

TEST(Rtcp, what_came_before_a_malformed_packet_is_kept) {
  Bytes compound = written(PictureLoss{1, 2});
  const Bytes bad = bytes({0x81, 206, 0, 9, 0, 0, 0, 1});
  compound.insert(compound.end(), bad.begin(), bad.end());
  EXPECT_EQ(parse_rtcp(compound).size(), 1u);
}

TEST(Rtcp, lying_counts_and_padding_are_refused) {
  EXPECT_TRUE(parse_rtcp(bytes({0x81, 201, 0, 1, 0, 0, 0, 1})).empty()) << "a block that is not there";
  EXPECT_TRUE(parse_rtcp(bytes({0x9f, 203, 0, 1, 0, 0, 0, 1})).empty()) << "31 sources in a word";
  EXPECT_TRUE(parse_rtcp(bytes({0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0})).empty()) << "padding of 0";
  EXPECT_TRUE(parse_rtcp(bytes({0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 9})).empty()) << "padding past the start";
  EXPECT_TRUE(parse_rtcp(bytes({0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 8})).empty()) << "padding over the SSRC";
  EXPECT_EQ(parse_rtcp(bytes({0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4})).size(), 1u);
  EXPECT_TRUE(parse_rtcp(bytes({0x81, 202, 0, 2, 0, 0, 0, 1, 1, 200, 'a', 0})).empty()) << "a CNAME of 200 bytes in 1";
  EXPECT_TRUE(parse_rtcp(bytes({0x40, 201, 0, 1, 0, 0, 0, 1})).empty()) << "version 1";
}

TEST(Rtcp, every_truncation_and_every_bit_flip_is_survived) {
  const Bytes whole = everything();
  std::size_t before = 0;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const std::size_t count =
        parse_rtcp(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))).size();
    EXPECT_GE(count, before);
    EXPECT_LE(count, 8u);
    before = count;
  }
  EXPECT_EQ(before, 8u);
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    Bytes flipped = whole;
    flipped[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    EXPECT_LE(parse_rtcp(flipped).size(), 16u) << bit;
  }
}

TEST(Rtcp, a_report_is_carried_on_to_a_later_instant_on_both_of_its_clocks) {
  const ReportedInstant now = advanced({{0x0000'0001'c000'0000}, 0xffff'ff00}, 1500ms, 48'000);
  EXPECT_EQ(now.ntp.value, 0x0000'0003'4000'0000u);
  EXPECT_EQ(now.rtp, 0xffff'ff00u + 72'000u);
}

TEST(Rtcp, random_packets_are_survived) {
  SeededRandom random(4);
  for (int round = 0; round < 20'000; ++round) {
    Bytes data(4 + 4 * random.below(20));
    random.fill(data);
    data[0] = (data[0] & std::byte{0x1f}) | std::byte{0x80};
    data[1] = static_cast<std::byte>(200 + random.below(7));
    data[2] = std::byte{0};
    data[3] = static_cast<std::byte>(data.size() / 4 - 1);
    for (const auto& packet : parse_rtcp(data)) {
      if (const auto* f = std::get_if<TransportFeedback>(&packet)) {
        ASSERT_LE(f->arrivals.size(), 8'192u) << "seed 4, round " << round;
      }
    }
  }
}

}  // namespace amphi::rtp
