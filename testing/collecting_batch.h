// A SendBatch that keeps what is sent, for tests and simulations to look at or to hand to a Network.
#pragma once

#include <array>
#include <utility>
#include <vector>

#include "base/net.h"

namespace amphi::testing {

class CollectingBatch final : public SendBatch {
 public:
  MutableBytes slot() override { return slot_; }
  void commit(std::size_t size, const Address& local, const Address& remote) override {
    sent_.push_back({local, remote, to_bytes(ByteView(slot_).first(size))});
  }

  const std::vector<Transmit>& sent() const { return sent_; }
  /// Hands over everything since the last call.
  std::vector<Transmit> take() { return std::exchange(sent_, {}); }

 private:
  std::array<std::byte, kMaxDatagram> slot_{};
  std::vector<Transmit> sent_;
};

}  // namespace amphi::testing
