// A bounded queue between one media worker and one recording writer: single producer, single consumer, slots allocated once,
// no lock and no system call on either end. Full means full: the producer is told, and counts.
//
// Thread: push by the producer's only, front and pop by the consumer's only.
#pragma once

#include <atomic>
#include <cstddef>
#include <vector>

namespace amphi::server {

template <class Slot>
class PacketQueue {
 public:
  /// `capacity` is a power of two.
  explicit PacketQueue(std::size_t capacity) : slots_(capacity), mask_(capacity - 1) {}

  /// Fills the next slot in place; false: full, and `fill` was not called.
  template <class Fill>
  bool push(Fill fill) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - known_head_ == slots_.size()) {
      known_head_ = head_.load(std::memory_order_acquire);
      if (tail - known_head_ == slots_.size()) return false;
    }
    fill(slots_[tail & mask_]);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  /// nullptr: empty. Valid until pop.
  Slot* front() {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head == known_tail_) {
      known_tail_ = tail_.load(std::memory_order_acquire);
      if (head == known_tail_) return nullptr;
    }
    return &slots_[head & mask_];
  }
  void pop() { head_.store(head_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

 private:
  std::vector<Slot> slots_;
  const std::size_t mask_;
  // Each end keeps its own line, and a remembered view of the other's, so that they touch each other's memory seldom.
  alignas(64) std::atomic<std::size_t> tail_{0};
  std::size_t known_head_ = 0;
  alignas(64) std::atomic<std::size_t> head_{0};
  std::size_t known_tail_ = 0;
};

}  // namespace amphi::server
