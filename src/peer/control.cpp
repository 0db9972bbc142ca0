// RTCP through a peer: what comes in is turned into events and statistics; reports, NACKs, PLIs and transport feedback go
// out when they are due (RFC 3550 6, RFC 4585, RFC 5506 reduced size for feedback).
#include <algorithm>

#include "peer/peer_impl.h"

namespace amphi::peer {
namespace {

// How long a packet that was sent again is not sent once more: a round trip, within these bounds. A receiver cannot shorten it by a lie
// past the lower one.
constexpr Duration kLeastResendInterval = 20ms, kMostResendInterval = 500ms, kUnknownResendInterval = 100ms;
constexpr Duration kReportPause = 100ms;  // between two sender reports of a line; each is sent on to every subscriber

std::size_t items_of(const rtp::Nack& nack) { return 1 + nack.lost.size() + nack.lost.beyond(); }
std::size_t items_of(const rtp::TransportFeedback& feedback) { return 1 + feedback.arrivals.size(); }
std::size_t items_of(const rtp::SenderReport& report) { return 1 + report.blocks.size(); }
std::size_t items_of(const rtp::ReceiverReport& report) { return 1 + report.blocks.size(); }
template <class Packet>
std::size_t items_of(const Packet&) {
  return 1;
}

}  // namespace

void Peer::Impl::receive_rtcp(MutableBytes data, Time now) {
  if (rtcp_work.overdrawn(now)) return drops.add(Drop::rtcp_over_budget);
  std::size_t size = data.size();
  switch (srtp->unprotect_rtcp(data, size)) {
    case srtp::Verdict::ok: break;
    case srtp::Verdict::authentication_failed: return drops.add(Drop::srtp_authentication);
    case srtp::Verdict::replayed: return drops.add(Drop::srtp_replayed);
    default: return drops.add(Drop::srtp_malformed);
  }
  std::size_t items = 0;
  const auto take_one = [&](const auto& packet) {
    items += items_of(packet);
    take(packet, now);
  };
  rtp::visit_rtcp(data.first(size), [&take_one](const rtp::RtcpPacket& packet) { std::visit(take_one, packet); });
  if (items == 0) drops.add(Drop::rtcp_malformed);
  rtcp_work.charge(static_cast<double>(items));
}

void Peer::Impl::take(const rtp::SenderReport& report, Time now) {
  for (const Source& source : sources) {
    if (source.ssrc != report.ssrc || source.rtx || !lines[source.line].receive) continue;
    ReceiveStream& stream = *lines[source.line].receive;
    if (stream.ssrc() && stream.ssrc() != report.ssrc) {
      stream.keep_report(report, now);
      continue;
    }
    if (!stream.takes_report(now, kReportPause)) {
      drops.add(Drop::report_too_soon);
      continue;
    }
    stream.statistics.on_sender_report(report.ntp, now);
    take_report(source.line, report.ntp, report.rtp_timestamp);
  }
  take_blocks(report.blocks, now);
}

void Peer::Impl::take_report(Line index, rtp::NtpTime ntp, rtp::WireTimestamp timestamp) {
  using Verdict = rtp::ReportCheck::Verdict;
  const NegotiatedLine& line = lines[index].negotiated;
  ReceiveStream& stream = *lines[index].receive;
  const rtp::WireTimestamp moved = stream.moved(timestamp);
  const Verdict verdict = stream.reports.check({ntp, moved}, line.format ? line.format->codec.clock_rate : 90'000);
  if (verdict == Verdict::no_clock) return drops.add(Drop::report_without_clock);
  emit(SenderReported{index, ntp, moved, verdict == Verdict::inconsistent});
}

void Peer::Impl::take(const rtp::Bye& bye, Time) {
  for (const std::uint32_t ssrc : bye.ssrcs)
    for (const Source& source : sources)
      if (source.ssrc == ssrc && lines[source.line].receive) lines[source.line].receive->selector.end(ssrc);
}

void Peer::Impl::take(const rtp::ReceiverReport& report, Time now) { take_blocks(report.blocks, now); }

void Peer::Impl::take_blocks(const std::vector<rtp::ReportBlock>& blocks, Time now) {
  for (const auto& block : blocks)
    if (const auto line = sending_line(block.ssrc)) {
      const auto round_trip =
          lines[*line].send->on_report_block(block, lines[*line].negotiated.format->codec.clock_rate, now);
      if (round_trip) rtcp_round_trip = *round_trip;
    }
}

std::optional<Line> Peer::Impl::sending_line(std::uint32_t ssrc) const {
  for (std::size_t i = 0; i < lines.size(); ++i)
    if (lines[i].send && lines[i].send->ssrc() == ssrc) return i;
  return std::nullopt;
}

/// The round trip of our own checks comes first: unlike that of reports, the other end cannot claim a shorter one.
Duration Peer::Impl::resend_interval() const {
  const Duration measured = ice.round_trip() > 0ns ? ice.round_trip() : rtcp_round_trip;
  return measured > 0ns ? std::clamp(measured, kLeastResendInterval, kMostResendInterval) : kUnknownResendInterval;
}

void Peer::Impl::take(const rtp::Nack& nack, Time now) {
  const auto line = sending_line(nack.media_ssrc);
  if (!line || !lines[*line].send->highest()) return drops.add(Drop::nack_unknown, nack.lost.size());
  const rtp::Seq highest = *lines[*line].send->highest();
  const Duration round_trip = resend_interval();
  drops.add(Drop::nack_too_many, nack.lost.beyond());
  budget->begin_report();
  PacketsRequested requested{*line, {}};
  for (const rtp::WireSeq wire : nack.lost) {
    const rtp::Seq seq = rtp::extend(wire, highest);
    if (seq > highest || seq <= highest - RetransmissionBudget::kWindow) {  // never sent, or too long ago
      drops.add(Drop::nack_unknown);
      continue;
    }
    switch (budget->on_request(*line, seq, round_trip, now)) {
      case RetransmissionBudget::Verdict::duplicate: drops.add(Drop::duplicate_nack); continue;
      case RetransmissionBudget::Verdict::too_soon: drops.add(Drop::nack_too_soon); continue;
      case RetransmissionBudget::Verdict::wanted: break;
    }
    ++lines[*line].send->stats.nacked;
    if (requested.lost.add(seq)) continue;
    emit(requested);
    requested.lost = {};
    requested.lost.add(seq);
  }
  if (!requested.lost.empty()) emit(requested);
}

void Peer::Impl::take(const rtp::PictureLoss& loss, Time now) {
  const auto line = sending_line(loss.media_ssrc);
  if (!line) return;
  if (!lines[*line].send->takes_keyframe_request(now)) return drops.add(Drop::duplicate_keyframe_request);
  ++lines[*line].send->stats.keyframe_requests;
  emit(KeyframeRequested{*line});
}

void Peer::Impl::take(const rtp::FullIntraRequest& request, Time now) {
  take(rtp::PictureLoss{request.sender_ssrc, request.media_ssrc}, now);
}

void Peer::Impl::take(const rtp::TransportFeedback& transport_feedback, Time now) {
  estimator.on_feedback(transport_feedback, now);
  const std::uint64_t bps = estimator.bitrate_bps();
  const std::uint64_t change = bps > announced_bps ? bps - announced_bps : announced_bps - bps;
  if (change * 20 < announced_bps) return;  // less than 5 % is no news
  announced_bps = bps;
  emit(BandwidthEstimated{bps});
}

void Peer::Impl::take(const rtp::ReceiverBandwidth& bandwidth, Time) {
  if (extensions.transport_seq != 0) return;  // our own estimate is the better one
  announced_bps = bandwidth.bits_per_second;
  emit(BandwidthEstimated{announced_bps});
}

void Peer::Impl::send_rtcp(Bytes packet) {
  if (!srtp || !pair) return;
  std::size_t size = packet.size();
  packet.resize(size + srtp::kMaxTrailer);
  if (srtp->protect_rtcp(packet, size) != srtp::Verdict::ok) return drops.add(Drop::srtp_malformed);
  packet.resize(size);
  if (!may_send(size)) return;
  outputs.push(Transmit{pair->local, pair->remote, std::move(packet)});
}

void Peer::send_sender_report(Line line, rtp::NtpTime ntp, rtp::WireTimestamp rtp_timestamp, Time now) {
  Impl& p = *impl_;
  if (!p.connected || line >= p.lines.size() || !p.lines[line].send || !p.lines[line].negotiated.active) return;
  Bytes packet;
  rtp::append_rtcp(packet, p.lines[line].send->report(ntp, rtp_timestamp, now));
  rtp::append_rtcp(packet, rtp::SourceDescription{p.lines[line].send->ssrc(), p.config.cname});
  p.send_rtcp(std::move(packet));
}

Time Peer::Impl::feedback_deadline() const {
  if (!connected) return Time::max();
  Time deadline = std::min(next_report, feedback.next_timeout());
  for (const auto& line : lines)
    if (line.receive && line.negotiated.active && line.receive->ssrc())
      deadline = std::min({deadline, line.receive->nacks.next_timeout(), line.receive->keyframe_deadline(), line.receive->selector.next_timeout(),
                           line.receive->dropped_deadline()});
  return deadline;
}

void Peer::Impl::send_receiver_limit() {
  rtp::ReceiverBandwidth bandwidth{own_ssrc, 0, {}};
  std::uint64_t packets = 0;
  std::int64_t lost = 0;
  for (const auto& line : lines) {
    if (!line.receive || !line.receive->ssrc() || !line.negotiated.active || !line.negotiated.format) continue;
    if (line.negotiated.format->transport_cc) return;  // the sender estimates for the whole transport
    if (!line.negotiated.format->remb || bandwidth.ssrcs.size() == 255) continue;
    bandwidth.ssrcs.push_back(*line.receive->ssrc());
    packets += line.receive->statistics.received();
    lost += line.receive->statistics.lost();
  }
  if (bandwidth.ssrcs.empty()) return;
  // Counts fall when a line begins anew with another source: that interval tells nothing.
  const std::uint64_t received_now = packets >= limited_packets ? packets - limited_packets : 0;
  const auto lost_now = static_cast<std::uint64_t>(std::max<std::int64_t>(lost - limited_lost, 0));
  limited_packets = packets;
  limited_lost = lost;
  bandwidth.bits_per_second = receiver_limit.update(received_now == 0 ? 0 : received_now + lost_now, lost_now, kReportInterval);
  Bytes packet;
  rtp::append_rtcp(packet, bandwidth);
  send_rtcp(std::move(packet));
}

void Peer::Impl::send_due_feedback(Time now) {
  if (!connected) return;
  for (Line index = 0; index < lines.size(); ++index) {
    LineState& line = lines[index];
    if (!line.receive || !line.negotiated.active || !line.receive->ssrc()) continue;
    ReceiveStream& stream = *line.receive;
    if (const auto dropped = stream.take_dropped(now)) emit(PacketsDropped{index, dropped->not_selected, dropped->repeated});
    if (stream.nacks.next_timeout() <= now) {
      if (rtcp_round_trip > 0ns || ice.round_trip() > 0ns)
        stream.nacks.set_round_trip(rtcp_round_trip > 0ns ? rtcp_round_trip : ice.round_trip());
      for (auto lost = stream.nacks.poll(now); !lost.empty(); lost = stream.nacks.poll(now)) {
        stream.stats.nacked += lost.size();
        Bytes packet;
        rtp::append_rtcp(packet, rtp::Nack{own_ssrc, *stream.ssrc(), std::move(lost)});
        send_rtcp(std::move(packet));
      }
      if (line.negotiated.kind == rtp::Kind::video && stream.nacks.take_keyframe_needed()) stream.want_keyframe();
    }
    if (stream.take_keyframe_request(now)) {
      ++stream.stats.keyframe_requests;
      Bytes packet;
      rtp::append_rtcp(packet, rtp::PictureLoss{own_ssrc, *stream.ssrc()});
      send_rtcp(std::move(packet));
    }
  }
  while (auto report = feedback.poll(now)) {
    report->sender_ssrc = own_ssrc;
    for (const auto& line : lines)
      if (line.receive && line.receive->ssrc()) report->media_ssrc = *line.receive->ssrc();
    Bytes packet;
    rtp::append_rtcp(packet, *report);
    send_rtcp(std::move(packet));
  }
  if (next_report > now) return;
  next_report = now + kReportInterval;
  send_receiver_limit();
  rtp::ReceiverReport report{own_ssrc, {}};
  const auto flush = [&] {
    Bytes packet;
    rtp::append_rtcp(packet, report);
    rtp::append_rtcp(packet, rtp::SourceDescription{own_ssrc, config.cname});
    send_rtcp(std::move(packet));
    report.blocks.clear();
  };
  for (auto& line : lines) {
    if (!line.receive || !line.receive->ssrc() || line.receive->statistics.empty()) continue;
    report.blocks.push_back(line.receive->statistics.report(*line.receive->ssrc(), now));
    const std::uint32_t clock = line.negotiated.format ? line.negotiated.format->codec.clock_rate : 90'000;
    line.receive->stats.fraction_lost = report.blocks.back().fraction_lost / 256.0;
    line.receive->stats.jitter = Duration(static_cast<std::int64_t>(line.receive->statistics.jitter()) * 1'000'000'000 / clock);
    if (report.blocks.size() == 31) flush();  // RFC 3550 6.4.2: the count has five bits
  }
  if (!report.blocks.empty()) flush();
}

}  // namespace amphi::peer
