#include <algorithm>
#include <limits>

#include "rtp/rtcp.h"
#include "rtp/rtcp_wire.h"

namespace amphi::rtp {
namespace {

using namespace wire;

constexpr std::size_t kHeaderBytes = 4;
constexpr std::size_t kBlockBytes = 24;

/// Appends header and room for `body_bytes`, a multiple of 4, and gives a writer of that room.
ByteWriter begin(Bytes& out, PacketType type, std::size_t count_or_format, std::size_t body_bytes) {
  const std::size_t start = out.size();
  out.resize(start + kHeaderBytes + body_bytes);
  ByteWriter to(MutableBytes(out).subspan(start));
  to.u8(0x80 | count_or_format);
  to.u8(type);
  to.u16(body_bytes / 4);
  return to;
}

void write_blocks(ByteWriter& to, const std::vector<ReportBlock>& blocks, std::size_t from, std::size_t count) {
  for (std::size_t i = from; i < from + count; ++i) {
    const ReportBlock& block = blocks[i];
    to.u32(block.ssrc);
    to.u8(block.fraction_lost);
    to.u24(static_cast<std::uint32_t>(std::clamp(block.cumulative_lost, -0x800000, 0x7fffff)));
    to.u32(block.highest_seq);
    to.u32(block.jitter);
    to.u32(block.last_sr);
    to.u32(block.delay_since_last_sr);
  }
}

/// Receiver reports for the blocks from `from` on: as many as their five-bit counts need.
void append_receiver_reports(Bytes& out, std::uint32_t ssrc, const std::vector<ReportBlock>& blocks, std::size_t from) {
  do {
    const std::size_t count = std::min(blocks.size() - from, kMaxCount);
    ByteWriter to = begin(out, kReceiverReport, count, 4 + count * kBlockBytes);
    to.u32(ssrc);
    write_blocks(to, blocks, from, count);
    from += count;
  } while (from < blocks.size());
}

void append(Bytes& out, const SenderReport& report) {
  const std::size_t count = std::min(report.blocks.size(), kMaxCount);
  ByteWriter to = begin(out, kSenderReport, count, 24 + count * kBlockBytes);
  to.u32(report.ssrc);
  to.u64(report.ntp.value);
  to.u32(report.rtp_timestamp);
  to.u32(report.packet_count);
  to.u32(report.octet_count);
  write_blocks(to, report.blocks, 0, count);
  if (count < report.blocks.size()) append_receiver_reports(out, report.ssrc, report.blocks, count);
}

void append(Bytes& out, const ReceiverReport& report) {
  append_receiver_reports(out, report.ssrc, report.blocks, 0);
}

void append(Bytes& out, const SourceDescription& source) {
  const std::string_view cname = std::string_view(source.cname).substr(0, 255);
  const std::size_t used = 4 + 2 + cname.size();
  const std::size_t body = used / 4 * 4 + 4;  // at least one zero ends the items
  ByteWriter to = begin(out, kSourceDescription, 1, body);
  to.u32(source.ssrc);
  to.u8(kCnameItem);
  to.u8(cname.size());
  to.bytes(as_bytes(cname));
  to.zeros(body - used);
}

void append(Bytes& out, const Bye& bye) {
  std::size_t from = 0;
  do {
    const std::size_t count = std::min(bye.ssrcs.size() - from, kMaxCount);
    ByteWriter to = begin(out, kBye, count, 4 * count);
    for (std::size_t i = 0; i < count; ++i) to.u32(bye.ssrcs[from + i]);
    from += count;
  } while (from < bye.ssrcs.size());
}

void append(Bytes& out, const Nack& nack) {
  std::vector<std::uint32_t> entries;
  for (std::size_t i = 0; i < nack.lost.size();) {
    const WireSeq first = nack.lost[i++];
    std::uint32_t following = 0;
    for (; i < nack.lost.size(); ++i) {
      const auto ahead = static_cast<WireSeq>(nack.lost[i] - first);
      if (ahead == 0) continue;
      if (ahead > 16) break;
      following |= 1u << (ahead - 1);
    }
    entries.push_back(std::uint32_t{first} << 16 | following);
  }
  if (entries.empty()) return;
  ByteWriter to = begin(out, kTransportLayerFeedback, kNack, 8 + 4 * entries.size());
  to.u32(nack.sender_ssrc);
  to.u32(nack.media_ssrc);
  for (std::uint32_t entry : entries) to.u32(entry);
}

void append(Bytes& out, const PictureLoss& loss) {
  ByteWriter to = begin(out, kPayloadFeedback, kPictureLoss, 8);
  to.u32(loss.sender_ssrc);
  to.u32(loss.media_ssrc);
}

void append(Bytes& out, const FullIntraRequest& request) {
  ByteWriter to = begin(out, kPayloadFeedback, kFullIntraRequest, 16);
  to.u32(request.sender_ssrc);
  to.u32(0);
  to.u32(request.media_ssrc);
  to.u8(request.command_seq);
  to.u24(0);
}

void append(Bytes& out, const ReceiverBandwidth& bandwidth) {
  const std::size_t count = std::min<std::size_t>(bandwidth.ssrcs.size(), 255);
  ByteWriter to = begin(out, kPayloadFeedback, kApplicationLayer, 16 + 4 * count);
  to.u32(bandwidth.sender_ssrc);
  to.u32(0);
  to.u32(kRembIdentifier);
  std::uint64_t mantissa = bandwidth.bits_per_second;
  std::uint32_t exponent = 0;
  for (; mantissa > 0x3ffff; mantissa >>= 1) ++exponent;
  to.u8(count);
  to.u24(exponent << 18 | static_cast<std::uint32_t>(mantissa));
  for (std::size_t i = 0; i < count; ++i) to.u32(bandwidth.ssrcs[i]);
}

/// Run-length chunks where they are shorter, else vectors of one or two bits.
std::vector<std::uint16_t> make_chunks(const std::vector<std::uint8_t>& symbols) {
  std::vector<std::uint16_t> chunks;
  for (std::size_t at = 0; at < symbols.size();) {
    const std::size_t left = symbols.size() - at;
    const auto begin_at = symbols.begin() + static_cast<std::ptrdiff_t>(at);
    const auto same = [&](std::uint8_t s) { return s == *begin_at; };
    const auto run = static_cast<std::size_t>(std::find_if_not(begin_at, symbols.end(), same) - begin_at);
    const std::size_t one_bit = std::min(left, kOneBitSymbols);
    const bool fits_one_bit = std::find(begin_at, begin_at + static_cast<std::ptrdiff_t>(one_bit), kLargeDelta) ==
                              begin_at + static_cast<std::ptrdiff_t>(one_bit);

    if (run >= one_bit || (run >= kTwoBitSymbols && !fits_one_bit)) {
      const std::size_t count = std::min(run, kRunSymbols);
      chunks.push_back(static_cast<std::uint16_t>(static_cast<unsigned>(*begin_at) << 13 | count));
      at += count;
      continue;
    }
    const std::size_t count = fits_one_bit ? one_bit : std::min(left, kTwoBitSymbols);
    const unsigned width = fits_one_bit ? 1 : 2;
    unsigned chunk = fits_one_bit ? 0x8000 : 0xc000;
    for (std::size_t i = 0; i < count; ++i) chunk |= static_cast<unsigned>(symbols[at + i]) << (14 - width * (i + 1));
    chunks.push_back(static_cast<std::uint16_t>(chunk));
    at += count;
  }
  return chunks;
}

void append(Bytes& out, const TransportFeedback& feedback) {
  if (feedback.arrivals.empty()) return;
  const std::size_t count = std::min<std::size_t>(feedback.arrivals.size(), 0xffff);
  std::vector<std::uint8_t> symbols(count, kNotReceived);
  std::vector<std::int64_t> deltas;
  std::int64_t reference = 0;
  std::int64_t time = 0;
  std::size_t delta_bytes = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& arrival = feedback.arrivals[i].time_250us;
    if (!arrival) continue;
    if (deltas.empty()) {
      reference = (*arrival - (*arrival & (kReferenceUnits - 1))) / kReferenceUnits;
      time = reference * kReferenceUnits;
    }
    const std::int64_t delta = *arrival - time;
    using Large = std::numeric_limits<std::int16_t>;
    if (delta < Large::min() || delta > Large::max()) continue;  // the format cannot say it: not received
    time = *arrival;
    deltas.push_back(delta);
    symbols[i] = delta >= 0 && delta <= 255 ? kSmallDelta : kLargeDelta;
    delta_bytes += symbols[i];
  }
  const std::vector<std::uint16_t> chunks = make_chunks(symbols);

  const std::size_t used = 16 + 2 * chunks.size() + delta_bytes;
  const std::size_t padding = (4 - used % 4) % 4;
  const std::size_t start = out.size();
  ByteWriter to = begin(out, kTransportLayerFeedback, kTransportFeedback, used + padding);
  to.u32(feedback.sender_ssrc);
  to.u32(feedback.media_ssrc);
  to.u16(feedback.arrivals.front().seq);
  to.u16(count);
  to.u24(static_cast<std::uint64_t>(reference));
  to.u8(feedback.feedback_count);
  for (std::uint16_t chunk : chunks) to.u16(chunk);
  for (std::int64_t delta : deltas) {
    if (delta >= 0 && delta <= 255) {
      to.u8(static_cast<std::uint64_t>(delta));
    } else {
      to.u16(static_cast<std::uint64_t>(delta));
    }
  }
  if (padding == 0) return;
  to.zeros(padding - 1);
  to.u8(padding);
  out[start] |= std::byte{0x20};
}

}  // namespace

void append_rtcp(Bytes& out, const RtcpPacket& packet) {
  std::visit([&out](const auto& value) { append(out, value); }, packet);
}

}  // namespace amphi::rtp
