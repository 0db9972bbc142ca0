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
  // RFC 8843 9.2: a mid that differs moves the source to another line.
  const auto is_at_home = [&](const Source& source) { return packet.mid.empty() || packet.mid == lines[source.line].negotiated.mid; };
  if (last_source < sources.size() && sources[last_source].ssrc == ssrc && is_at_home(sources[last_source])) return &sources[last_source];
  const auto known = std::find_if(sources.begin(), sources.end(), [&](const Source& source) { return source.ssrc == ssrc; });
  if (known != sources.end() && is_at_home(*known)) {
    last_source = static_cast<std::size_t>(known - sources.begin());
    return &*known;
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
  if (known != sources.end()) {
    if (!found) return &*known;
    sources.erase(known);
  }
  if (!found) return nullptr;
  return &add_source({ssrc, *found, rtx, false, std::nullopt});
}

Source& Peer::Impl::add_source(const Source& source) {
  const auto is_learnt_there = [&](const Source& other) { return !other.declared && other.line == source.line; };
  while (std::count_if(sources.begin(), sources.end(), is_learnt_there) >= static_cast<std::ptrdiff_t>(kMaxLearntSources))
    sources.erase(std::find_if(sources.begin(), sources.end(), is_learnt_there));  // the oldest; if it sends again, it is learnt again
  last_source = sources.size();
  return sources.emplace_back(source);
}

void Peer::Impl::declare_source(const DeclaredSource& declared, Line line) {
  const Source source{declared.ssrc, line, declared.repairs.has_value(), true, declared.repairs};
  const auto known = std::find_if(sources.begin(), sources.end(), [&](const Source& other) { return other.ssrc == source.ssrc; });
  if (known == sources.end()) add_source(source);
  else *known = source;
}

void Peer::Impl::forget_sources(Line line) {
  std::erase_if(sources, [&](const Source& source) { return source.line == line; });
}

/// RFC 4588 4: the original number, then the original payload. A retransmission stream that the description ties to no source is taken
/// for the selected one's where it brings a packet that is missing there.
bool Peer::Impl::undo_rtx(const Source& source, LineState& line, const Format& format, ReceivedRtp& received) {
  if (received.payload.empty()) return false;  // a probe: padding only
  const auto selected = line.receive->ssrc();
  if (received.payload.size() < 2 || !selected) {
    drops.add(Drop::rtx_malformed);
    return false;
  }
  ByteReader reader(received.payload);
  received.header.seq = reader.u16();
  received.payload = reader.rest();
  received.header.ssrc = *selected;
  received.header.payload_type = format.payload_type;
  received.recovered = true;
  if (source.repairs ? *source.repairs == *selected : line.receive->nacks.is_missing(received.header.seq)) return true;
  drops.add(source.repairs ? Drop::not_selected_source : Drop::rtx_unwanted);
  return false;
}

void Peer::Impl::refuse(Line index, std::uint32_t ssrc, Time now) {
  ReceiveStream& stream = *lines[index].receive;
  stream.count_not_selected(1, now);
  if (stream.ssrc() && stream.count_refused()) emit(SourcesCompete{index, *stream.ssrc(), ssrc});
}

bool Peer::Impl::accept(LineState& line, const Format& format, ReceivedRtp& received, Time now) {
  ReceiveStream& stream = *line.receive;
  const std::uint32_t generation = stream.generation();
  const auto seq = stream.on_packet(received.header, received.recovered, format.nack && format.rtx_payload_type.has_value(),
                                    format.codec.clock_rate, received.payload.size(), now);
  if (stream.generation() != generation) {
    if (line.negotiated.kind == rtp::Kind::video) stream.want_keyframe();
    if (const auto report = stream.take_report(now)) take_report(received.line, report->ntp, report->rtp_timestamp);
  }
  if (!seq) {
    drops.add(received.recovered ? Drop::rtx_unwanted : Drop::repeated);
    if (!received.recovered) stream.count_repeated(now);
    return false;
  }
  received.seq = *seq;
  received.generation = stream.generation();
  if (line.negotiated.kind == rtp::Kind::video && stream.nacks.take_keyframe_needed()) stream.want_keyframe();
  return true;
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
    if (!rtx || !undo_rtx(*source, line, *format, received)) {
      if (!rtx) drops.add(Drop::rtx_malformed);
      return std::nullopt;
    }
  } else if (const auto choice = line.receive->selector.choose(packet->header, packet->payload, packet->audio_level, now);
             choice != rtp::SourceSelector::Choice::selected) {
    if (choice == rtp::SourceSelector::Choice::not_selected) {
      drops.add(Drop::not_selected_source);
      if (!packet->payload.empty()) refuse(source->line, packet->header.ssrc, now);  // padding is no media
    }
    holding = holding || choice == rtp::SourceSelector::Choice::held;
    return std::nullopt;
  }
  if (!accept(line, *format, received, now)) return std::nullopt;
  return received;
}

std::optional<ReceivedRtp> Peer::Impl::take_held(Time now) {
  if (!holding) return std::nullopt;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    LineState& line = lines[i];
    if (!line.receive || !line.negotiated.active) continue;
    while (auto held = line.receive->selector.poll(now)) {
      bool rtx = false;
      const Format* const format = format_of(line.negotiated, held->header.payload_type, rtx);
      if (!format || rtx) {  // negotiated away meanwhile
        drops.add(Drop::unknown_payload_type);
        continue;
      }
      held_payload = std::move(held->payload);
      ReceivedRtp received{i, 0, held->header, held_payload, format->codec.name, false, held->audio_level, 0};
      if (accept(line, *format, received, held->arrival)) return received;
    }
    if (const auto dropped = line.receive->selector.take_dropped(); dropped > 0) {
      drops.add(Drop::not_selected_source, dropped);
      line.receive->count_not_selected(dropped, now);
    }
  }
  holding = std::any_of(lines.begin(), lines.end(), [](const LineState& line) {
    return line.receive && line.negotiated.active && line.receive->selector.held() > 0;
  });
  return std::nullopt;
}

std::optional<ReceivedRtp> Peer::take_held(Time now) { return impl_->ended ? std::nullopt : impl_->take_held(now); }

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
