// A subscriber with real keys that obeys no rule: ICE and DTLS as they should be, then any RTCP and any STUN, from any address.
// Thread: the test's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dtls/transport.h"
#include "ice/agent.h"
#include "srtp/context.h"
#include "stun/message.h"
#include "testing/world.h"

namespace amphi::testing {

class RawNode : public Node {
 public:
  RawNode(Address address_in, std::uint64_t seed);

  /// The answer that an honest peer gives, with this node's credentials. `connects`: false does nothing by itself.
  std::string answer(const std::string& offer, Time now, bool connects = true);
  bool connected() const { return srtp_ != nullptr; }

  void handle_input(const Datagram& in, Time now) override;
  void handle_timeout(Time now) override;
  void drain(Network& network, Time now) override;
  Time next_timeout() const override;
  /// What is to be sent now: for real sockets, instead of `drain`.
  std::vector<Transmit> take(Time now);

  void send_rtcp(ByteView plain);
  /// An authentic binding request of this node.
  Bytes request(bool use_candidate);
  /// The same, as if `from` had sent it; its size.
  std::size_t send_request(const Address& from, bool use_candidate);
  /// Any datagram, as if `from` had sent it.
  void send_from(const Address& from, Bytes data);

  struct Line {
    std::uint32_t ssrc = 0, rtx_ssrc = 0;
  };
  std::vector<Line> lines;  // as offered
  /// Packets and bytes received with this source.
  std::size_t packets(std::uint32_t ssrc) const;
  std::size_t packets_at(const Address& local, std::uint32_t ssrc) const;
  std::size_t bytes(std::uint32_t ssrc) const;
  std::uint16_t newest(std::uint32_t ssrc) const;

  Address address;
  Address server;
  bool handshakes = true;  // false: ICE is all that it does
  bool checks = true;      // false: it answers checks, and sends none by itself

 private:
  struct Received {
    std::uint32_t ssrc;
    std::uint16_t seq;
    std::size_t bytes;
    Address local;
  };
  SeededRandom random_;
  ice::Agent ice_;
  dtls::Transport dtls_;
  std::unique_ptr<srtp::Context> srtp_;
  ice::Credentials remote_;
  std::vector<Received> received_;
  std::vector<Transmit> unsent_;
};

}  // namespace amphi::testing
