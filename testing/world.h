// A discrete-event world: nodes joined by an emulated network, and a clock that jumps from one deadline to the next.
//
// Thread: its owner's. Nodes and network are borrowed and outlive the world. A world in which too much happens
// without time moving on throws std::logic_error: some machine asks for a deadline that it does not serve.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "base/net.h"
#include "base/time.h"
#include "testing/network.h"

namespace amphi::testing {

/// Whatever has addresses: a client, a server, a pair of state machines under test.
class Node {
 public:
  virtual ~Node() = default;
  virtual void handle_input(const Datagram& in, Time now) = 0;
  virtual void handle_timeout(Time now) = 0;
  /// Sends everything that waits to be sent. Called after every input and timeout.
  virtual void drain(Network& network, Time now) = 0;
  virtual Time next_timeout() const = 0;
};

class World {
 public:
  explicit World(Network& network) : network_(network) {}

  /// A node may have several addresses: attach it once for each.
  void attach(const Address& address, Node& node);
  /// Its addresses swallow what arrives from now on.
  void detach(Node& node);
  /// `action` runs when time reaches `when`; those of the same time in the order of these calls.
  void at(Time when, std::function<void()> action) { actions_.emplace(when, std::move(action)); }

  Time now() const { return now_; }
  void run_for(Duration duration) { run_until(now_ + duration); }
  void run_until(Time end);
  /// Until `done` holds (asked after every step) or `limit` has passed; says whether it held.
  bool run_until(const std::function<bool()>& done, Duration limit);
  std::uint64_t events() const { return events_; }

 private:
  /// Everything due at the next deadline; false when that lies after `end` (time is then `end`).
  bool step(Time end);
  Time next_deadline() const;
  void deliver_arrivals();

  Network& network_;
  std::map<Address, Node*> by_address_;
  std::vector<Node*> nodes_;  // in the order of attaching: an order by pointer would not repeat
  std::multimap<Time, std::function<void()>> actions_;
  Time now_{};
  std::uint64_t events_ = 0;
  int steps_without_time_ = 0;
};

}  // namespace amphi::testing
