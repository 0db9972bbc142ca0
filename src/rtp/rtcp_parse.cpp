#include <algorithm>

#include "rtp/rtcp.h"
#include "rtp/rtcp_wire.h"

namespace amphi::rtp {
namespace {

using namespace wire;

// A run-length chunk lets 2 bytes claim 8191 packets. All transport feedback of one datagram shares this bound, which
// is far beyond the packets of one feedback interval.
constexpr std::size_t kMaxStatuses = 8192;

/// Where parsed packets go.
class Packets {
 public:
  explicit Packets(const std::function<void(const RtcpPacket&)>& visit) : visit_(visit) {}
  void emplace_back(const RtcpPacket& packet) { visit_(packet); }
  /// False: the datagram names more statuses than one may.
  bool take_statuses(std::size_t count) {
    if (count > statuses_left_) return false;
    statuses_left_ -= count;
    return true;
  }

 private:
  const std::function<void(const RtcpPacket&)>& visit_;
  std::size_t statuses_left_ = kMaxStatuses;
};

std::vector<ReportBlock> parse_blocks(ByteReader& in, std::size_t count) {
  std::vector<ReportBlock> blocks;
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    ReportBlock block;
    block.ssrc = in.u32();
    block.fraction_lost = in.u8();
    const std::uint32_t lost = in.u24();
    block.cumulative_lost = static_cast<std::int32_t>(lost << 8) >> 8;
    block.highest_seq = in.u32();
    block.jitter = in.u32();
    block.last_sr = in.u32();
    block.delay_since_last_sr = in.u32();
    blocks.push_back(block);
  }
  return blocks;
}

bool parse_sender_report(ByteReader in, std::size_t count, Packets& out) {
  SenderReport report;
  report.ssrc = in.u32();
  report.ntp.value = in.u64();
  report.rtp_timestamp = in.u32();
  report.packet_count = in.u32();
  report.octet_count = in.u32();
  report.blocks = parse_blocks(in, count);
  if (!in.ok()) return false;
  out.emplace_back(std::move(report));
  return true;
}

bool parse_receiver_report(ByteReader in, std::size_t count, Packets& out) {
  ReceiverReport report;
  report.ssrc = in.u32();
  report.blocks = parse_blocks(in, count);
  if (!in.ok()) return false;
  out.emplace_back(std::move(report));
  return true;
}

/// One SourceDescription for each chunk that has a CNAME.
bool parse_source_description(ByteReader in, std::size_t count, Packets& out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t start = in.position();
    SourceDescription chunk;
    chunk.ssrc = in.u32();
    bool has_cname = false;
    for (std::uint8_t item = in.u8(); in.ok() && item != 0; item = in.u8()) {
      const ByteView value = in.bytes(in.u8());
      if (item != kCnameItem) continue;
      has_cname = true;
      chunk.cname = as_text(value);
    }
    in.skip((4 - (in.position() - start) % 4) % 4);
    if (!in.ok()) return false;
    if (has_cname) out.emplace_back(std::move(chunk));
  }
  return true;
}

bool parse_bye(ByteReader in, std::size_t count, Packets& out) {
  Bye bye;
  for (std::size_t i = 0; i < count; ++i) bye.ssrcs.push_back(in.u32());
  if (!in.ok()) return false;
  out.emplace_back(std::move(bye));
  return true;
}

bool parse_nack(ByteReader in, Packets& out) {
  RtcpPacket packet(std::in_place_type<Nack>);
  Nack& nack = std::get<Nack>(packet);
  nack.sender_ssrc = in.u32();
  nack.media_ssrc = in.u32();
  do {
    const WireSeq first = in.u16();
    const std::uint16_t following = in.u16();
    nack.lost.push_back(first);
    for (unsigned bit = 0; bit < 16; ++bit) {
      if (following >> bit & 1) nack.lost.push_back(static_cast<WireSeq>(first + bit + 1));
    }
  } while (in.remaining() > 0);
  if (!in.ok()) return false;
  out.emplace_back(packet);
  return true;
}

bool parse_picture_loss(ByteReader in, Packets& out) {
  PictureLoss loss;
  loss.sender_ssrc = in.u32();
  loss.media_ssrc = in.u32();
  if (!in.ok()) return false;
  out.emplace_back(loss);
  return true;
}

/// One FullIntraRequest for each entry: there the target is, and not in the header (RFC 5104 4.3.1.2).
bool parse_full_intra_request(ByteReader in, Packets& out) {
  FullIntraRequest request;
  request.sender_ssrc = in.u32();
  in.skip(4);
  do {
    request.media_ssrc = in.u32();
    request.command_seq = in.u8();
    in.skip(3);
    if (!in.ok()) return false;
    out.emplace_back(request);
  } while (in.remaining() > 0);
  return true;
}

bool parse_application_layer(ByteReader in, Packets& out) {
  ReceiverBandwidth bandwidth;
  bandwidth.sender_ssrc = in.u32();
  in.skip(4);
  if (in.u32() != kRembIdentifier || !in.ok()) return true;  // another application's
  const std::size_t count = in.u8();
  const std::uint32_t rate = in.u24();
  const std::uint32_t exponent = rate >> 18;
  const std::uint64_t mantissa = rate & 0x3ffff;
  if (exponent > 45) return true;  // more than 64 bits can tell
  bandwidth.bits_per_second = mantissa << exponent;
  for (std::size_t i = 0; i < count; ++i) bandwidth.ssrcs.push_back(in.u32());
  if (!in.ok()) return false;
  out.emplace_back(std::move(bandwidth));
  return true;
}

/// Appends the symbols of one chunk, but never more than `count` in all. False: a reserved symbol.
bool append_symbols(std::uint16_t chunk, std::size_t count, std::vector<std::uint8_t>& symbols) {
  const std::size_t left = count - symbols.size();
  if (!(chunk & 0x8000)) {
    const auto symbol = static_cast<std::uint8_t>(chunk >> 13 & 3);
    if (symbol > kLargeDelta) return false;
    symbols.insert(symbols.end(), std::min<std::size_t>(left, chunk & 0x1fff), symbol);
    return true;
  }
  const bool two_bit = chunk & 0x4000;
  const unsigned width = two_bit ? 2 : 1;
  const std::size_t held = two_bit ? kTwoBitSymbols : kOneBitSymbols;
  for (std::size_t i = 0; i < std::min(left, held); ++i) {
    const auto symbol = static_cast<std::uint8_t>(chunk >> (14 - width * (i + 1)) & (two_bit ? 3u : 1u));
    if (symbol > kLargeDelta) return false;
    symbols.push_back(symbol);
  }
  return true;
}

bool parse_transport_feedback(ByteReader in, Packets& out) {
  TransportFeedback feedback;
  feedback.sender_ssrc = in.u32();
  feedback.media_ssrc = in.u32();
  std::uint16_t seq = in.u16();
  const std::size_t count = in.u16();
  const std::int32_t reference = static_cast<std::int32_t>(in.u24() << 8) >> 8;
  feedback.feedback_count = in.u8();
  if (!in.ok() || count == 0 || !out.take_statuses(count)) return false;

  std::vector<std::uint8_t> symbols;
  while (symbols.size() < count) {
    const std::uint16_t chunk = in.u16();
    if (!in.ok() || !append_symbols(chunk, count, symbols)) return false;
  }
  feedback.arrivals.reserve(count);
  std::int64_t time = reference * kReferenceUnits;
  for (std::uint8_t symbol : symbols) {
    TransportFeedback::Arrival arrival{seq++, std::nullopt};
    if (symbol != kNotReceived) {
      time += symbol == kSmallDelta ? in.u8() : static_cast<std::int16_t>(in.u16());
      arrival.time_250us = time;
    }
    feedback.arrivals.push_back(arrival);
  }
  if (!in.ok()) return false;
  out.emplace_back(std::move(feedback));
  return true;
}

/// False: malformed. What is well-formed but unknown is skipped.
bool parse_one(std::uint8_t type, std::uint8_t count_or_format, ByteView body, Packets& out) {
  const ByteReader in(body);
  switch (type) {
    case kSenderReport:
      return parse_sender_report(in, count_or_format, out);
    case kReceiverReport:
      return parse_receiver_report(in, count_or_format, out);
    case kSourceDescription:
      return parse_source_description(in, count_or_format, out);
    case kBye:
      return parse_bye(in, count_or_format, out);
    case kTransportLayerFeedback:
      if (count_or_format == kNack) return parse_nack(in, out);
      if (count_or_format == kTransportFeedback) return parse_transport_feedback(in, out);
      return true;
    case kPayloadFeedback:
      if (count_or_format == kPictureLoss) return parse_picture_loss(in, out);
      if (count_or_format == kFullIntraRequest) return parse_full_intra_request(in, out);
      if (count_or_format == kApplicationLayer) return parse_application_layer(in, out);
      return true;
    default:
      return true;
  }
}

}  // namespace

void visit_rtcp(ByteView data, const std::function<void(const RtcpPacket&)>& visit) {
  Packets packets(visit);
  ByteReader in(data);
  while (in.remaining() > 0) {
    const std::uint8_t first = in.u8();
    const std::uint8_t type = in.u8();
    const std::size_t length = std::size_t{in.u16()} * 4;
    ByteView body = in.bytes(length);
    if (!in.ok() || first >> 6 != 2) break;
    if (first & 0x20) {
      const std::size_t padding = body.empty() ? 0 : static_cast<std::size_t>(body.back());
      if (padding == 0 || padding > body.size()) break;
      body = body.first(body.size() - padding);
    }
    if (!parse_one(type, first & 0x1f, body, packets)) break;
  }
}

std::vector<RtcpPacket> parse_rtcp(ByteView data) {
  std::vector<RtcpPacket> packets;
  visit_rtcp(data, [&](const RtcpPacket& packet) { packets.push_back(packet); });
  return packets;
}

}  // namespace amphi::rtp
