// Time as an argument: a point on a monotonic line that only the runtime (or a test) advances.
//
// Above the I/O line nobody reads a clock; every state machine takes `Time now` and gives its next deadline,
// with Time::max() for "nothing is scheduled".
#pragma once

#include <chrono>
#include <cstdint>

namespace amphi {

using Duration = std::chrono::nanoseconds;

/// Never read: it exists to give Time a type of its own, so that no wall clock converts to it.
struct MonotonicLine {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicLine>;
  static constexpr bool is_steady = true;
};

using Time = MonotonicLine::time_point;

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using namespace std::chrono_literals;

inline std::int64_t to_ms(Duration d) { return std::chrono::duration_cast<milliseconds>(d).count(); }
/// To the nearest millisecond.
inline std::int64_t rounded_ms(Duration d) { return std::chrono::round<milliseconds>(d).count(); }

/// Milliseconds since the Unix epoch: for people to read (manifests, logs), never for measuring.
struct WallTime {
  std::int64_t unix_ms = 0;
};

}  // namespace amphi
