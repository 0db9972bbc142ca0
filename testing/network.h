// A network without a socket: seeded, in virtual time, with delay, jitter, loss, bursts, duplication, reordering, a
// bottleneck with its queue, partitions and address translation. The same seed and the same calls give the same run.
//
// Thread: its owner's. Conditions are per direction; a packet meets them in the order partition, loss, queue, delay.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "base/counters.h"
#include "base/net.h"
#include "base/random.h"
#include "base/time.h"

namespace amphi::testing {

struct Conditions {
  Duration delay{};
  Duration jitter{};        // uniform in [0, jitter), added to delay; alone it never reorders
  double loss = 0;          // of each packet, independently
  double burst_start = 0;   // Gilbert's model: each packet may begin a burst in which everything is lost ...
  double burst_end = 0.25;  // ... and each packet within it may end it: bursts of 1/burst_end packets
  double duplicate = 0;
  double reorder = 0;  // of each packet to be late by `reorder_delay` without holding up later ones
  Duration reorder_delay = 30ms;
  std::uint64_t bits_per_second = 0;    // 0: no bottleneck
  std::size_t queue_bytes = 64 * 1024;  // before the bottleneck; what does not fit is dropped
  bool partitioned = false;
};

enum class NetworkEvent { sent, partitioned, lost, queue_full, duplicated, reordered, delivered, count_ };
std::string_view counter_name(NetworkEvent event);

class Network {
 public:
  explicit Network(std::uint64_t seed, Conditions conditions = {});

  /// For every direction that has no conditions of its own.
  void set_conditions(Conditions conditions) { default_ = conditions; }
  void set_conditions(const Address& from, const Address& to, Conditions conditions);
  const Conditions& conditions(const Address& from, const Address& to) const;
  /// Cuts everything to and from `host`, or joins it again. What is under way still arrives.
  void partition(const Address& host, bool on);
  /// From now on `inside` is seen as `outside`, which no longer needs to be anyone's own address. Calling it again
  /// with another `outside` is a NAT that rebinds: the old outside address leads nowhere.
  void translate(const Address& inside, const Address& outside);

  void send(const Transmit& packet, Time now);
  /// The next packet that has arrived by `now`: `local` sent it (as the receiver sees it), `remote` receives it.
  std::optional<Transmit> poll(Time now);
  Time next_timeout() const;
  const Counters<NetworkEvent>& counters() const { return counters_; }

 private:
  using Direction = std::pair<Address, Address>;
  struct Link {
    bool in_burst = false;
    Time free_at{};  // when the bottleneck has sent what it holds
    Time last_arrival{};
  };

  bool loses(const Conditions& conditions, Link& link);
  /// When the bottleneck lets it go; nullopt: its queue is full.
  std::optional<Time> pass_bottleneck(const Conditions& conditions, Link& link, std::size_t size, Time now);
  void deliver_later(const Conditions& conditions, Link& link, const Transmit& packet, Time from);

  SeededRandom random_;
  Conditions default_;
  std::map<Direction, Conditions> conditions_;
  std::map<Direction, Link> links_;
  std::set<Address> partitioned_;
  std::map<Address, Address> outside_of_, inside_of_;
  std::set<Address> stale_outside_;
  std::map<std::pair<Time, std::uint64_t>, Transmit> under_way_;  // the number keeps the order of equals
  std::uint64_t next_number_ = 0;
  Counters<NetworkEvent> counters_;
};

}  // namespace amphi::testing
