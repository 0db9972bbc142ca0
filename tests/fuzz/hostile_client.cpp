#include "hostile_client.h"

#include "fuzz.h"
#include "sdp/session_description.h"
#include "stun/message.h"
#include "testing/peer/peer_node.h"

namespace amphi::fuzz {
namespace {

/// While one context lives, libsrtp's cipher library stays loaded: otherwise every input would load it anew.
const auto kKeepLoaded = srtp::make_context(srtp::Profile::aead_aes_128_gcm, Bytes(28), Bytes(28));

const Address kServer = Address::v4(10, 0, 0, 1, 443);
const Address kClient = Address::v4(10, 0, 0, 2, 5000);
const Address kElsewhere = Address::v4(10, 0, 0, 3, 6000);

}  // namespace

HostileClient::HostileClient(ServerPart part)
    : server({peer::End::server, {kServer}, testing::shared_certificate(), "server"}, random),
      ice_(ice::Role::full_controlling, {kClient}, random), dtls_(dtls::Role::client, testing::shared_certificate()) {
  negotiate(part);
}

/// An honest peer writes the session description; only its ICE credentials become ours. Its certificate is ours already.
void HostileClient::negotiate(ServerPart part) {
  peer::Peer honest({peer::End::client, {kClient}, testing::shared_certificate(), "client"}, random);
  const auto ours = [this](const std::string& text) {
    auto description = sdp::parse(text).value();
    for (auto& media : description.media) {
      media.ice_ufrag = ice_.local_credentials().ufrag;
      media.ice_pwd = ice_.local_credentials().password;
    }
    return sdp::write(description);
  };
  peer::Peer& sender = part == ServerPart::sends ? server : honest;
  sender.add_line({"", testing::vp8_codec(), "par_1", "fd_1"});
  sender.add_line({"", testing::h264_codec(), "par_1", "fd_2"});
  sender.add_line({"", testing::opus_codec(), "par_1", "fd_3"});
  const std::string offer = sender.create_offer(now);
  if (part == ServerPart::receives) {
    take_remote(server.accept_offer(ours(offer), now).value());
  } else {
    require(server.accept_answer(ours(honest.accept_offer(offer, now).value()), now).has_value(), "an honest answer is taken");
    take_remote(offer);
  }
}

void HostileClient::take_remote(const std::string& sdp) {
  const auto media = sdp::parse(sdp).value().media.at(0);
  dtls_.set_remote_fingerprint({media.fingerprint_algorithm, media.fingerprint_values}, now);
  ice_.set_remote({media.ice_ufrag, media.ice_pwd}, {{kServer, ice::host_priority(65'535), "1"}}, now);
}

void HostileClient::connect() {
  for (int i = 0; i < 1000 && !(srtp_ && server.connected()); ++i) {
    drain();
    if (ice_.selected() && dtls_.state() == dtls::State::idle) dtls_.start(now);
    move(10ms);
  }
  require(srtp_ && server.connected(), "an honest handshake connects");
}

void HostileClient::drain() {
  for (bool more = true; more;) {
    more = false;
    while (auto output = ice_.poll_output()) {
      more = true;
      if (auto* transmit = std::get_if<Transmit>(&*output)) send_raw(transmit->data);
    }
    while (auto output = dtls_.poll_output()) {
      more = true;
      if (const auto* datagram = std::get_if<Bytes>(&*output)) send_raw(*datagram);
      if (const auto* connected = std::get_if<dtls::Connected>(&*output))
        srtp_ = srtp::make_context(static_cast<srtp::Profile>(connected->keys.profile), connected->keys.local, connected->keys.remote).value();
    }
    for (int outputs = 0; auto output = server.poll_output();) {
      require(++outputs < 100'000, "a peer's outputs come to an end");
      auto* transmit = std::get_if<Transmit>(&*output);
      if (!transmit || transmit->remote != kClient) continue;
      more = true;
      if (dtls::Transport::accepts(transmit->data)) dtls_.handle_input(transmit->data, now);
      else if (ice_.accepts(transmit->data)) ice_.handle_input({transmit->local, kClient, transmit->data}, now);
    }
  }
}

void HostileClient::send_raw(ByteView datagram, bool from_elsewhere) {
  Bytes copy = to_bytes(datagram);
  copy.resize(std::min(copy.size(), kMaxDatagram));
  peer::Peer::accepts(copy);
  peer::Peer::addressed_ufrag(copy);
  if (const auto packet = server.handle_input({from_elsewhere ? kElsewhere : kClient, kServer, copy}, now))
    require(packet->line < 3 && packet->payload.size() <= copy.size(), "a received packet is of a line, and within its datagram");
  while (const auto held = server.take_held(now)) require(held->line < 3, "a held packet is of a line");
}

void HostileClient::send_stun(ByteView raw, bool from_elsewhere) {
  auto message = stun::parse(raw);
  if (!message) return send_raw(raw, from_elsewhere);
  const auto& credentials = server.local_credentials();
  message->username = credentials.ufrag + ":" + ice_.local_credentials().ufrag;
  send_raw(stun::write(*message, credentials.password), from_elsewhere);
  drain();
}

void HostileClient::send_protected(ByteView plain, srtp::Verdict (srtp::Context::*protect)(MutableBytes, std::size_t&)) {
  Bytes buffer = to_bytes(plain);
  std::size_t size = buffer.size();
  buffer.resize(size + srtp::kMaxTrailer);
  if (!srtp_ || ((*srtp_).*protect)(buffer, size) != srtp::Verdict::ok) return send_raw(plain);
  send_raw(ByteView(buffer).first(size));
  drain();
}

void HostileClient::move(Duration by) {
  now += by;
  if (ice_.next_timeout() <= now) ice_.handle_timeout(now);
  if (dtls_.next_timeout() <= now) dtls_.handle_timeout(now);
  if (server.next_timeout() <= now) server.handle_timeout(now);
  drain();
}

}  // namespace amphi::fuzz
