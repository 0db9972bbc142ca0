// Which connections the server keeps when there are too many. A connection yields its place until it has presented a valid token:
//
//   at the limit of an address   the connection of that address that has been idle for longest yields to the newcomer
//   at the limit of all          the same in the address group that has most connections without a token
//   nothing can yield            the newcomer is refused
//
// Connections without a token never have more than `total - reserved` places, so that `reserved` places are left for those with one.
// A trusted proxy's own connections have no limit per address: each counts for its client for as long as that client's request lasts.
// Pure: the caller closes what yields. Thread: control.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

namespace amphi::server {

class ConnectionGate {
 public:
  using Number = std::uint64_t;
  struct Limits {
    std::size_t total = 5000;
    std::size_t per_address = 1000;
    std::size_t reserved = 500;      // of the total, for connections with a valid token
    std::size_t per_identity = 64;   // connections that one identity keeps from yielding; further ones yield like those without a token
  };
  enum class Refusal { none, total, address, gone };  // gone: it has yielded already
  struct Verdict {
    Refusal refusal = Refusal::none;
    std::optional<Number> yields;  // to be closed; it counts no more
  };

  explicit ConnectionGate(Limits limits) : limits_(limits) {}

  /// `number` is new. Refused: it is not in.
  Verdict enter(Number number, const std::string& group, bool of_proxy);
  /// A proxy's connection serves that client now, or (`of_proxy`) the proxy again. It has no token until it presents one anew.
  /// Refused: it stays where it was.
  Verdict move(Number number, const std::string& group, bool of_proxy);
  void authenticated(Number number, const std::string& identity);
  /// A request of it is being answered: it yields after idle ones.
  void set_busy(Number number, bool busy);
  void leave(Number number);
  /// Out of descriptors: what yields to nobody in particular.
  std::optional<Number> make_room();

  std::size_t open() const { return connections_.size(); }

 private:
  using Order = std::pair<bool, std::uint64_t>;  // busy, then since when
  struct Group {
    std::size_t open = 0;
    std::map<Order, Number> yielding;
  };
  struct Connection {
    std::string group;
    std::string identity;  // empty: no token
    Order order;
  };

  std::optional<Number> first_of(const Group& group) const;
  Verdict room_in(const std::string& group);
  void place(Number number, Connection& connection, const std::string& group);
  void take_out(Connection& connection);
  void forget_identity(Connection& connection);

  const Limits limits_;
  std::unordered_map<Number, Connection> connections_;
  std::unordered_map<std::string, Group> groups_;
  std::unordered_map<std::string, std::size_t> identities_;
  std::size_t yielding_ = 0;
  std::uint64_t clock_ = 0;  // counts events: an order needs no time
};

}  // namespace amphi::server
