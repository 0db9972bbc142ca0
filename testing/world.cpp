#include "testing/world.h"

#include <algorithm>
#include <stdexcept>

namespace amphi::testing {

namespace {
constexpr int kMaxStepsWithoutTime = 10'000;
}

void World::attach(const Address& address, Node& node) {
  by_address_[address] = &node;
  if (std::find(nodes_.begin(), nodes_.end(), &node) == nodes_.end()) nodes_.push_back(&node);
}

void World::detach(Node& node) {
  std::erase(nodes_, &node);
  std::erase_if(by_address_, [&](const auto& entry) { return entry.second == &node; });
}

void World::run_until(Time end) {
  while (step(end)) {
  }
}

bool World::run_until(const std::function<bool()>& done, Duration limit) {
  const Time end = now_ + limit;
  while (!done()) {
    if (!step(end)) return done();
  }
  return true;
}

bool World::step(Time end) {
  for (Node* node : nodes_) node->drain(network_, now_);
  const Time next = next_deadline();
  if (next > end) {
    now_ = std::max(now_, end);
    return false;
  }
  if (next > now_) {
    now_ = next;
    steps_without_time_ = 0;
  } else if (++steps_without_time_ > kMaxStepsWithoutTime) {
    throw std::logic_error("the world makes no progress at " + std::to_string(to_ms(now_.time_since_epoch())) + " ms");
  }
  while (!actions_.empty() && actions_.begin()->first <= now_) {
    const auto action = actions_.extract(actions_.begin());
    ++events_;
    action.mapped()();
  }
  deliver_arrivals();
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i]->next_timeout() > now_) continue;
    ++events_;
    nodes_[i]->handle_timeout(now_);
  }
  return true;
}

Time World::next_deadline() const {
  Time next = std::min(network_.next_timeout(), actions_.empty() ? Time::max() : actions_.begin()->first);
  for (const Node* node : nodes_) next = std::min(next, node->next_timeout());
  return next;
}

void World::deliver_arrivals() {
  while (auto packet = network_.poll(now_)) {
    ++events_;
    const auto receiver = by_address_.find(packet->remote);
    if (receiver == by_address_.end()) continue;
    receiver->second->handle_input({packet->local, packet->remote, packet->data}, now_);
    receiver->second->drain(network_, now_);
  }
}

}  // namespace amphi::testing
