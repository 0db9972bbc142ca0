#include "testing/peer/peer_node.h"

#include <stdexcept>

namespace amphi::testing {

std::shared_ptr<const dtls::Certificate> shared_certificate() {
  static const auto certificate = dtls::Certificate::generate().value();
  return certificate;
}
std::shared_ptr<const dtls::Certificate> other_certificate() {
  static const auto certificate = dtls::Certificate::generate().value();
  return certificate;
}

rtp::Codec vp8_codec() { return {rtp::CodecName::vp8, 90'000, 0, ""}; }
rtp::Codec h264_codec() {
  return {rtp::CodecName::h264, 90'000, 0, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"};
}
rtp::Codec opus_codec() { return {rtp::CodecName::opus, 48'000, 2, "minptime=10;useinbandfec=1"}; }

PeerNode::PeerNode(peer::End end, Address address_in, std::uint64_t seed, std::shared_ptr<const dtls::Certificate> certificate)
    : random(seed), peer({end, {address_in}, std::move(certificate), "cname"}, random), address(address_in) {}

void PeerNode::handle_input(const Datagram& in, Time now) {
  if (const auto packet = peer.handle_input(in, now)) return keep(*packet, now);
  while (const auto held = peer.take_held(now)) keep(*held, now);
}

void PeerNode::handle_timeout(Time now) {
  peer.handle_timeout(now);
  while (const auto held = peer.take_held(now)) keep(*held, now);
}

void PeerNode::keep(const peer::ReceivedRtp& packet, Time now) {
  received.push_back({packet.line, packet.seq, to_bytes(packet.payload), packet.recovered, now, packet.header.timestamp});
}

void PeerNode::drain(Network& network, Time now) {
  for (const auto& transmit : take(now)) network.send(transmit, now);
}

std::vector<Transmit> PeerNode::take(Time now) {
  std::vector<Transmit> unsent;
  while (auto output = peer.poll_output()) {
    if (auto* transmit = std::get_if<Transmit>(&*output)) {
      unsent.push_back(std::move(*transmit));
      continue;
    }
    auto& event = std::get<peer::Event>(*output);
    if (const auto* requested = std::get_if<peer::PacketsRequested>(&event))
      for (const rtp::Seq seq : requested->lost)
        if (const auto entry = histories_.at(requested->line).find(seq))
          peer.retransmit(requested->line, seq, entry->header, entry->payload, batch_, now);
    events.push_back(std::move(event));
  }
  for (auto& transmit : batch_.take()) unsent.push_back(std::move(transmit));
  return unsent;
}

bool PeerNode::send(peer::Line line, rtp::Seq seq, rtp::WireTimestamp timestamp, ByteView payload, Time now) {
  const rtp::RtpHeader header{true, 0, static_cast<rtp::WireSeq>(seq), timestamp, 0};
  histories_.try_emplace(line, 1024).first->second.insert(seq, header, payload, now);
  return peer.send_rtp(line, seq, header, payload, batch_, now);
}

}  // namespace amphi::testing
