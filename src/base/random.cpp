#include "base/random.h"

#include <array>

namespace amphi {

std::uint64_t Random::u64() {
  std::array<std::byte, 8> raw;
  fill(raw);
  return ByteReader(raw).u64();
}

std::uint64_t Random::below(std::uint64_t bound) {
  if (bound == 0) return 0;
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;  // rejection keeps it uniform
  std::uint64_t value = u64();
  while (value >= limit) value = u64();
  return value % bound;
}

double Random::unit() { return static_cast<double>(u64() >> 11) * 0x1.0p-53; }

std::string Random::token(std::size_t length) {
  static constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string text(length, ' ');
  for (char& c : text) c = kAlphabet[below(36)];
  return text;
}

void SeededRandom::fill(MutableBytes out) {
  std::size_t at = 0;
  while (at < out.size()) {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    for (int i = 0; i < 8 && at < out.size(); ++i) out[at++] = static_cast<std::byte>(z >> (8 * i));
  }
}

}  // namespace amphi
