// Shares the bytes of a bounded queue among identities: an identity may hold at most as many bytes as are still free. An identity that
// floods the queue fills half of it, and the other identities keep the other half (docs/decisions/0017-fair-shares.md). No lock, and no
// allocation but in `join`.
//
// Thread: all of the queue's producer, but `taken`, which is the consumer's. Without a consumer the producer may be both.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace amphi::server {

class QueueShares {
 public:
  /// One identity. Lives at least until its last feed has left and its last byte was taken.
  class Holder {
   public:
    std::uint64_t held() const { return put_ - taken_.load(std::memory_order_acquire); }

   private:
    friend class QueueShares;
    std::size_t feeds_ = 0;
    std::uint64_t put_ = 0;                 // since the start
    alignas(64) std::atomic<std::uint64_t> taken_{0};  // since the start
  };

  explicit QueueShares(std::uint64_t capacity) : capacity_(capacity) {}
  void set_capacity(std::uint64_t capacity) { capacity_ = capacity; }

  /// A feed of the identity comes.
  Holder& join(const std::string& identity) {
    std::erase_if(holders_, [](const auto& entry) { return entry.second->feeds_ == 0 && entry.second->held() == 0; });
    auto& holder = holders_[identity];
    if (!holder) holder = std::make_unique<Holder>();
    ++holder->feeds_;
    return *holder;
  }
  /// A feed of the identity goes. Its bytes may still be in the queue.
  void leave(Holder& holder) { --holder.feeds_; }

  bool has_room(const Holder& holder, std::uint64_t bytes) const {
    const std::uint64_t used = put_ - taken_.load(std::memory_order_acquire);
    return used < capacity_ && holder.held() + bytes <= capacity_ - used;
  }
  void put(Holder& holder, std::uint64_t bytes) {
    holder.put_ += bytes;
    put_ += bytes;
  }
  /// The consumer's. Does not touch the holder afterwards.
  void taken(Holder& holder, std::uint64_t bytes) {
    taken_.store(taken_.load(std::memory_order_relaxed) + bytes, std::memory_order_release);
    holder.taken_.store(holder.taken_.load(std::memory_order_relaxed) + bytes, std::memory_order_release);
  }
  std::size_t holders() const { return holders_.size(); }

 private:
  std::uint64_t capacity_;
  std::uint64_t put_ = 0;
  alignas(64) std::atomic<std::uint64_t> taken_{0};
  alignas(64) std::map<std::string, std::unique_ptr<Holder>> holders_;
};

}  // namespace amphi::server
