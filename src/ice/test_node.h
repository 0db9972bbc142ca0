// For the tests of this folder: an agent as a node of the emulated world, and a server and a client joined by one.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ice/agent.h"
#include "testing/network.h"
#include "testing/world.h"

namespace amphi::ice {

class AgentNode final : public testing::Node {
 public:
  AgentNode(Role role, std::vector<Address> local, std::uint64_t seed) : random_(seed), agent(role, local, random_) {}

  void handle_input(const Datagram& in, Time now) override {
    agent.handle_input(in, now);
    collect(now);
  }
  void handle_timeout(Time now) override {
    agent.handle_timeout(now);
    collect(now);
  }
  void drain(testing::Network& network, Time now) override {
    collect(now);
    for (const Transmit& packet : std::exchange(unsent_, {})) network.send(packet, now);
  }
  Time next_timeout() const override { return agent.next_timeout(); }

  /// The states, in order, with when they came.
  std::vector<std::pair<State, Time>> states;
  std::vector<Transmit> sent;  // everything, ever
  std::vector<Time> sent_at;

 private:
  void collect(Time now) {
    while (auto output = agent.poll_output()) {
      if (const auto* changed = std::get_if<StateChanged>(&*output)) {
        states.emplace_back(changed->state, now);
      } else {
        unsent_.push_back(std::get<Transmit>(std::move(*output)));
        sent.push_back(unsent_.back());
        sent_at.push_back(now);
      }
    }
  }

  SeededRandom random_;
  std::vector<Transmit> unsent_;

 public:
  Agent agent;  // after what it uses
};

inline const Address kServer = Address::v4(192, 0, 2, 1, 3478);
inline const Address kServerTwo = Address::v4(192, 0, 2, 2, 3478);
inline const Address kClient = Address::v4(10, 0, 0, 7, 50000);
inline const Address kClientTwo = Address::v4(10, 1, 0, 7, 50001);
inline const Address kClientSix = *Address::parse("2001:db8::7", 50002);

/// A lite server and a controlling client over one network; nothing is exchanged until `signal`.
struct Call {
  explicit Call(testing::Conditions conditions = {.delay = 10ms}, std::uint64_t seed = 1,
                std::vector<Address> server_addresses = {kServer}, std::vector<Address> client_addresses = {kClient})
      : network(seed, conditions),
        world(network),
        server(Role::lite_controlled, server_addresses, seed * 2 + 1),
        client(Role::full_controlling, client_addresses, seed * 2 + 2) {
    for (const Address& address : server_addresses) world.attach(address, server);
    for (const Address& address : client_addresses) world.attach(address, client);
  }

  void signal() {
    server.agent.set_remote(client.agent.local_credentials(), {}, world.now());
    client.agent.set_remote(server.agent.local_credentials(), server.agent.local_candidates(), world.now());
  }
  void restart() {
    client.agent.restart(world.now());
    server.agent.restart(world.now());
  }
  bool both(State state) const { return server.agent.state() == state && client.agent.state() == state; }
  bool connect(Duration limit = 30s) {
    signal();
    return world.run_until([&] { return both(State::connected); }, limit);
  }
  /// Do both ends name the same pair, seen from either side?
  bool agree() const {
    const auto ours = client.agent.selected(), theirs = server.agent.selected();
    return ours && theirs && ours->local == theirs->remote && ours->remote == theirs->local;
  }

  testing::Network network;
  testing::World world;
  AgentNode server, client;
};

}  // namespace amphi::ice
