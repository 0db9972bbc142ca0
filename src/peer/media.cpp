// RTP through a peer: the hot path. Nothing here allocates once a source is known.
#include <algorithm>

#include "peer/peer_impl.h"

namespace amphi::peer {
namespace {

/// The format that a payload type stands for; nullptr: none that was negotiated. A payload type is a main stream's or RTX.
const Format* format_of(const NegotiatedLine& line, std::uint8_t payload_type, bool& rtx) {
  for (const Format& format : line.formats) {
    rtx = format.rtx_payload_type == payload_type;
    if (rtx || format.payload_type == payload_type) return &format;
  }
  return nullptr;
}

Drop drop_of(srtp::Verdict verdict) {
  switch (verdict) {
    case srtp::Verdict::authentication_failed: return Drop::srtp_authentication;
    case srtp::Verdict::replayed: return Drop::srtp_replayed;
    default: return Drop::srtp_malformed;
  }
}

}  // namespace

Source* Peer::Impl::find_source(const rtp::RtpPacket& packet) {
  const std::uint32_t ssrc = packet.header.ssrc;
  if (last_source < sources.size() && sources[last_source].ssrc == ssrc) return &sources[last_source];
  for (std::size_t i = 0; i < sources.size(); ++i)
    if (sources[i].ssrc == ssrc) {
      last_source = i;
      return &sources[i];
    }
  // RFC 8843 9.2: by mid; without one, by a payload type that only one line uses.
  std::optional<std::size_t> found;
  bool rtx = false;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const NegotiatedLine& line = lines[i].negotiated;
    bool is_rtx = false;
    if (!line.active || !format_of(line, packet.header.payload_type, is_rtx)) continue;
    if (packet.mid.empty() ? found.has_value() : packet.mid != line.mid) {
      if (packet.mid.empty()) return nullptr;  // ambiguous
      continue;
    }
    found = i;
    rtx = is_rtx;
  }
  if (!found) return nullptr;
  return &add_source({ssrc, *found, rtx});
}

Source& Peer::Impl::add_source(const Source& source) {
  if (sources.size() >= kMaxSources) sources.erase(sources.begin());  // the oldest; if it speaks again, it is learnt again
  last_source = sources.size();
  return sources.emplace_back(source);
}

void Peer::Impl::learn_source(std::optional<std::uint32_t> ssrc, Line line, bool rtx) {
  if (!ssrc) return;
  const auto known = std::find_if(sources.begin(), sources.end(), [&](const Source& source) { return source.ssrc == *ssrc; });
  if (known == sources.end()) add_source({*ssrc, line, rtx});
  else *known = {*ssrc, line, rtx};
}

void Peer::Impl::forget_sources(Line line) {
  std::erase_if(sources, [&](const Source& source) { return source.line == line; });
}

std::optional<ReceivedRtp> Peer::Impl::receive_rtp(MutableBytes data, Time now) {
  std::size_t size = data.size();
  if (const auto verdict = srtp->unprotect_rtp(data, size); verdict != srtp::Verdict::ok) {
    drops.add(drop_of(verdict));
    return std::nullopt;
  }
  const auto packet = rtp::parse_rtp(data.first(size), extensions);
  if (!packet) {
    drops.add(Drop::rtp_malformed);
    return std::nullopt;
  }
  if (packet->transport_seq) feedback.on_packet(*packet->transport_seq, now);
  receiver_limit.on_packet(data.size());
  const Source* source = find_source(*packet);
  if (!source || !lines[source->line].negotiated.active || !lines[source->line].receive) {
    drops.add(Drop::unknown_stream);
    return std::nullopt;
  }
  LineState& line = lines[source->line];
  bool rtx = false;
  const Format* const format = format_of(line.negotiated, packet->header.payload_type, rtx);
  if (!format) {
    drops.add(Drop::unknown_payload_type);
    return std::nullopt;
  }

  ReceivedRtp received;
  received.line = source->line;
  received.header = packet->header;
  received.payload = packet->payload;
  received.codec = format->codec.name;
  received.audio_level = packet->audio_level;
  if (source->rtx || rtx) {
    if (packet->payload.empty()) return std::nullopt;  // a probe: padding only
    if (packet->payload.size() < 2 || !rtx || !line.receive->ssrc()) {
      drops.add(Drop::rtx_malformed);
      return std::nullopt;
    }
    ByteReader reader(packet->payload);  // RFC 4588 4: the original number, then the original payload
    received.header.seq = reader.u16();
    received.payload = reader.rest();
    received.header.ssrc = *line.receive->ssrc();
    received.header.payload_type = format->payload_type;
    received.recovered = true;
  } else if (line.receive->retired(packet->header.ssrc)) {
    drops.add(Drop::unknown_stream);
    return std::nullopt;
  }
  const auto seq = line.receive->on_packet(received.header, received.recovered, format->nack && format->rtx_payload_type.has_value(),
                                         format->codec.clock_rate, received.payload.size(), now);
  if (!seq) {
    drops.add(Drop::repeated);
    return std::nullopt;
  }
  received.seq = *seq;
  if (line.negotiated.kind == rtp::Kind::video && line.receive->nacks.take_keyframe_needed()) line.receive->want_keyframe();
  return received;
}

bool Peer::Impl::protect_and_commit(MutableBytes slot, std::size_t size, SendBatch& batch) {
  if (!may_send(size + srtp::kMaxTrailer)) return false;
  if (srtp->protect_rtp(slot, size) != srtp::Verdict::ok) {
    drops.add(Drop::srtp_malformed);
    return false;
  }
  batch.commit(size, pair->local, pair->remote);
  return true;
}

bool Peer::send_rtp(Line index, rtp::Seq seq, const rtp::RtpHeader& header, ByteView payload, SendBatch& batch, Time now) {
  Impl& p = *impl_;
  if (!p.connected || !p.pair || index >= p.lines.size() || !p.lines[index].send || !p.lines[index].negotiated.active) {
    p.drops.add(Drop::not_connected);
    return false;
  }
  LineState& line = p.lines[index];
  MutableBytes slot = batch.slot();
  rtp::RtpHeader out = header;
  out.seq = static_cast<rtp::WireSeq>(seq);
  out.ssrc = line.send->ssrc();
  out.payload_type = line.negotiated.format->payload_type;
  rtp::ExtensionValues values;
  values.mid = line.negotiated.mid;
  if (p.extensions.transport_seq != 0) values.transport_seq = p.transport_seq;
  const std::size_t head = rtp::write_rtp_header(slot, out, p.extensions, values);
  if (head == 0 || head + payload.size() + srtp::kMaxTrailer > slot.size()) {
    p.drops.add(Drop::oversized);
    return false;
  }
  if (!payload.empty()) std::memcpy(slot.data() + head, payload.data(), payload.size());  // padding has none
  if (!p.protect_and_commit(slot, head + payload.size(), batch)) return false;
  if (values.transport_seq) p.estimator.on_sent(p.transport_seq++, head + payload.size(), now);
  line.send->on_sent(seq, payload.size());
  p.budget->on_sent(head + payload.size(), now);
  return true;
}

bool Peer::retransmit(Line index, rtp::Seq seq, const rtp::RtpHeader& header, ByteView payload, SendBatch& batch, Time now) {
  Impl& p = *impl_;
  if (!p.connected || !p.pair || index >= p.lines.size() || !p.lines[index].send || !p.lines[index].negotiated.active) return false;
  LineState& line = p.lines[index];
  if (!line.negotiated.format->rtx_payload_type) return false;
  if (!p.budget->spend(index, seq, payload.size(), now)) {
    p.drops.add(Drop::nack_over_budget);
    return false;
  }
  MutableBytes slot = batch.slot();
  rtp::RtpHeader out = header;
  out.seq = line.send->next_rtx_seq();
  out.ssrc = line.send->rtx_ssrc();
  out.payload_type = *line.negotiated.format->rtx_payload_type;
  rtp::ExtensionValues values;
  values.mid = line.negotiated.mid;
  if (p.extensions.transport_seq != 0) values.transport_seq = p.transport_seq;
  const std::size_t head = rtp::write_rtp_header(slot, out, p.extensions, values);
  if (head == 0 || head + 2 + payload.size() + srtp::kMaxTrailer > slot.size()) {
    p.drops.add(Drop::oversized);
    return false;
  }
  slot[head] = static_cast<std::byte>(seq >> 8);
  slot[head + 1] = static_cast<std::byte>(seq);
  if (!payload.empty()) std::memcpy(slot.data() + head + 2, payload.data(), payload.size());
  if (!p.protect_and_commit(slot, head + 2 + payload.size(), batch)) return false;
  if (values.transport_seq) p.estimator.on_sent(p.transport_seq++, head + 2 + payload.size(), now);
  ++line.send->stats.retransmitted;
  return true;
}

void Peer::request_keyframe(Line index, Time now) {
  if (index >= impl_->lines.size() || !impl_->lines[index].receive) return;
  impl_->lines[index].receive->want_keyframe();
  impl_->send_due_feedback(now);
}

}  // namespace amphi::peer
