// A connected Peer of the server, receiving or sending, opposite a client with real keys: arbitrary RTP and RTCP behind
// SRTP, arbitrary STUN behind the right password, arbitrary datagrams from anywhere. One handshake for each input.
#include "fuzz.h"
#include "hostile_client.h"
#include "testing/collecting_batch.h"

using namespace amphi;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input in(data, size);
  const std::uint8_t mode = in.u8();
  using Part = fuzz::HostileClient::ServerPart;
  fuzz::HostileClient client(mode & 1 ? Part::sends : Part::receives);
  if (!(mode & 2)) client.connect();

  testing::CollectingBatch batch;
  rtp::Seq seq = 65'500;
  while (!in.done()) {
    const std::uint8_t what = in.u8();
    const bool elsewhere = what & 0x80;
    switch (what % 8) {
      case 0: client.send_raw(in.piece(), elsewhere); break;
      case 1: client.send_stun(in.short_piece(), elsewhere); break;
      case 2: client.send_rtcp(in.short_piece()); break;
      case 3: client.move(milliseconds(in.u8())); break;
      case 4: client.move(milliseconds(100) * in.u8()); break;
      case 5: {
        const peer::Line line = what >> 3 & 3;
        const Bytes payload(100, std::byte{7});
        for (int i = 0; i < 10; ++i, ++seq) {
          client.server.send_rtp(line, seq, {false, 96, static_cast<rtp::WireSeq>(seq), 3000, 1}, payload, batch, client.now);
          client.server.retransmit(line, seq - 5, {false, 96, static_cast<rtp::WireSeq>(seq - 5), 3000, 1}, payload, batch, client.now);
        }
        client.server.request_keyframe(line, client.now);
        client.server.line_stats(line);
        break;
      }
      default: client.send_rtp(in.piece());
    }
  }
  client.move(1s);
  client.server.stats();
  client.server.close(client.now);
  client.move(1s);
  return 0;
}
