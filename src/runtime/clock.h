// The clocks, and the operating system's randomness: the only place that reads them.
#pragma once

#include <array>
#include <cstddef>

#include "base/random.h"
#include "base/time.h"

namespace amphi::runtime {

/// CLOCK_MONOTONIC as a Time. Any thread.
Time now();
/// The wall clock, for people. Any thread.
WallTime wall_now();

/// getrandom(2), buffered per object. One thread per object.
class SystemRandom final : public Random {
 public:
  void fill(MutableBytes out) override;

 private:
  std::array<std::byte, 512> buffer_{};
  std::size_t left_ = 0;
};

}  // namespace amphi::runtime
