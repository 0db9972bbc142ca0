// What waits to be polled. Its memory is kept, so that a steady flow of outputs allocates nothing. Thread: the peer's.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "peer/peer.h"

namespace amphi::peer {

class OutputQueue {
 public:
  bool empty() const { return first_ == waiting_.size(); }
  void push(Output output) { waiting_.push_back(std::move(output)); }
  std::optional<Output> pop() {
    if (empty()) return std::nullopt;
    std::optional<Output> output(std::move(waiting_[first_++]));
    if (empty()) {
      waiting_.clear();
      first_ = 0;
    }
    return output;
  }

 private:
  std::vector<Output> waiting_;
  std::size_t first_ = 0;
};

}  // namespace amphi::peer
