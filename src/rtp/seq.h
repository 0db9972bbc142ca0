// RTP's wrapping numbers, widened once at the border (RFC 3550 A.1): after `extend` nothing wraps.
#pragma once

#include <cstdint>

namespace amphi::rtp {

using WireSeq = std::uint16_t;
using WireTimestamp = std::uint32_t;
/// A sequence number that only grows over a stream's life; its low 16 bits are the wire's.
using Seq = std::int64_t;
/// An RTP timestamp that does not wrap, in the codec's clock.
using Timestamp = std::int64_t;

/// The extended number nearest to `near` whose low 16 bits are `wire`.
constexpr Seq extend(WireSeq wire, Seq near) {
  return near + static_cast<std::int16_t>(static_cast<std::uint16_t>(wire - static_cast<std::uint16_t>(near)));
}
constexpr Timestamp extend(WireTimestamp wire, Timestamp near) {
  return near + static_cast<std::int32_t>(static_cast<std::uint32_t>(wire - static_cast<std::uint32_t>(near)));
}

}  // namespace amphi::rtp
