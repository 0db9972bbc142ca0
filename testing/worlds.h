// How many simulated worlds a test runs.
#pragma once

#include <cstdint>

namespace amphi::testing {

/// `count`, or a tenth of it under a sanitizer, which is ten times as slow.
constexpr std::uint64_t worlds(std::uint64_t count) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return count / 10;
#else
  return count;
#endif
}

}  // namespace amphi::testing
