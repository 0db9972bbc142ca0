// Randomness as an interface: the runtime gives the operating system's, a test gives a seed.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace amphi {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(MutableBytes out) = 0;

  std::uint64_t u64();
  std::uint32_t u32() { return static_cast<std::uint32_t>(u64()); }
  /// Uniform in [0, bound); 0 for a bound of 0.
  std::uint64_t below(std::uint64_t bound);
  /// Uniform in [0, 1).
  double unit();
  /// `length` characters of [a-z0-9], about 5.17 bits each: 16 are enough for an id that is globally unique.
  std::string token(std::size_t length);
};

/// SplitMix64 (Steele, Lea, Flood 2014): for tests and emulation only, never for keys.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(MutableBytes out) override;

 private:
  std::uint64_t state_;
};

}  // namespace amphi
