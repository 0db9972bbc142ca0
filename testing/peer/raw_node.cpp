#include "testing/peer/raw_node.h"

#include "peer/peer.h"
#include "rtp/rtcp.h"
#include "sdp/session_description.h"
#include "testing/peer/peer_node.h"

namespace amphi::testing {

RawNode::RawNode(Address address_in, std::uint64_t seed)
    : address(address_in), random_(seed), ice_(ice::Role::full_controlling, {address_in}, random_),
      dtls_(dtls::Role::client, shared_certificate()) {}

std::string RawNode::answer(const std::string& offer, Time now, bool connects) {
  peer::Peer honest({peer::End::client, {address}, shared_certificate(), "raw"}, random_);
  auto given = sdp::parse(honest.accept_offer(offer, now).value()).value();
  for (auto& media : given.media) {
    media.ice_ufrag = ice_.local_credentials().ufrag;
    media.ice_pwd = ice_.local_credentials().password;
  }
  const auto offered = sdp::parse(offer).value();
  lines.clear();
  for (const auto& media : offered.media) {
    lines.push_back({media.ssrcs.empty() ? 0 : media.ssrcs[0], media.ssrcs.size() < 2 ? 0 : media.ssrcs[1]});
  }
  const auto& media = offered.media.at(0);
  remote_ = {media.ice_ufrag, media.ice_pwd};
  server = *Address::parse(media.candidates.at(0).address, media.candidates.at(0).port);
  if (connects) {
    dtls_.set_remote_fingerprint({media.fingerprint_algorithm, media.fingerprint_values}, now);
    ice_.set_remote(remote_, {{server, ice::host_priority(65'535), "1"}}, now);
  }
  return sdp::write(given);
}

void RawNode::handle_input(const Datagram& in, Time now) {
  if (dtls::Transport::accepts(in.data)) {
    if (handshakes) dtls_.handle_input(in.data, now);
    return;
  }
  if (ice_.accepts(in.data)) return ice_.handle_input(in, now);
  if (in.data.size() < 12 || rtp::is_rtcp(in.data)) return;
  ByteReader reader(in.data);
  reader.skip(2);
  const std::uint16_t seq = reader.u16();
  reader.skip(4);
  received_.push_back({reader.u32(), seq, in.data.size(), in.local});
}

void RawNode::handle_timeout(Time now) {
  ice_.handle_timeout(now);
  dtls_.handle_timeout(now);
}

void RawNode::drain(Network& network, Time now) {
  for (const Transmit& packet : take(now)) network.send(packet, now);
}

std::vector<Transmit> RawNode::take(Time now) {
  while (auto output = ice_.poll_output())
    if (auto* transmit = std::get_if<Transmit>(&*output); transmit && (checks || stun::response_transaction(transmit->data)))
      unsent_.push_back(std::move(*transmit));
  if (handshakes && ice_.selected() && dtls_.state() == dtls::State::idle) dtls_.start(now);
  while (auto output = dtls_.poll_output()) {
    if (auto* datagram = std::get_if<Bytes>(&*output)) unsent_.push_back({address, server, std::move(*datagram)});
    if (const auto* up = std::get_if<dtls::Connected>(&*output))
      srtp_ = srtp::make_context(static_cast<srtp::Profile>(up->keys.profile), up->keys.local, up->keys.remote).value();
  }
  return std::exchange(unsent_, {});
}

Time RawNode::next_timeout() const { return std::min(ice_.next_timeout(), dtls_.next_timeout()); }

void RawNode::send_rtcp(ByteView plain) {
  Bytes packet = to_bytes(plain);
  std::size_t size = packet.size();
  packet.resize(size + srtp::kMaxTrailer);
  if (!srtp_ || srtp_->protect_rtcp(packet, size) != srtp::Verdict::ok) return;
  packet.resize(size);
  send_from(address, std::move(packet));
}

Bytes RawNode::request(bool use_candidate) {
  stun::Message request;
  random_.fill(request.transaction);
  request.username = remote_.ufrag + ':' + ice_.local_credentials().ufrag;
  request.priority = 1;
  request.use_candidate = use_candidate;
  request.ice_controlling = 1;
  return stun::write(request, remote_.password);
}

std::size_t RawNode::send_request(const Address& from, bool use_candidate) {
  Bytes data = request(use_candidate);
  const std::size_t size = data.size();
  send_from(from, std::move(data));
  return size;
}

void RawNode::send_from(const Address& from, Bytes data) { unsent_.push_back({from, server, std::move(data)}); }

std::size_t RawNode::packets(std::uint32_t ssrc) const {
  return static_cast<std::size_t>(std::count_if(received_.begin(), received_.end(), [&](const Received& r) { return r.ssrc == ssrc; }));
}
std::size_t RawNode::packets_at(const Address& local, std::uint32_t ssrc) const {
  return static_cast<std::size_t>(std::count_if(received_.begin(), received_.end(), [&](const Received& r) { return r.ssrc == ssrc && r.local == local; }));
}
std::size_t RawNode::bytes(std::uint32_t ssrc) const {
  std::size_t sum = 0;
  for (const Received& r : received_) sum += r.ssrc == ssrc ? r.bytes : 0;
  return sum;
}
std::uint16_t RawNode::newest(std::uint32_t ssrc) const {
  for (auto it = received_.rbegin(); it != received_.rend(); ++it)
    if (it->ssrc == ssrc) return it->seq;
  return 0;
}

}  // namespace amphi::testing
