// A Peer as a node of the virtual world: drives it, keeps what it received and said, and can send a numbered stream.
// Thread: the test's.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "peer/peer.h"
#include "rtp/history.h"
#include "testing/collecting_batch.h"
#include "testing/world.h"

namespace amphi::testing {

/// One certificate for a whole test run: making keys is what would cost the time.
std::shared_ptr<const dtls::Certificate> shared_certificate();
/// A second one, for whoever lies about its fingerprint.
std::shared_ptr<const dtls::Certificate> other_certificate();

struct ReceivedCopy {
  peer::Line line = 0;
  rtp::Seq seq = 0;
  Bytes payload;
  bool recovered = false;
  Time at;
  rtp::WireTimestamp timestamp = 0;
};

class PeerNode : public Node {
 public:
  PeerNode(peer::End end, Address address, std::uint64_t seed,
           std::shared_ptr<const dtls::Certificate> certificate = shared_certificate());

  void handle_input(const Datagram& in, Time now) override;
  void handle_timeout(Time now) override;
  void drain(Network& network, Time now) override;
  /// What is to be sent now: for real sockets, instead of `drain`.
  std::vector<Transmit> take(Time now);
  Time next_timeout() const override { return peer.next_timeout(); }

  /// Sends one packet on a line, and keeps it to answer NACKs.
  bool send(peer::Line line, rtp::Seq seq, rtp::WireTimestamp timestamp, ByteView payload, Time now);

  template <class T>
  std::size_t count() const {
    std::size_t n = 0;
    for (const auto& event : events) n += std::holds_alternative<T>(event);
    return n;
  }
  template <class T>
  const T* last() const {
    for (auto it = events.rbegin(); it != events.rend(); ++it)
      if (const auto* event = std::get_if<T>(&*it)) return event;
    return nullptr;
  }

  SeededRandom random;
  peer::Peer peer;
  Address address;
  std::vector<ReceivedCopy> received;
  std::vector<peer::Event> events;

 private:
  void keep(const peer::ReceivedRtp& packet, Time now);

  CollectingBatch batch_;
  std::map<peer::Line, rtp::PacketHistory> histories_;
};

rtp::Codec vp8_codec();
rtp::Codec h264_codec();
rtp::Codec opus_codec();

}  // namespace amphi::testing
