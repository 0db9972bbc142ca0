// What was sent with which transport-wide number, until it is reported. A ring: nothing is allocated after
// construction, and numbers never sent, overwritten or already reported as received are not found. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "rtp/seq.h"

namespace amphi::cc {

class SendHistory {
 public:
  struct Sent {
    Time at;
    std::size_t bytes = 0;
    bool was_lost = false;  // an earlier feedback said so
  };

  void add(std::uint16_t wire, std::size_t bytes, Time now) {
    highest_ = started_ ? rtp::extend(wire, highest_) : wire;
    started_ = true;
    slot(highest_) = {highest_, State::in_flight, bytes, now};
  }
  /// Once for each number.
  std::optional<Sent> take_received(std::uint16_t wire) {
    Slot* found = find(wire);
    if (!found || found->state == State::received) return std::nullopt;
    const bool was_lost = found->state == State::lost;
    found->state = State::received;
    return Sent{found->at, found->bytes, was_lost};
  }
  /// True the first time that this number is reported, as lost.
  bool take_lost(std::uint16_t wire) {
    Slot* found = find(wire);
    if (!found || found->state != State::in_flight) return false;
    found->state = State::lost;
    return true;
  }

 private:
  static constexpr std::size_t kSlots = 8192;  // seconds, at any rate that one transport sends
  enum class State : std::uint8_t { empty, in_flight, lost, received };
  struct Slot {
    std::int64_t seq = 0;
    State state = State::empty;
    std::size_t bytes = 0;
    Time at;
  };

  Slot& slot(std::int64_t seq) { return slots_[static_cast<std::size_t>(seq) % kSlots]; }
  Slot* find(std::uint16_t wire) {
    const std::int64_t seq = rtp::extend(wire, highest_);
    Slot& found = slot(seq);
    return started_ && found.seq == seq && found.state != State::empty ? &found : nullptr;
  }

  std::vector<Slot> slots_ = std::vector<Slot>(kSlots);
  std::int64_t highest_ = 0;
  bool started_ = false;
};

}  // namespace amphi::cc
