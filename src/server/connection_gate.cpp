#include "server/connection_gate.h"

#include <algorithm>

namespace amphi::server {

std::optional<ConnectionGate::Number> ConnectionGate::first_of(const Group& group) const {
  if (group.yielding.empty()) return std::nullopt;
  return group.yielding.begin()->second;
}

ConnectionGate::Verdict ConnectionGate::room_in(const std::string& name) {
  const auto found = groups_.find(name);
  if (found == groups_.end() || found->second.open < limits_.per_address) return {};
  Verdict verdict{Refusal::none, first_of(found->second)};
  if (!verdict.yields) verdict.refusal = Refusal::address;
  return verdict;
}

std::optional<ConnectionGate::Number> ConnectionGate::make_room() {
  const auto heaviest = std::max_element(groups_.begin(), groups_.end(), [](const auto& a, const auto& b) {
    const auto &left = a.second.yielding, &right = b.second.yielding;
    if (left.size() != right.size() || left.empty()) return left.size() < right.size();
    return left.begin()->first > right.begin()->first;  // of two alike, the one with the older connection
  });
  const auto yields = heaviest == groups_.end() ? std::nullopt : first_of(heaviest->second);
  if (yields) leave(*yields);
  return yields;
}

ConnectionGate::Verdict ConnectionGate::enter(Number number, const std::string& group, bool of_proxy) {
  Verdict verdict = of_proxy ? Verdict{} : room_in(group);
  if (verdict.refusal != Refusal::none) return verdict;
  if (verdict.yields) leave(*verdict.yields);
  const std::size_t without_token = limits_.total - std::min(limits_.reserved, limits_.total - 1);
  if (connections_.size() >= limits_.total || yielding_ >= without_token) {
    verdict.yields = make_room();
    if (!verdict.yields) return {Refusal::total, {}};
  }
  place(number, connections_[number], group);
  return verdict;
}

ConnectionGate::Verdict ConnectionGate::move(Number number, const std::string& group, bool of_proxy) {
  const auto found = connections_.find(number);
  if (found == connections_.end()) return {Refusal::gone, {}};
  if (found->second.group != group) {
    const Verdict verdict = of_proxy ? Verdict{} : room_in(group);
    if (verdict.refusal != Refusal::none) return verdict;
    if (verdict.yields) leave(*verdict.yields);
    take_out(found->second);
    place(number, found->second, group);
    return verdict;
  }
  take_out(found->second);
  place(number, found->second, group);
  return {};
}

void ConnectionGate::authenticated(Number number, const std::string& identity) {
  const auto found = connections_.find(number);
  if (found == connections_.end() || found->second.identity == identity || identities_[identity] >= limits_.per_identity) return;
  Connection& connection = found->second;
  if (connection.identity.empty()) {
    groups_[connection.group].yielding.erase(connection.order);
    --yielding_;
  } else {
    forget_identity(connection);
  }
  connection.identity = identity;
  ++identities_[identity];
}

void ConnectionGate::set_busy(Number number, bool busy) {
  const auto found = connections_.find(number);
  if (found == connections_.end() || !found->second.identity.empty()) return;
  auto& yielding = groups_[found->second.group].yielding;
  yielding.erase(found->second.order);
  found->second.order = {busy, ++clock_};
  yielding[found->second.order] = number;
}

void ConnectionGate::leave(Number number) {
  const auto found = connections_.find(number);
  if (found == connections_.end()) return;
  take_out(found->second);
  connections_.erase(found);
}

void ConnectionGate::place(Number number, Connection& connection, const std::string& name) {
  connection.group = name;
  connection.order = {false, ++clock_};
  Group& group = groups_[name];
  ++group.open;
  group.yielding[connection.order] = number;
  ++yielding_;
}

void ConnectionGate::take_out(Connection& connection) {
  Group& group = groups_[connection.group];
  if (connection.identity.empty()) {
    group.yielding.erase(connection.order);
    --yielding_;
  } else {
    forget_identity(connection);
  }
  if (--group.open == 0) groups_.erase(connection.group);
}

void ConnectionGate::forget_identity(Connection& connection) {
  const auto found = identities_.find(connection.identity);
  if (found != identities_.end() && --found->second == 0) identities_.erase(found);
  connection.identity.clear();
}

}  // namespace amphi::server
