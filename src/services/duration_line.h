// The live duration as the client shows it: a line through the last value that the server stated. It grows with the client's
// monotonic clock for at most 1.25 heartbeats and never goes back while `on` is true. A confirmed total replaces it
// (docs/protocol.md, "The duration").
// Thread: its owner's.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace amphi::services {

struct DurationLine {
  std::int64_t total_ms = 0;  // the value at `as_of`, and before it
  Time as_of{};
  Time grows_until{};

  std::int64_t at(Time now) const {
    return total_ms + std::max<std::int64_t>(0, to_ms(std::min(now, grows_until) - as_of));
  }

  /// `on` is false: the server's total is final and replaces every extrapolation, also a larger one.
  void confirm(std::int64_t final_ms, Time now) { *this = {final_ms, now, now}; }

  /// The server said `stated_ms` just now. Where more was shown already, the line waits there until the server's catches up.
  void hear(std::int64_t stated_ms, bool growing, Duration heartbeat, Time now) {
    const std::int64_t shown = at(now);
    const Duration window = heartbeat + heartbeat / 4;
    const std::int64_t ahead_ms = std::max<std::int64_t>(0, shown - stated_ms);
    total_ms = std::max(shown, stated_ms);
    const bool grows = growing && ahead_ms < to_ms(window);
    as_of = grows ? now + milliseconds(ahead_ms) : now;
    grows_until = grows ? now + window : now;
  }
};

}  // namespace amphi::services
