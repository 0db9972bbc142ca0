#include "testing/network.h"

#include <algorithm>
#include <array>

namespace amphi::testing {

namespace {

constexpr std::size_t kIpUdpOverhead = 28;

Duration time_on_wire(std::size_t bytes, std::uint64_t bits_per_second) {
  return Duration(static_cast<std::int64_t>(static_cast<double>(bytes) * 8e9 / static_cast<double>(bits_per_second)));
}

}  // namespace

std::string_view counter_name(NetworkEvent event) {
  static constexpr std::array<std::string_view, Counters<NetworkEvent>::kSize> kNames{
      "sent", "partitioned", "lost", "queue_full", "duplicated", "reordered", "delivered"};
  return kNames[static_cast<std::size_t>(event)];
}

Network::Network(std::uint64_t seed, Conditions conditions) : random_(seed), default_(conditions) {}

void Network::set_conditions(const Address& from, const Address& to, Conditions conditions) {
  conditions_[{from, to}] = conditions;
}

const Conditions& Network::conditions(const Address& from, const Address& to) const {
  const auto found = conditions_.find({from, to});
  return found == conditions_.end() ? default_ : found->second;
}

void Network::partition(const Address& host, bool on) {
  if (on) {
    partitioned_.insert(host);
  } else {
    partitioned_.erase(host);
  }
}

void Network::translate(const Address& inside, const Address& outside) {
  const auto old = outside_of_.find(inside);
  stale_outside_.insert(old == outside_of_.end() ? inside : old->second);
  if (old != outside_of_.end()) inside_of_.erase(old->second);
  outside_of_[inside] = outside;
  inside_of_[outside] = inside;
  stale_outside_.erase(outside);
}

void Network::send(const Transmit& packet, Time now) {
  counters_.add(NetworkEvent::sent);
  const Conditions& conditions = this->conditions(packet.local, packet.remote);
  const auto reachable = inside_of_.find(packet.remote);
  const Address target = reachable == inside_of_.end() ? packet.remote : reachable->second;
  if (conditions.partitioned || partitioned_.contains(packet.local) || partitioned_.contains(target) ||
      stale_outside_.contains(packet.remote)) {
    return counters_.add(NetworkEvent::partitioned);
  }
  Link& link = links_[{packet.local, packet.remote}];
  if (loses(conditions, link)) return counters_.add(NetworkEvent::lost);
  const auto from = pass_bottleneck(conditions, link, packet.data.size() + kIpUdpOverhead, now);
  if (!from) return counters_.add(NetworkEvent::queue_full);

  const auto translated = outside_of_.find(packet.local);
  const Transmit seen{translated == outside_of_.end() ? packet.local : translated->second, target, packet.data};
  deliver_later(conditions, link, seen, *from);
  if (random_.unit() < conditions.duplicate) {
    counters_.add(NetworkEvent::duplicated);
    deliver_later(conditions, link, seen, *from);
  }
}

bool Network::loses(const Conditions& conditions, Link& link) {
  // Both draws always happen, so that one packet's fate does not shift the fate of those after it.
  const bool alone = random_.unit() < conditions.loss;
  link.in_burst = random_.unit() < (link.in_burst ? 1 - conditions.burst_end : conditions.burst_start);
  return alone || link.in_burst;
}

std::optional<Time> Network::pass_bottleneck(const Conditions& conditions, Link& link, std::size_t size, Time now) {
  if (conditions.bits_per_second == 0) return now;
  const Time start = std::max(now, link.free_at);
  if (start - now > time_on_wire(conditions.queue_bytes, conditions.bits_per_second)) return std::nullopt;
  return link.free_at = start + time_on_wire(size, conditions.bits_per_second);
}

void Network::deliver_later(const Conditions& conditions, Link& link, const Transmit& packet, Time from) {
  const auto jitter = static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(conditions.jitter.count())));
  Time arrival = from + conditions.delay + Duration(jitter);
  if (random_.unit() < conditions.reorder) {
    counters_.add(NetworkEvent::reordered);
    arrival += conditions.reorder_delay;
  } else {
    arrival = link.last_arrival = std::max(arrival, link.last_arrival);
  }
  under_way_.emplace(std::pair(arrival, next_number_++), packet);
}

std::optional<Transmit> Network::poll(Time now) {
  if (under_way_.empty() || under_way_.begin()->first.first > now) return std::nullopt;
  counters_.add(NetworkEvent::delivered);
  return std::move(under_way_.extract(under_way_.begin()).mapped());
}

Time Network::next_timeout() const {
  return under_way_.empty() ? Time::max() : under_way_.begin()->first.first;
}

}  // namespace amphi::testing
