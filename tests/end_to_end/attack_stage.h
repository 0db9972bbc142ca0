// A session on a real server with a publisher of one camera, a well-behaved subscriber, and a greedy subscriber that obeys no rule; media go
// over real sockets. Thread: the test's; each node has a thread of its own, which `on_loop` reaches.
#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "raw_client.h"
#include "runtime/media_loop.h"
#include "server_process.h"
#include "testing/peer/peer_node.h"
#include "testing/peer/raw_node.h"

namespace amphi::end_to_end {

/// A node of the virtual world on real sockets of this machine.
template <class Node>
class OnSockets final : public runtime::MediaHandler {
 public:
  /// `make(first address)` gives the node.
  template <class Make>
  OnSockets(std::size_t sockets, Make make) {
    loop_ = runtime::MediaLoop::create("node", std::vector<Address>(sockets, Address::v4(127, 0, 0, 1, 0)), *this).value();
    node_ = make(address(0));
    loop_->start();
  }
  ~OnSockets() override { loop_->stop(); }
  Address address(std::size_t socket) const { return loop_->local_addresses().at(socket); }

  /// `act(node, now)` on the node's thread; waits for its result.
  template <class Act>
  auto on_loop(Act act) {
    using Outcome = std::invoke_result_t<Act, Node&, Time>;
    std::promise<Outcome> done;
    loop_->post([&](SendBatch& out, Time now) {
      if constexpr (std::is_void_v<Outcome>) {
        act(*node_, now);
        flush(out, now);
        done.set_value();
      } else {
        Outcome outcome = act(*node_, now);
        flush(out, now);
        done.set_value(std::move(outcome));
      }
    });
    return done.get_future().get();
  }
  /// Any datagram from one of the sockets.
  void send(Transmit packet) {
    std::promise<void> done;
    loop_->post([&](SendBatch& out, Time) {
      out.send(packet);
      done.set_value();
    });
    done.get_future().wait();
  }

  void handle_datagrams(std::span<Datagram> in, SendBatch& out, Time now) override {
    for (auto& datagram : in) node_->handle_input(datagram, now);
    flush(out, now);
  }
  void handle_timeout(SendBatch& out, Time now) override {
    node_->handle_timeout(now);
    flush(out, now);
  }
  Time next_timeout() const noexcept override { return node_ ? node_->next_timeout() : Time::max(); }

 private:
  void flush(SendBatch& out, Time now) {
    for (const Transmit& packet : node_->take(now)) out.send(packet);
  }
  std::unique_ptr<Node> node_;
  std::unique_ptr<runtime::MediaLoop> loop_;
};

using PeerOnSockets = OnSockets<testing::PeerNode>;
using RawOnSockets = OnSockets<testing::RawNode>;

/// The value of a metric, summed over its labels; `label`: only lines with this text.
std::uint64_t metric_sum(const ServerProcess& server, const std::string& name, const std::string& label = "");
/// `amphi_drops_total` of one reason.
inline std::uint64_t drops_of(const ServerProcess& server, const std::string& reason) { return metric_sum(server, "amphi_drops_total", "reason=\"" + reason + "\""); }

class AttackStage {
 public:
  AttackStage(const ServerProcess& server, const std::string& session);
  /// Everybody joins, the camera is published, both subscribers are connected and receive it. Fails the test otherwise.
  void start();

  /// Sends this many packets of the camera, one each 2 ms, and runs `attack` after each.
  template <class Attack>
  void stream(int packets, Attack attack) {
    for (int i = 0; i < packets; ++i) {
      send_packet();
      if (sent_ % 250 == 0)
        for (RawClient* each : {&camera_signalling, &good_signalling}) each->send({{"type", "ping"}});  // silence ends a connection
      attack();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  void stream(int packets) {
    stream(packets, [] {});
  }
  /// Every packet that was sent since `from` has reached the well-behaved subscriber, or does within 8 s.
  bool good_has_all(std::uint32_t from);
  std::uint32_t sent() const { return sent_; }
  std::size_t keyframes_asked();

  /// A further connection to the session; with a token that is sent as `join`.
  std::unique_ptr<RawClient> connect() const { return std::make_unique<RawClient>(server.port(), "/v1/sessions/" + session + "/signalling"); }
  std::unique_ptr<RawClient> join(const std::string& identity, const std::string& grants = "publish,subscribe") const;

  const ServerProcess& server;
  const std::string session;
  RawClient camera_signalling, good_signalling, greedy_signalling;
  PeerOnSockets camera, good;
  RawOnSockets greedy;  // two sockets

 private:
  void send_packet();
  std::uint32_t sent_ = 0;
  std::size_t answered_ = 0;
  peer::Line line_ = 0;
};

}  // namespace amphi::end_to_end
