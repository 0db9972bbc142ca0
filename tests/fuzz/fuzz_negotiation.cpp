// Session descriptions from a client, as far as a Peer acts on them: offers and answers separated by a line "---", datagrams
// before and in between. A refused one changes nothing; what an offer is answered with can be parsed.
#include "fuzz.h"
#include "peer/peer.h"
#include "sdp/session_description.h"
#include "testing/peer/peer_node.h"

using namespace amphi;

namespace {

const Address kServer = Address::v4(10, 0, 0, 1, 443);

void drain(peer::Peer& peer) {
  for (int outputs = 0; peer.poll_output();) fuzz::require(++outputs < 100'000, "outputs come to an end");
}

void feed(peer::Peer& peer, Time now) {
  static const std::uint8_t first_bytes[] = {0, 22, 128};  // STUN, DTLS, RTP: none of them anything
  for (const std::uint8_t first : first_bytes) {
    Bytes datagram(100, std::byte{first});
    peer.handle_input({Address::v4(10, 0, 0, 2, 5000), kServer, datagram}, now);
  }
  peer.handle_timeout(now);
  drain(peer);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto certificate = testing::shared_certificate();
  std::string_view text = fuzz::Input(data, size).text();
  SeededRandom random(1);
  peer::Peer receiver({peer::End::server, {kServer}, certificate, "server"}, random);
  peer::Peer sender({peer::End::server, {kServer}, certificate, "server"}, random);
  sender.add_line({"", testing::vp8_codec(), "par_1", "fd_1"});
  sender.add_line({"", testing::opus_codec(), "par_1", "fd_2"});
  Time now{1h};
  (void)sender.create_offer(now);
  while (!text.empty()) {
    const std::size_t end = text.find("\n---\n");
    const std::string_view one = text.substr(0, end);
    text = end == text.npos ? std::string_view() : text.substr(end + 5);
    feed(receiver, now);
    const std::size_t lines = receiver.lines().size();
    if (const auto answer = receiver.accept_offer(one, now)) {
      const auto parsed = sdp::parse(*answer);
      fuzz::require(parsed && parsed->media.size() == receiver.lines().size(), "an answer has the offer's m-lines");
    } else {
      fuzz::require(receiver.lines().size() == lines, "a refused offer changes nothing");
    }
    feed(sender, now);
    if (sender.accept_answer(one, now)) (void)sender.create_offer(now);
    now += 100ms;
    drain(receiver);
    drain(sender);
  }
  return 0;
}
