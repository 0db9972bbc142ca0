// A client that holds real keys and keeps no rule: ICE and DTLS as they should be, so that what it then protects and sends
// goes all the way through a real Peer's decryption. In virtual time, without a network. Thread: the target's.
#pragma once

#include <memory>
#include <optional>

#include "dtls/transport.h"
#include "ice/agent.h"
#include "peer/peer.h"
#include "srtp/context.h"

namespace amphi::fuzz {

class HostileClient {
 public:
  /// The server's peer offers to us (it sends), or answers us (it receives).
  enum class ServerPart { sends, receives };
  explicit HostileClient(ServerPart part);

  /// ICE and DTLS, to the end.
  void connect();
  /// `plain` as SRTP or SRTCP where it can be protected, else as it is.
  void send_rtp(ByteView plain) { send_protected(plain, &srtp::Context::protect_rtp); }
  void send_rtcp(ByteView plain) { send_protected(plain, &srtp::Context::protect_rtcp); }
  /// A STUN message of any content, with the right password where it is a request.
  void send_stun(ByteView raw, bool from_elsewhere);
  void send_raw(ByteView datagram, bool from_elsewhere = false);
  /// Both ends' clocks and deadlines.
  void move(Duration by);

  SeededRandom random{1};
  Time now{1h};
  peer::Peer server;

 private:
  void negotiate(ServerPart part);
  void take_remote(const std::string& sdp);
  void send_protected(ByteView plain, srtp::Verdict (srtp::Context::*protect)(MutableBytes, std::size_t&));
  void drain();

  ice::Agent ice_;
  dtls::Transport dtls_;
  std::unique_ptr<srtp::Context> srtp_;
};

}  // namespace amphi::fuzz
