#include "runtime/clock.h"

#include <sys/random.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace amphi::runtime {
namespace {

Duration read_clock(clockid_t clock) {
  timespec at{};
  clock_gettime(clock, &at);
  return seconds(at.tv_sec) + nanoseconds(at.tv_nsec);
}

}  // namespace

Time now() { return Time(read_clock(CLOCK_MONOTONIC)); }

WallTime wall_now() { return {to_ms(read_clock(CLOCK_REALTIME))}; }

void SystemRandom::fill(MutableBytes out) {
  std::size_t at = 0;
  while (at < out.size()) {
    if (left_ == 0) {
      // A read of up to 256 bytes is never interrupted once the pool is ready; larger ones may come short.
      while (left_ < buffer_.size()) {
        const ssize_t got = getrandom(buffer_.data() + left_, buffer_.size() - left_, 0);
        if (got > 0) left_ += static_cast<std::size_t>(got);
        else if (errno != EINTR) std::abort();  // no randomness: nothing that follows would be safe
      }
    }
    const std::size_t take = std::min(left_, out.size() - at);
    left_ -= take;
    std::byte* from = buffer_.data() + left_;
    std::copy_n(from, take, out.data() + at);
    std::fill_n(from, take, std::byte{0});  // what was given out is not kept
    at += take;
  }
}

}  // namespace amphi::runtime
