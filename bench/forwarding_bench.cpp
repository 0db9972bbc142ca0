// What forwarding costs: one packet of 1,100 bytes in, decrypted, rewritten and encrypted for N subscribers into a batch that is
// thrown away. No socket: compare with the table of send costs when choosing how to send. Time is per incoming packet;
// `per_copy` is the time for each subscriber's copy.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "sfu/router.h"
#include "testing/peer/peer_node.h"

namespace amphi {
namespace {

const Address kServer = Address::v4(10, 0, 0, 1, 443);

/// A world that cannot be set up measures nothing.
void must(const Result<void>& done) {
  if (!done) std::abort();
}

class DiscardingBatch final : public SendBatch {
 public:
  MutableBytes slot() override { return slot_; }
  void commit(std::size_t size, const Address&, const Address&) override { bytes += size; }
  std::uint64_t bytes = 0;

 private:
  std::array<std::byte, kMaxDatagram> slot_{};
};

struct Room : testing::Node {
  explicit Room(int subscribers) : random(1), router(random), network(1, {.delay = 1ms}), world(network) {
    sfu::SessionConfig config;
    config.id = SessionId("bench");
    config.local = {kServer};
    config.certificate = testing::shared_certificate();
    config.limits.participants = 1000;
    session = router.create_session(std::move(config));
    world.attach(kServer, *this);
    add("publisher", true);
    for (int i = 0; i < subscribers; ++i) add("s" + std::to_string(i), false);
    auto& publisher = *clients.front();
    line = publisher.peer.add_line({"", testing::vp8_codec(), "s", "t"});
    auto answer = session->publish_offer(ParticipantId("publisher"), publisher.peer.create_offer(world.now()), {{"0", rtp::Kind::video, "camera"}}, world.now());
    must(publisher.peer.accept_answer(answer->sdp, world.now()));
    world.run_for(3s);
  }
  void add(const std::string& name, bool publish) {
    clients.push_back(std::make_unique<testing::PeerNode>(peer::End::client, Address::v4(10, 1, std::uint8_t(clients.size() / 200), std::uint8_t(clients.size() % 200 + 1), 9), clients.size() + 5));
    names.push_back(ParticipantId(name));
    world.attach(clients.back()->address, *clients.back());
    must(session->add_participant(names.back(), name, publish, !publish, world.now()));
  }
  void handle_input(const Datagram& in, Time now) override { router.handle_input(in, batch, now); }
  void handle_timeout(Time now) override { router.handle_timeout(batch, now); }
  void drain(testing::Network& net, Time now) override {
    router.drain(*session, batch, now);
    for (const auto& transmit : batch.take()) net.send(transmit, now);
    while (auto event = session->poll_event())
      if (const auto* offer = std::get_if<sfu::SubscribeOffer>(&*event))
        for (std::size_t i = 0; i < names.size(); ++i)
          if (names[i] == offer->participant) must(session->subscribe_answer(names[i], offer->offer_id, *clients[i]->peer.accept_offer(offer->sdp, now), now));
  }
  Time next_timeout() const override { return router.next_timeout(); }

  SeededRandom random;
  sfu::Router router;
  testing::Network network;
  testing::World world;
  testing::CollectingBatch batch;
  sfu::Session* session = nullptr;
  std::vector<std::unique_ptr<testing::PeerNode>> clients;
  std::vector<ParticipantId> names;
  peer::Line line = 0;
};

void forward(benchmark::State& state) {
  const int subscribers = static_cast<int>(state.range(0));
  Room room(subscribers);
  DiscardingBatch out;
  Bytes payload{std::byte{0x10}, std::byte{0x10}, std::byte{0}, std::byte{0}, std::byte{0x9d}, std::byte{0x01}, std::byte{0x2a}, std::byte{0x80}, std::byte{2}, std::byte{0xe0}, std::byte{1}};
  payload.resize(1100);
  rtp::Seq seq = 1;
  testing::CollectingBatch sealed;
  std::vector<Transmit> packets;
  const Time now = room.world.now();
  const auto before = room.session->stats();
  for (auto _ : state) {
    if (packets.empty()) {
      state.PauseTiming();
      for (int i = 0; i < 256; ++i, ++seq)
        room.clients.front()->peer.send_rtp(room.line, seq, {true, 0, 0, static_cast<rtp::WireTimestamp>(seq * 900), 0}, payload, sealed, now);
      packets = sealed.take();
      std::reverse(packets.begin(), packets.end());
      state.ResumeTiming();
    }
    Transmit& packet = packets.back();
    room.router.handle_input({packet.local, packet.remote, packet.data}, out, now);
    packets.pop_back();
  }
  const auto after = room.session->stats();
  const double copies = static_cast<double>(after.packets_out - before.packets_out);
  if (copies < static_cast<double>(state.iterations()) * subscribers) state.SkipWithError("not every packet reached every subscriber");
  state.counters["per_copy"] = benchmark::Counter(copies, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(forward)->Arg(1)->Arg(10)->Arg(50)->Arg(200)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace amphi

BENCHMARK_MAIN();
