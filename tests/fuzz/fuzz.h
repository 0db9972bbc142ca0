// What every fuzz target shares: a reader that cuts libFuzzer's bytes into decisions, and a check that no build leaves out.
// A target is deterministic: the same bytes take the same path, so that a reproducer reproduces.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/bytes.h"

namespace amphi::fuzz {

/// Past the end every decision is 0 and every piece empty.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const std::byte*>(data), size) {}

  bool done() const { return rest_.empty(); }
  std::uint8_t u8() { return done() ? std::uint8_t{0} : static_cast<std::uint8_t>(take(1)[0]); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(u8() << 8 | u8()); }
  /// A length of one byte, times eight (so that it reaches beyond a datagram), then at most so many bytes.
  Bytes piece() { return to_bytes(take(std::size_t{u8()} * 8)); }
  Bytes short_piece() { return to_bytes(take(u8())); }
  Bytes all() { return to_bytes(take(rest_.size())); }
  std::string_view text() { return as_text(take(rest_.size())); }
  /// Without its line feed.
  std::string_view line() {
    const std::string_view text = as_text(rest_);
    const std::string_view found = text.substr(0, text.find('\n'));
    take(found.size() + 1);
    return found;
  }

 private:
  ByteView take(std::size_t count) {
    const ByteView taken = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  ByteView rest_;
};

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

}  // namespace amphi::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
